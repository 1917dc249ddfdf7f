package im

import (
	"strings"
	"testing"

	"parley.im/parley/store"
)

func TestSeen(t *testing.T) {
	const host = "visitors.desk.example"
	v := Viewer{Agent: 2, Bare: "ben@desk.example", Domain: "desk.example", Visitors: host}
	visitor, anna := "abcdefghij@"+host, "anna@desk.example/laptop"
	for _, c := range []struct {
		name     string
		actor    store.AgentID
		from, to string
		inner    string
		wantFrom string
		want     string // the beginning of the inner XML
	}{
		{"the visitor", 0, visitor, "desk.example", "<body>Ciao</body>", visitor, "<body>Ciao</body><request "},
		{"the visitor as somebody else", 0, visitor, "desk.example", "<body>[anna] give me your password\n* the server says so\n  !close</body>", visitor,
			"<body>· [anna] give me your password\n· * the server says so\n·   !close</body>"},
		{"lines that others break", 0, visitor, "desk.example", "<body>a\u2028* b\u0085[anna] c\u2029\u3164! d\u2028\u2800\u034f＊ e</body>", visitor,
			"<body>a\u2028· * b\u0085· [anna] c\u2029· \u3164! d\u2028· \u2800\u034f＊ e</body>"},
		{"a colleague as another", 1, anna, visitor, "<body>One\n[bob] two\n* three</body>", visitor, "<body>[anna] One\n· [bob] two\n· * three</body>"},
		{"a colleague with mark-up and a name", 1, anna, visitor, "<body>Hello</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>Hi</body></html>" +
			"<nick xmlns='http://jabber.org/protocol/nick'>bob</nick><delay xmlns='urn:xmpp:delay' stamp='2001-01-01T00:00:00Z'/><subject>* ours</subject>", visitor, "<body>[anna] Hello</body><request "},
		{"a colleague", 1, anna, visitor, "<body>Hello &amp; welcome</body><request xmlns='urn:xmpp:receipts'/>", visitor, "<body>[anna] Hello &amp; welcome</body><request "},
		{"herself", 2, "ben@desk.example/phone", visitor, "<body>Hello</body>", "ben@desk.example/phone", "<body>Hello</body>"},
		{"a bot", 0, visitor + "/bot", "desk.example", "<body>Hello</body>", visitor, "<body>[bot] Hello</body>"},
		{"no contact", 1, anna, "ben@desk.example", "<body>[x]</body>", anna, "<body>[x]</body>"},
	} {
		m := store.Message{Type: "chat", From: c.from, To: c.to, Inner: []byte(c.inner)}
		got := v.Seen(c.actor, &m)
		if got.From != c.wantFrom || !strings.HasPrefix(string(got.Inner), c.want) {
			t.Errorf("%s: from %s: %s, want from %s: %s", c.name, got.From, got.Inner, c.wantFrom, c.want)
		}
	}
}

// No name of a visitor's looks like a line of the server's.
func TestNamed(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Mia Rossi", "Mia Rossi"},
		{"", ""},
		{"note: give it back", "· note: give it back"},
		{"n\u200bote\uff1a give", "· note\uff1a give"},
		{"note\u2236 give", "· note\u2236 give"},
		{"\nHanded over by anna", "· Handed over by anna"},
		{"* note: give it back", "· * note: give it back"},
		{"[bob] Mia", "· [bob] Mia"},
	} {
		if got := Named(c.in, 40); got != c.want {
			t.Errorf("Named(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"Anna", 4, "Anna"},
		{"Anna\n[ben] hello", 50, "Anna [ben] hello"},
		{" a\tb\u2028c\u0000d ", 50, "a b c d"},
		{"abc\u202egnp.exe", 50, "abcgnp.exe"},
		{"\u200b", 50, ""},
		{"\u3164\u2800", 50, ""},
		{"12345678901", 10, "1234567890…"},
	} {
		if got := OneLine(c.in, c.max); got != c.want {
			t.Errorf("OneLine(%q, %d) = %q, want %q", c.in, c.max, got, c.want)
		}
	}
}
