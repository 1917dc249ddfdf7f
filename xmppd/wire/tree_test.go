package wire

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// A node is an element as another parser read it. White space in attributes is
// all spaces, since encoding/xml does not normalise it (XML 1.0 §3.3.3).
type node struct {
	Name  string   // namespace, space, local name
	Attrs []string // the same, then "=" and the value; sorted
	Text  string   // the character data directly inside
	Inner []node
}

func joined(n xml.Name) string { return n.Space + " " + n.Local }

var spaces = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

func startNode(e xml.StartElement) node {
	n := node{Name: joined(e.Name), Attrs: []string{}, Inner: []node{}}
	for _, a := range e.Attr {
		if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
			n.Attrs = append(n.Attrs, joined(a.Name)+"="+spaces.Replace(a.Value))
		}
	}
	slices.Sort(n.Attrs)
	return n
}

// trees reads the elements inside the root of doc, which may lack its end, with
// encoding/xml.
func trees(doc []byte) ([]node, error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	open := []*node{{}}
	for {
		token, err := d.Token()
		if err == io.EOF || err != nil && len(open) == 2 && d.InputOffset() == int64(len(doc)) {
			return open[len(open)-1].Inner, nil
		}
		if err != nil {
			return nil, err
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := startNode(token)
			open = append(open, &n)
		case xml.EndElement:
			open = open[:len(open)-1]
			open[len(open)-1].Inner = append(open[len(open)-1].Inner, *top)
		case xml.CharData:
			top.Text += string(token)
		default:
			return nil, fmt.Errorf("unexpected %T", token)
		}
	}
}

// treeOf reads one element as it would be read behind header.
func treeOf(t testing.TB, element []byte) node {
	t.Helper()
	all, err := trees(append([]byte(header), element...))
	if err != nil || len(all) != 1 {
		t.Fatalf("encoding/xml read %d elements of %q: %v", len(all), element, err)
	}
	return all[0]
}

// attrsOf is what s has of the attributes that a node has.
func attrsOf(n node, get func(name string) []byte) []string {
	got := []string{}
	for _, a := range n.Attrs {
		name, _, _ := strings.Cut(a, "=")
		short := strings.Replace(name, nsXML+" ", "xml:", 1)
		if short = strings.TrimPrefix(short, " "); strings.Contains(short, " ") {
			got = append(got, a) // Attr does not offer attributes with prefixes
			continue
		}
		if v := get(short); v != nil {
			got = append(got, name+"="+spaces.Replace(string(v)))
		}
	}
	return got
}

// sameTree checks that encoding/xml reads a stanza as s has it.
func sameTree(t testing.TB, s *Stanza) {
	t.Helper()
	n := treeOf(t, s.raw)
	if got := s.Space + " " + s.Name; got != n.Name {
		t.Fatalf("%q is named %q, want %q", s.raw, got, n.Name)
	}
	if got := attrsOf(n, s.Attr); !slices.Equal(got, n.Attrs) {
		t.Fatalf("%q has attributes %q, want %q", s.raw, got, n.Attrs)
	}
	if len(s.Children) != len(n.Inner) {
		t.Fatalf("%q has %d children, want %d", s.raw, len(s.Children), len(n.Inner))
	}
	for k := range s.Children {
		c, want := &s.Children[k], n.Inner[k]
		if got := string(c.Space) + " " + string(c.Name); got != want.Name {
			t.Fatalf("child %d of %q is named %q, want %q", k, s.raw, got, want.Name)
		}
		if got := s.Text(c); got != want.Text {
			t.Fatalf("child %d of %q has text %q, want %q", k, s.raw, got, want.Text)
		}
		get := func(name string) []byte { return s.ChildAttr(c, name) }
		if got := attrsOf(want, get); !slices.Equal(got, want.Attrs) {
			t.Fatalf("child %d of %q has attributes %q, want %q", k, s.raw, got, want.Attrs)
		}
	}
}

// forwarded is s as it is sent on.
func forwarded(s *Stanza) []byte {
	b := AppendOpen(nil, s.Kind, Attrs{
		Type: string(s.Type), To: string(s.To), From: string(s.From), ID: s.ID, Lang: s.Lang, Decls: s.Decls,
	})
	b = append(b, s.Inner...)
	return AppendClose(b, s.Kind)
}
