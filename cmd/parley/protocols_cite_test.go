package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A remark is a comment of the code, or a paragraph of a talk.
type remark struct {
	file  string // path in the repository
	where string // the test function that it belongs to, if that is known
	text  string // in one line
}

// proves says whether the remark stands in a test, in what only tests use, or in a talk.
func (r remark) proves() bool {
	return strings.HasSuffix(r.file, "_test.go") || strings.HasSuffix(r.file, ".talk") ||
		strings.HasPrefix(r.file, "store/storetest/") || strings.HasPrefix(r.file, "xmppd/xmpptest/")
}

// place is a link for docs/protocols.md: a talk by its number, a test by its name. Line
// numbers would make the page stale with every change.
func (r remark) place() string {
	name := strings.TrimSuffix(r.file, ".go")
	if strings.HasSuffix(r.file, ".talk") {
		name = "talk " + strings.TrimSuffix(filepath.Base(r.file), ".talk")
	}
	return "[" + cmp.Or(r.where, name) + "](../" + r.file + ")"
}

// remarks are all of the repository's, in the order of its files.
func remarks(t *testing.T) (all []remark) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case strings.HasSuffix(name, ".go"):
			found, err := goRemarks(path, name)
			all = append(all, found...)
			return err
		case strings.HasSuffix(name, ".talk"):
			found, err := talkRemarks(path, name)
			all = append(all, found...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 1000 {
		t.Fatalf("only %d comments were found", len(all))
	}
	return all
}

func goRemarks(path, name string) (all []remark, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, group := range f.Comments {
		where := ""
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && strings.HasPrefix(fn.Name.Name, "Test") && (group == fn.Doc || fn.Pos() <= group.Pos() && group.Pos() <= fn.End()) {
				where = fn.Name.Name
			}
		}
		for paragraph := range strings.SplitSeq(group.Text(), "\n\n") {
			all = append(all, remark{name, where, strings.Join(strings.Fields(paragraph), " ")})
		}
	}
	return all, nil
}

// talkRemarks are a talk's prose and its notes.
func talkRemarks(path, name string) (all []remark, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	prose, talk, _ := strings.Cut(string(text), "\n-- ")
	var paragraph []string
	end := func() {
		all = append(all, remark{name, "", strings.Join(paragraph, " ")})
		paragraph = nil
	}
	for line := range strings.Lines(prose + "\n\n") {
		if line = strings.TrimSpace(line); line == "" {
			end()
		} else {
			paragraph = append(paragraph, line)
		}
	}
	for line := range strings.Lines(talk + "\n") {
		if note, ok := strings.CutPrefix(strings.TrimSpace(line), "#"); ok {
			paragraph = append(paragraph, strings.TrimSpace(note))
		} else if paragraph != nil {
			end()
		}
	}
	return all, nil
}

// A citation is one section of a document that a remark names, or the whole document
// (section is "").
type citation struct {
	doc, section string
	notDone      string // what is not done of it, and why
	at           remark
}

var (
	citedDocument = regexp.MustCompile(`\b(?:RFC \d+|XEP-\d{4})\b`)
	citedSection  = regexp.MustCompile(`^(?:'s)?(?: \([^()]*\))?(?:,|;)?(?: and| to)? ?(?:§|appendix )([0-9A-Z]+(?:\.[0-9A-Z]+)*)`)
	saidNotDone   = regexp.MustCompile(`^(?:,)? not done: (.+?)(?:\.(?: |$)|$)`)
)

// citations finds what a remark cites: the document's name, then as many sections as
// follow it.
func (r remark) citations() (all []citation) {
	for _, at := range citedDocument.FindAllStringIndex(r.text, -1) {
		doc, rest := r.text[at[0]:at[1]], r.text[at[1]:]
		var sections []string
		for m := citedSection.FindStringSubmatch(rest); m != nil; m = citedSection.FindStringSubmatch(rest) {
			sections, rest = append(sections, m[1]), rest[len(m[0]):]
		}
		if sections == nil {
			sections = []string{""}
		}
		notDone := ""
		if m := saidNotDone.FindStringSubmatch(rest); m != nil {
			notDone = m[1]
		}
		for _, s := range sections {
			all = append(all, citation{doc, s, notDone, r})
		}
	}
	return all
}

var (
	citedRules = regexp.MustCompile(`\b[Rr]ules? (\d+(?:(?:, | and |, and | to )\d+)*)`)
	ruleRange  = regexp.MustCompile(`(\d+)(?: to (\d+))?`)
)

// rules are the numbers of the rules that a remark names.
func (r remark) rules() []int {
	all := make(map[int]bool)
	for _, list := range citedRules.FindAllStringSubmatch(r.text, -1) {
		for _, m := range ruleRange.FindAllStringSubmatch(list[1], -1) {
			first, _ := strconv.Atoi(m[1])
			last, err := strconv.Atoi(m[2])
			if err != nil {
				last = first
			}
			for n := first; n <= last; n++ {
				all[n] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func TestCitations(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"one section", "counts (XEP-0198 §4)", "XEP-0198 4"},
		{"a deep one at a sentence's end", "ends: RFC 6120 §4.9.3.14.", "RFC 6120 4.9.3.14"},
		{"several", "RFC 6121 §8.5.2, §8.5.3; RFC 7622", "RFC 6121 8.5.2, RFC 6121 8.5.3, RFC 7622 "},
		{"with words between", "XEP-0198 §3 (enable), §4 (acks) and §6", "XEP-0198 3, XEP-0198 4, XEP-0198 6"},
		{"named, then its section", "XEP-0313 (the archive) §4.1", "XEP-0313 4.1"},
		{"an appendix", "RFC 6121, appendix E: nothing", "RFC 6121 E"},
		{"not done", "XEP-0280 §6.1 not done: copies of errors, which. More", "XEP-0280 6.1 (copies of errors, which)"},
		{"a constant of Go", "RFC3339Nano", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, found := range (remark{text: c.in}).citations() {
				said := found.doc + " " + found.section
				if found.notDone != "" {
					said += " (" + found.notDone + ")"
				}
				got = append(got, said)
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("%q cites %q, want %q", c.in, s, c.want)
			}
		})
	}
}

func TestCitedRules(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []int
	}{
		{"so (rule 9).", []int{9}},
		{"Rules 18, 19 and 52: the same", []int{18, 19, 52}},
		{"rules 34 to 36, and rule 2", []int{2, 34, 35, 36}},
		{"business rules; rule of thumb 7", nil},
	} {
		if got := (remark{text: c.in}).rules(); !slices.Equal(got, c.want) {
			t.Errorf("%q names rules %v, want %v", c.in, got, c.want)
		}
	}
}
