package wire

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
)

// header declares one prefix that stanzas may not use.
const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'` +
	` xmlns:outer='urn:example:outer' to='desk.example' version='1.0' xml:lang='fr'>`

// opened is a Reader whose stream header was read, with src behind it.
func opened(t testing.TB, src io.Reader, l Limits) *Reader {
	t.Helper()
	r := NewReader(io.MultiReader(strings.NewReader(header), src), l)
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	return r
}

// lines reads a file of testdata: no comments, escapes undone.
func lines(t testing.TB, file string) (all []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		plain, err := strconv.Unquote(`"` + strings.NewReplacer(`"`, `\"`, "\t", `\t`).Replace(line) + `"`)
		if err != nil {
			t.Fatalf("%s: %q: %v", file, line, err)
		}
		all = append(all, plain)
	}
	return all
}

// bad is the corpus of elements that end a stream.
func bad(t testing.TB) (all []struct{ in, want string }) {
	t.Helper()
	for _, line := range lines(t, "bad.txt") {
		want, in, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("bad.txt: no tab in %q", line)
		}
		all = append(all, struct{ in, want string }{in, want})
	}
	return all
}

// condition is that of a StreamError, or what err says.
func condition(err error) string {
	var e StreamError
	if errors.As(err, &e) {
		return e.Condition
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func mustParse(t testing.TB, s string) *Stanza {
	t.Helper()
	st, err := Parse([]byte(s), Limits{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return st
}
