package wire

import (
	"strings"
	"testing"
)

func TestAppendOpenAndClose(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Kind
		in   Attrs
		want string
	}{
		{"bare", Message, Attrs{}, "<message></message>"},
		{"full", IQ, Attrs{Type: "set", ID: []byte("1'2"), To: "a@b/<", From: "c@d", Lang: []byte("en"), Decls: []byte(" xmlns:p='urn:p'")},
			"<iq type='set' id='1&apos;2' to='a@b/&lt;' from='c@d' xml:lang='en' xmlns:p='urn:p'></iq>"},
		{"presence", Presence, Attrs{From: "a&b@c"}, "<presence from='a&amp;b@c'></presence>"},
	} {
		got := string(AppendClose(AppendOpen(nil, c.kind, c.in), c.kind))
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		mustParse(t, got)
	}
}

func TestAppendEscapes(t *testing.T) {
	for _, c := range []struct{ name, in, text, value string }{
		{"plain", "plain text", "plain text", "plain text"},
		{"markup", "<a b='c'>&\"]]>", "&lt;a b=&apos;c&apos;&gt;&amp;&quot;]]&gt;", "&lt;a b=&apos;c&apos;&gt;&amp;&quot;]]&gt;"},
		{"white space", "\t\n\r ", "\t\n&#xD; ", "&#x9;&#xA;&#xD; "},
		{"not allowed", "a\x00b\x1bc\ufffed", "a\ufffdb\ufffdc\ufffdd", "a\ufffdb\ufffdc\ufffdd"},
		{"not UTF-8", "\xffa\xe2\x82", "\ufffda\ufffd\ufffd", "\ufffda\ufffd\ufffd"},
		{"above ASCII", "é\u2028\U0001F600\ufffd\x7f", "é\u2028\U0001F600\ufffd\x7f", "é\u2028\U0001F600\ufffd\x7f"},
		{"empty", "", "", ""},
	} {
		if got := string(AppendText(nil, c.in)); got != c.text {
			t.Errorf("%s: text %q, want %q", c.name, got, c.text)
		}
		if got, want := string(AppendAttr(nil, "a", []byte(c.in))), " a='"+c.value+"'"; got != want {
			t.Errorf("%s: attribute %q, want %q", c.name, got, want)
		}
	}
}

func TestAppendError(t *testing.T) {
	e := StanzaError{Condition: ServiceUnavailable}
	const inside = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	for _, c := range []struct{ name, in, want string }{
		{"request", "<iq type='get' id='1' from='a@b/c' to='d'><x/></iq>", "<iq type='error' id='1' to='a@b/c' from='d@e'>" + inside + "</iq>"},
		{"message", "<message id='&lt;'/>", "<message type='error' id='&lt;' from='d@e'>" + inside + "</message>"},
		{"presence", "<presence/>", "<presence type='error' from='d@e'>" + inside + "</presence>"},
		// RFC 6120 §8.3.1, §8.2.3
		{"error", "<message type='error' from='a@b'/>", ""},
		{"result", "<iq type='result' id='1'/>", ""},
		{"error to a request", "<iq type='error' id='1'/>", ""},
		{"no stanza", "<r xmlns='urn:xmpp:sm:3'/>", ""},
	} {
		if got := string(AppendError([]byte("#"), mustParse(t, c.in), "d@e", e)); got != "#"+c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAppendHeader(t *testing.T) {
	for _, h := range []Header{
		{},
		{To: "emil@desk.example", From: "desk.example", ID: "s1", Lang: "en", Version: "1.0", Space: NSClient},
		{ID: awkward},
	} {
		in := string(AppendHeader(nil, h)) + StreamEnd
		if h.Version == "" {
			h.Version = "1.0"
		}
		if h.Space == "" {
			h.Space = NSClient
		}
		if got, err := NewReader(strings.NewReader(in), Limits{}).Header(); err != nil || got != h {
			t.Errorf("%s is read as %+v, %v, want %+v", in, got, err, h)
		}
	}
}

func TestKindNames(t *testing.T) {
	for k, want := range map[Kind]string{Message: "message", Presence: "presence", IQ: "iq", Nonza: "nonza"} {
		if got := k.String(); got != want {
			t.Errorf("String of %d = %s, want %s", k, got, want)
		}
	}
}
