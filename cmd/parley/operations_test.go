package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chapter is one of docs/operations.md.
func chapter(t *testing.T, name string) string {
	t.Helper()
	_, text, ok := strings.Cut(readDoc(t, "operations.md"), "\n## "+name+"\n")
	if !ok {
		t.Fatalf("operations.md has no chapter %s", name)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

var backticked = regexp.MustCompile("`([a-z]+)`")

// logKeys are those that docs/operations.md has.
func logKeys(t *testing.T) map[string]bool {
	t.Helper()
	_, table, ok := strings.Cut(chapter(t, "Monitoring"), "| Keys | Are |\n|---|---|\n")
	if !ok {
		t.Fatal("operations.md has no table of keys")
	}
	keys := make(map[string]bool)
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			break
		}
		for _, m := range backticked.FindAllStringSubmatch(cells[1], -1) {
			keys[m[1]] = true
		}
	}
	return keys
}

// Each line of the log is JSON with its time, level and a message that never varies, where
// that is asked for.
func TestLogLinesAreJSON(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "log.format=json")
	config := filepath.Join(d.dir, "parley.toml")
	d.login("anna", "correct horse 42", "desk").in(t).drop()
	if _, err := d.login("anna", "wrong horse 42", "desk").try(t); err == nil {
		t.Error("signed in with a wrong password")
	}
	must(t, "", "agent", "disable", "ben@desk.example", "-config", config)
	// The log comes through a pipe, and so a little later than answers.
	eventually(t, "the command's line", func() bool {
		return strings.Contains(d.log(), `"action":"agent.change"`) && strings.HasSuffix(d.log(), "\n")
	})
	lines, audited := 0, false
	for text := range strings.Lines(d.log()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		at, _ := line["time"].(string)
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil || line["level"] == nil || line["msg"] == nil {
			t.Errorf("%s: time, level or msg is missing", text)
		}
		lines++
		audited = audited || line["msg"] == "audited" && line["action"] == "agent.change" && line["outcome"] == "done"
	}
	if lines < 3 || !audited {
		t.Errorf("%d lines; audited %v:\n%s", lines, audited, d.log())
	}
}

// What is logged has constant messages and the keys of docs/operations.md.
func TestLogKeys(t *testing.T) {
	t.Parallel()
	keys := logKeys(t)
	if len(keys) < 15 {
		t.Fatalf("keys %v", keys)
	}
	found := 0
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !isLog(f.X) {
				return true
			}
			args := call.Args
			switch f.Sel.Name {
			case "Debug", "Info", "Warn", "Error":
				if len(args) == 0 || !isConstant(args[0]) {
					t.Errorf("%s: the message varies", set.Position(call.Pos()))
					return true
				}
				args = args[1:]
			case "With":
			default:
				return true
			}
			found++
			for i := 0; i+1 < len(args); i += 2 {
				lit, ok := args[i].(*ast.BasicLit)
				if !ok {
					continue
				}
				if key, err := strconv.Unquote(lit.Value); err != nil || !keys[key] {
					t.Errorf("%s: the key %s is not in docs/operations.md", set.Position(lit.Pos()), lit.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || found < 50 {
		t.Errorf("%d lines that log, %v", found, err)
	}
}

// isLog says whether an expression is called a log.
func isLog(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "log"
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "log")
	case *ast.CallExpr:
		return isLog(e.Fun)
	}
	return false
}

func isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return e.Name[0] >= 'A' && e.Name[0] <= 'Z' // panics.Message
	}
	return false
}
