package conf

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var verb = regexp.MustCompile(`%[a-z]`)

// Every fault that this package can tell, and every hint, is in testdata/conf, with the option
// that it is about: whoever changes one sees what somebody will read.
func TestEveryFaultIsShown(t *testing.T) {
	var shown strings.Builder
	cases, err := filepath.Glob("../testdata/conf/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range cases {
		shown.WriteString(sections(t, path)["complaint"])
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "secret.go" { // whose errors come when a secret is read
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			var texts []string
			switch function, _ := call.Fun.(*ast.SelectorExpr); {
			case function == nil:
			case function.Sel.Name == "Fault" || function.Sel.Name == "fault":
				key, hint, text := literal(call.Args[0]), literal(call.Args[1]), literal(call.Args[2])
				if key != "" {
					key += ": "
				}
				texts = []string{key + text, hint}
			case function.Sel.Name == "Errorf":
				texts = []string{literal(call.Args[0])}
			}
			for _, text := range texts {
				if text == "" || text == "%v" {
					continue
				}
				found++
				form := verb.ReplaceAllLiteralString(regexp.QuoteMeta(text), ".+")
				if !regexp.MustCompile(`(?m)(: |^)` + form + "$").MatchString(shown.String()) {
					t.Errorf("%s: nothing in testdata/conf shows: %s", name, text)
				}
			}
			return true
		})
	}
	if found < 60 {
		t.Errorf("found only %d texts", found)
	}
}

// literal is what stands in quotation marks, "" for something else.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, _ := strconv.Unquote(lit.Value)
	return text
}
