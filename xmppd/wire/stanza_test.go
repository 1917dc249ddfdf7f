package wire

import (
	"encoding/xml"
	"io"
	"slices"
	"testing"
)

func TestStanza(t *testing.T) {
	s := mustParse(t, `<message to='anna@desk.example' from='' type='chat' id='a&amp;b' xml:lang='de' plain='x' rough='a&#10;b' p:own='no' xmlns:p='urn:example:p'>`+
		`text<body>one</body><p:x>two</p:x><body xml:lang='en'  kind = "a>b&lt;" >three</body><e/></message>`)
	for _, c := range []struct{ name, got, want string }{
		{"kind", s.Kind.String(), "message"},
		{"name", s.Name, "message"},
		{"space", s.Space, NSClient},
		{"to", string(s.To), "anna@desk.example"},
		{"type", string(s.Type), "chat"},
		{"id", string(s.ID), "a&b"},
		{"lang", string(s.Lang), "de"},
		{"declarations", string(s.Decls), " xmlns:p='urn:example:p'"},
		{"an attribute", string(s.Attr("plain")), "x"},
		{"an attribute with a reference", string(s.Attr("rough")), "a\nb"},
		{"the language as an attribute", string(s.Attr("xml:lang")), "de"},
		{"body", s.Text(s.Child(NSClient, "body")), "one"},
		{"a child with a prefix", s.Text(s.Child("urn:example:p", "x")), "two"},
		{"its bytes", string(s.Bytes(s.Child("urn:example:p", "x"))), "<p:x>two</p:x>"},
		{"a child's attribute", string(s.ChildAttr(&s.Children[2], "kind")), "a>b<"},
		{"a child's language", string(s.ChildAttr(&s.Children[2], "xml:lang")), "en"},
		{"no child", s.Text(s.Child(NSClient, "subject")), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.name, c.got, c.want)
		}
	}
	if s.From == nil || len(s.From) != 0 {
		t.Errorf("an empty attribute is %#v, want empty and not nil", s.From)
	}
	if s.Attr("absent") != nil || s.Attr("own") != nil || s.ChildAttr(&s.Children[2], "kin") != nil || s.ChildAttr(&s.Children[3], "x") != nil {
		t.Error("an attribute that is not there is not nil")
	}
	if s.Child(NSClient, "x") != nil || s.Child("urn:example:p", "body") != nil {
		t.Error("a child of another namespace was found")
	}
}

func TestExplicitContentNamespace(t *testing.T) {
	for in, want := range map[string]bool{
		"<message><body/></message>":                               false,
		"<message xmlns='jabber:client'><body/></message>":         false,
		"<message><body xmlns='jabber:client'/></message>":         true,
		"<message><a><b xmlns='jabber&#58;client'/></a></message>": true,
		"<message xmlns:c='jabber:client'/>":                       true,
		"<message><body xmlns='jabber:server'/></message>":         false,
	} {
		if got := mustParse(t, in).Explicit; got != want {
			t.Errorf("Explicit of %q = %v, want %v", in, got, want)
		}
	}
}

func TestWithout(t *testing.T) {
	s := mustParse(t, "<message>a<x/>b<y><x/></y><x>c</x>d</message>")
	for _, c := range []struct {
		name string
		drop []string
		want string
	}{
		{"none", nil, "a<x/>b<y><x/></y><x>c</x>d"},
		{"some", []string{"x"}, "ab<y><x/></y>d"},
		{"another", []string{"y"}, "a<x/>b<x>c</x>d"},
		{"all", []string{"x", "y"}, "abd"},
	} {
		got := Without(s, func(k *Child) bool { return slices.Contains(c.drop, string(k.Name)) })
		if string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if c.drop == nil && &got[0] != &s.Inner[0] {
			t.Error("Inner was copied for nothing")
		}
	}
}

func TestDecode(t *testing.T) {
	s := mustParse(t, `<iq type='set' id='1' xmlns:p='urn:example:p'><query xmlns='urn:xmpp:mam:2' queryid='q'>`+
		`<set xmlns='http://jabber.org/protocol/rsm'><max>10</max></set><p:more p:a='&lt;'>m</p:more></query></iq>`)
	var q struct {
		XMLName xml.Name `xml:"urn:xmpp:mam:2 query"`
		ID      string   `xml:"queryid,attr"`
		Max     int      `xml:"http://jabber.org/protocol/rsm set>max"`
		More    struct {
			A    string `xml:"urn:example:p a,attr"`
			Text string `xml:",chardata"`
		} `xml:"urn:example:p more"`
	}
	if err := s.Decode(&s.Children[0], &q); err != nil {
		t.Fatal(err)
	}
	if q.ID != "q" || q.Max != 10 || q.More.A != "<" || q.More.Text != "m" {
		t.Errorf("decoded %+v", q)
	}
	var wrong struct {
		XMLName xml.Name `xml:"urn:example:other query"`
	}
	if err := s.Decode(&s.Children[0], &wrong); err == nil {
		t.Error("another namespace was accepted")
	}
}

func TestDecodeTakesTheDefaultNamespaceOfANonza(t *testing.T) {
	s := mustParse(t, `<authenticate xmlns='urn:xmpp:sasl:2'><user-agent id='u'/></authenticate>`)
	var agent struct {
		XMLName xml.Name `xml:"urn:xmpp:sasl:2 user-agent"`
		ID      string   `xml:"id,attr"`
	}
	if err := s.Decode(s.Child("urn:xmpp:sasl:2", "user-agent"), &agent); err != nil || agent.ID != "u" {
		t.Error(agent, err)
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"<presence/>":            "",
		"<presence/>\n":          BadFormat,
		"<presence/><presence/>": BadFormat,
		" <presence/>":           BadFormat,
		"<presence>":             io.ErrUnexpectedEOF.Error(),
		"":                       io.ErrUnexpectedEOF.Error(),
		"</stream:stream>":       NotWellFormed,
		"<stream:features/>":     NotWellFormed,
		"<presence>" + string(make([]byte, 1000)): PolicyViolation,
	} {
		if _, err := Parse([]byte(in), Limits{Bytes: 500}); condition(err) != want {
			t.Errorf("Parse(%q): %v, want %q", in, err, want)
		}
	}
}

func TestParseInnerRefusesWhatWasNotChecked(t *testing.T) {
	for _, c := range []struct{ decls, inner string }{
		{"", "<p:x/>"},
		{"", "</message><message>"},
		{"", "<x>"},
		{"><x/", ""},
	} {
		if _, err := ParseInner([]byte(c.decls), []byte(c.inner)); err == nil {
			t.Errorf("ParseInner(%q, %q) was accepted", c.decls, c.inner)
		}
	}
}
