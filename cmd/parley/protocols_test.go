package main

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docs/protocols.md and doap.xml are what the comments and the table of documents say
// (XEP-0453).
func TestProtocolsPagesAreFresh(t *testing.T) {
	t.Parallel()
	all := remarks(t)
	for name, want := range map[string]string{
		"docs/protocols.md": protocolsPage(all),
		"doap.xml":          doap(),
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if updating() {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != want {
			t.Errorf("%s is stale: run make refs", name)
		}
	}
}

// What is cited is in the table, what the table promises is cited, and neither says
// more than the other.
func TestProtocolsTable(t *testing.T) {
	t.Parallel()
	by := citationsBy(remarks(t))
	for _, d := range documents {
		found := by[d.name]
		delete(by, d.name)
		undone := slices.ContainsFunc(found, func(c citation) bool { return c.notDone != "" })
		if d.state != planned && found == nil {
			t.Errorf("no comment cites %s, which is %s in protocols_documents_test.go", d.name, d.state)
		}
		if d.state == planned && found != nil && d.note == "" {
			t.Errorf("%s cites %s, which is planned: the table is to say what is done, or in the note why it is named already", found[0].at.file, d.name)
		}
		if (d.state == complete || d.state == partial) != (d.since != "") {
			t.Errorf("%s is %s, since %q", d.name, d.state, d.since)
		}
		if d.state == complete && undone {
			t.Errorf("%s is said to be complete, but a comment says that something of it is not done", d.name)
		}
		if d.state == partial && d.note == "" {
			t.Errorf("%s is partial: the table is to say what is missing", d.name)
		}
	}
	for name, found := range by {
		t.Errorf("%s cites %s, which protocols_documents_test.go does not have: title, version and state are wanted", found[0].at.file, name)
	}
	if !slices.IsSortedFunc(documents, func(a, b document) int { return strings.Compare(a.name, b.name) }) {
		t.Error("the documents are not in order")
	}
}

func TestDOAPIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(doap()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func citationsBy(all []remark) map[string][]citation {
	by := make(map[string][]citation)
	for _, r := range all {
		for _, c := range r.citations() {
			by[c.doc] = append(by[c.doc], c)
		}
	}
	return by
}

// compareSections puts §4.2 before §4.10, appendices last, the whole document first.
func compareSections(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		m, errA := strconv.Atoi(a)
		n, errB := strconv.Atoi(b)
		if errA == nil && errB == nil {
			return cmp.Compare(m, n)
		}
		return strings.Compare(a, b)
	})
}

// places are the links of remarks, each once, in their order.
func places(all []remark) string {
	var links []string
	for _, r := range all {
		if link := r.place(); !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	return strings.Join(links, ", ")
}

func protocolsPage(all []remark) string {
	by := citationsBy(all)
	var b strings.Builder
	b.WriteString(`# Protocols

What Parley does of which document, and what shows it. ` + "`make refs`" + ` makes this page and ` + "`doap.xml`" + ` from the comments of the code and the
talks (§ names a section there), and from the table in ` + "`cmd/parley/protocols_documents_test.go`" + `; a test compares.

**complete** all that concerns such a server · **partial** the note says what is missing · **planned** not there · **cited** for a detail; it promises nothing.
The version is the one that was read; since is Parley's.

| Document | Title | Version | State | Since | Note |
|---|---|---|---|---|---|
`)
	for _, d := range documents {
		name := d.name
		if by[name] != nil {
			name = "[" + name + "](#" + strings.ToLower(strings.ReplaceAll(name, " ", "-")) + ")"
		}
		fmt.Fprintf(&b, "| %s | [%s](%s) | %s | %s | %s | %s |\n", name, d.title, d.url(), d.version, d.state, d.since, d.note)
	}
	undoneList(&b, by)
	b.WriteString("\n## Rules\n\nWhat is easily got wrong. Comments name these rules by their numbers.\n\n" +
		"| | Rule | Shown by | Obeyed in |\n|---|---|---|---|\n")
	rulesTable(&b, all)
	b.WriteString("\n## Sections\n")
	for _, d := range documents {
		if by[d.name] != nil {
			sectionsTable(&b, d, by[d.name])
		}
	}
	return b.String()
}

// undoneList tells what comments say is not done, if any does.
func undoneList(b *strings.Builder, by map[string][]citation) {
	heading := "\n## Not done\n\nBy the code's own word; the notes above say what else is missing.\n\n"
	for _, d := range documents {
		for _, c := range by[d.name] {
			if c.notDone != "" {
				fmt.Fprintf(b, "%s* %s: %s (%s)\n", heading, strings.TrimSuffix(c.doc+" §"+c.section, " §"), c.notDone, c.at.place())
				heading = ""
			}
		}
	}
}

func sectionsTable(b *strings.Builder, d document, found []citation) {
	fmt.Fprintf(b, "\n### %s\n\n%s.\n\n| Section | Code | Tests and talks |\n|---|---|---|\n", d.name, d.title)
	slices.SortStableFunc(found, func(x, y citation) int { return compareSections(x.section, y.section) })
	for len(found) > 0 {
		n := slices.IndexFunc(found, func(c citation) bool { return c.section != found[0].section })
		if n < 0 {
			n = len(found)
		}
		var code, shown []remark
		for _, c := range found[:n] {
			if c.at.proves() {
				shown = append(shown, c.at)
			} else {
				code = append(code, c.at)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", d.link(found[0].section), places(code), places(shown))
		found = found[n:]
	}
}

func (d document) url() string {
	if number, ok := strings.CutPrefix(d.name, "RFC "); ok {
		return "https://www.rfc-editor.org/rfc/rfc" + number
	}
	return "https://xmpp.org/extensions/" + strings.ToLower(d.name) + ".html"
}

// link is a section's; those of XEPs have names that only the XEP knows.
func (d document) link(section string) string {
	name, anchor := "§"+section, "#section-"+section
	switch {
	case section == "":
		return "–"
	case section[0] >= 'A':
		name, anchor = "appendix "+section, "#appendix-"+section
	}
	if strings.HasPrefix(d.name, "RFC ") {
		return "[" + name + "](" + d.url() + anchor + ")"
	}
	return name
}
