package web

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each kind of problem is answered somewhere, and has a line in the manual that says the same
// of it as its document does.
func TestKinds(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared, code := "", ""
	for _, name := range append(sources, "../../cmd/parley/hosts.go") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "kind.go" {
			declared = string(text)
		} else if !strings.HasSuffix(name, "_test.go") {
			code += string(text)
		}
	}
	names := regexp.MustCompile(`(?m)^\t(\w+) +Kind = "([a-z-]+)"$`).FindAllStringSubmatch(declared, -1)
	if len(names) != len(kinds) {
		t.Errorf("%d kinds are declared, and %d in the table", len(names), len(kinds))
	}
	for _, m := range names {
		kind := Kind(m[2])
		row := fmt.Sprintf("\n| `%s` | %d | %s | ", kind, kind.status(), kind.title())
		if kind.title() == "" || strings.Count(string(page), row) != 1 {
			t.Errorf("docs/api.md has no line that begins with%s", row)
		}
		// The first of a status is also what a fault in a request is, of which nothing is said.
		if kindOf(kind.status()) != kind && !regexp.MustCompile(`\b`+m[1]+`\b`).MatchString(code) {
			t.Errorf("nothing is of the kind %s", kind)
		}
	}
	if rows := regexp.MustCompile("(?m)^\\| `[a-z-]+` \\| [0-9]{3} \\|").FindAll(page, -1); len(rows) != len(kinds) {
		t.Errorf("docs/api.md has %d kinds, want %d", len(rows), len(kinds))
	}
	for status, want := range map[int]Kind{400: Malformed, 406: Invalid, 422: Invalid, 500: Internal, 502: Internal, 503: Unavailable} {
		if got := kindOf(status); got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}
