package conf

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write sample.toml anew")

// A sampler writes the sample from the comments and tags of the structs in file.go and visitors.go.
type sampler struct {
	structs map[string]*ast.StructType
	out     strings.Builder
	prefix  string // "# " where there is no default
	path    string // of the table, with a dot behind it
}

func newSampler(t *testing.T) *sampler {
	s := &sampler{structs: make(map[string]*ast.StructType)}
	for _, name := range []string{"file.go", "visitors.go", "files.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if st, ok := spec.Type.(*ast.StructType); ok {
					s.structs[spec.Name.Name] = st
				}
			}
			return true
		})
	}
	return s
}

func (s *sampler) line(format string, args ...any) {
	s.out.WriteString(strings.TrimRight(s.prefix+fmt.Sprintf(format, args...), " ") + "\n")
}

func (s *sampler) comment(doc *ast.CommentGroup) {
	if doc == nil {
		return
	}
	s.line("")
	for l := range strings.Lines(doc.Text()) {
		s.line("# %s", strings.TrimSpace(l))
	}
}

// options writes the options of a struct: plain ones first, then tables.
func (s *sampler) options(name string) {
	var tables []*ast.Field
	for _, field := range s.structs[name].Fields.List {
		tag := fieldTag(field)
		key := tag.Get("toml")
		if key == "" {
			continue
		}
		if s.structs[typeName(field)] != nil {
			tables = append(tables, field)
			continue
		}
		value := tag.Get("default")
		if value == "" {
			value = tag.Get("example")
		}
		s.comment(field.Doc)
		s.line("%s = %s", key, strings.ReplaceAll(value, "'", `"`))
	}
	for _, field := range tables {
		s.table(field)
	}
}

func (s *sampler) table(field *ast.Field) {
	outer, prefix := s.path, s.prefix
	key := outer + fieldTag(field).Get("toml")
	s.path = key + "."
	if _, list := field.Type.(*ast.ArrayType); list {
		s.comment(field.Doc)
		s.line("")
		s.prefix = "# "
		s.line("[[%s]]", key)
	} else {
		s.comment(field.Doc)
		s.line("[%s]", key)
	}
	s.options(typeName(field))
	s.prefix, s.path = prefix, outer
}

func typeName(field *ast.Field) string {
	e := field.Type
	if list, ok := e.(*ast.ArrayType); ok {
		e = list.Elt
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func fieldTag(field *ast.Field) reflect.StructTag {
	if field.Tag == nil {
		return ""
	}
	text, _ := strconv.Unquote(field.Tag.Value)
	return reflect.StructTag(text)
}

func TestSampleIsWhatTheFieldsSay(t *testing.T) {
	s := newSampler(t)
	s.line("# parley.toml: every option with its default. What is as you want it may be left out.")
	s.options("File")
	if *update {
		if err := os.WriteFile("sample.toml", []byte(s.out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("written; run again without -update")
	}
	if s.out.String() != Sample() {
		t.Error("sample.toml is stale: run go test ./conf -update")
	}
}

func TestSampleIsTheDefaults(t *testing.T) {
	got, err := Parse("parley.toml", []byte(Sample()), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("parley.toml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.origin, want.origin = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the sample parses to\n%+v, want the defaults\n%+v", got, want)
	}
}

// The tables that are only examples must be good ones.
func TestSampleExamplesParse(t *testing.T) {
	var text strings.Builder
	in := false
	for l := range strings.Lines(Sample()) {
		in = in || strings.HasPrefix(l, "# [[")
		in = in && strings.HasPrefix(l, "#")
		if in {
			l = strings.TrimPrefix(strings.TrimPrefix(l, "#"), " ")
		}
		text.WriteString(l)
	}
	f, err := Parse("parley.toml", []byte(text.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Backup.Targets) != 1 || f.Backup.Targets[0].Key.Env() == "" {
		t.Errorf("targets of copies are %v", f.Backup.Targets)
	}
	if len(f.Accounts) != 1 || len(f.Certificates) != 1 || f.Accounts[0].Domain != "desk.example" {
		t.Errorf("accounts %v, certificates %v", f.Accounts, f.Certificates)
	}
}

// The sample says of each option when changes hold: at SIGHUP, or after a restart. What stands
// before a table is about all of it, and agrees with the tags that Waiting goes by.
func TestSampleSaysWhenChangesHold(t *testing.T) {
	s, found := newSampler(t), 0
	for _, field := range s.structs["File"].Fields.List {
		key := fieldTag(field).Get("toml")
		if key == "" {
			continue
		}
		found++
		text := strings.Join(strings.Fields(field.Doc.Text()), " ")
		if !strings.Contains(text, "Changes hold after SIGHUP") && !strings.Contains(text, "Changes hold after a restart") {
			t.Errorf("%s: it does not say when changes hold", key)
		}
		tagged := fieldTag(field).Get("changes") == "restart"
		if inner := s.structs[typeName(field)]; inner != nil {
			tagged = tagged || slices.ContainsFunc(inner.Fields.List, func(f *ast.Field) bool { return fieldTag(f).Get("changes") == "restart" })
		}
		if says := strings.Contains(text, "after a restart"); says != tagged {
			t.Errorf("%s: a restart is spoken of: %v; it has the tag, or something in it: %v", key, says, tagged)
		}
	}
	if found < 20 {
		t.Errorf("only %d options and tables", found)
	}
}
