package im

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/wire"
)

// XEP-0191 §6; rules 8 and 53.
func TestWhomABlockListMeans(t *testing.T) {
	for _, c := range []struct {
		item           string
		means, doesNot []string
	}{
		{"bob@desk.example/phone", []string{"bob@desk.example/phone"},
			[]string{"bob@desk.example", "bob@desk.example/desk", "desk.example/phone", "bob@desk.example/phone/x"}},
		{"bob@desk.example", []string{"bob@desk.example", "bob@desk.example/phone", "bob@desk.example/a@b/c"},
			[]string{"bobby@desk.example", "bob@desk.example.org", "desk.example", "anna@desk.example/bob@desk.example"}},
		{"desk.example/phone", []string{"desk.example/phone"}, []string{"bob@desk.example/phone", "desk.example", "bob@desk.example"}},
		{"desk.example", []string{"desk.example", "desk.example/x", "bob@desk.example", "bob@desk.example/phone"},
			[]string{"bob@sub.desk.example", "sub.desk.example", "bob@shop.example/desk.example"}},
	} {
		l := BlockList{}.With([]string{c.item, "nobody@nowhere.example"})
		for _, address := range c.means {
			if !l.Blocks(address) {
				t.Errorf("%s does not block %s", c.item, address)
			}
		}
		for _, address := range c.doesNot {
			if l.Blocks(address) {
				t.Errorf("%s blocks %s", c.item, address)
			}
		}
		if less := l.Without([]string{c.item, "somebody@nowhere.example"}); less.Blocks(c.means[0]) || !l.Blocks(c.means[0]) || len(less) != 1 {
			t.Errorf("without %s it is %v, and was %v", c.item, less, l)
		}
	}
}

func TestPreferencesShow(t *testing.T) {
	for _, c := range []struct{ fallback, want string }{{"always", "ann bob"}, {"never", "ann"}, {"roster", "ann bob"}} {
		p := Preferences{Default: c.fallback, Always: []string{"ann"}, Never: []string{"never"}}
		var shown []string
		for _, name := range []string{"ann", "bob", "never"} {
			if p.Shows(name, func(bare string) bool { return bare == "bob" }) {
				shown = append(shown, name)
			}
		}
		if got := strings.Join(shown, " "); got != c.want {
			t.Errorf("%s shows %s, want %s", c.fallback, got, c.want)
		}
	}
	p := Preferences{Default: "roster"}
	if p.ShowAll() || p.Shows("cleo", func(string) bool { return false }) {
		t.Error("who is not in the roster is shown")
	}
}

func TestActivityIsReadBack(t *testing.T) {
	for _, status := range []string{"", "tea & cake", strings.Repeat("é", maxStatus)} {
		a := Activity{At: time.UnixMilli(1234567890123), Status: status}
		got, err := ParseActivity(AppendActivity(nil, a))
		if err != nil || !got.At.Equal(a.At) || !strings.HasPrefix(status, got.Status) || len(got.Status) < min(len(status), maxStatus-1) {
			t.Errorf("%+v, %v; want %+v", got, err, a)
		}
	}
	if got, err := ParseActivity(nil); err == nil {
		t.Errorf("nothing is %+v", got)
	}
}

// request parses an iq with that payload; nil if it is none.
func request(payload string) (*wire.Stanza, *wire.Child) {
	st, err := wire.Parse([]byte("<iq type='set' id='1' xmlns:p='urn:example:p'>"+payload+"</iq>"), wire.Limits{})
	if err != nil || st.Kind != wire.IQ || len(st.Children) != 1 {
		return nil, nil
	}
	return st, &st.Children[0]
}

// refused checks that a parser refuses by a stanza error, which the client sees.
func refused(t *testing.T, payload string, err error) bool {
	t.Helper()
	var e wire.StanzaError
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("%q: %v is no stanza error", payload, err)
	}
	return err != nil
}

// What is blocked is written as it is read.
func FuzzParseBlocked(f *testing.F) {
	for _, items := range []string{"", "<item jid='a@b/c'/>", "<item jid='A@B'/><item jid='a@b'/>", "<item/>", "<item jid='@'/>", "<p:item jid='a'/>",
		"<i:item xmlns:i='urn:xmpp:blocking' jid='a&amp;b@c'/>", "<item p:jid='a' jid='b'/>", "text", "<item jid='b'><item jid='c'/></item>", "<item xmlns='' jid='x'/>"} {
		f.Add("<block xmlns='urn:xmpp:blocking'>" + items + "</block>")
	}
	f.Fuzz(func(t *testing.T, payload string) {
		st, c := request(payload)
		if st == nil {
			return
		}
		jids, err := ParseBlocked(st, c)
		if refused(t, payload, err) {
			return
		}
		out := string(AppendBlocked(nil, "blocklist", jids))
		st, c = request(out)
		if st == nil {
			t.Fatalf("%q is answered with %q", payload, out)
		}
		if again, err := ParseBlocked(st, c); err != nil || strings.Join(again, " ") != strings.Join(jids, " ") {
			t.Errorf("%q blocks %q, which is read again as %q, %v", payload, jids, again, err)
		}
	})
}

// What is put aside comes back as what it was, and no more than that.
func FuzzParsePrivate(f *testing.F) {
	for _, things := range []string{"", "<a xmlns='urn:a'/>", "<a xmlns='urn:a'>x</a><a xmlns='urn:a'><b/></a><c xmlns='urn:a' d='e'/>", "<p:a><p:b xmlns:p='urn:q'/></p:a>",
		"<a/>", "<a xmlns=''/>", "<a xmlns='jabber:client'/>", "<vCard xmlns='vcard-temp'/>", "<a xmlns='urn:a&amp;&#x27;'><![CDATA[</a>]]></a>", "text",
		"<p:a xmlns='urn:x'><b p:c='&lt;'/></p:a>"} {
		f.Add("<query xmlns='jabber:iq:private'>" + things + "</query>")
	}
	f.Add("<q:query xmlns:q='jabber:iq:private' xmlns='urn:a'><b/></q:query>")
	f.Fuzz(func(t *testing.T, payload string) {
		st, c := request(payload)
		if st == nil {
			return
		}
		list, err := ParsePrivate(st, c)
		if refused(t, payload, err) {
			return
		}
		for i := range list {
			p := &list[i]
			out := string(AppendPrivate(nil, p, p.Value))
			st, c = request(out)
			if st == nil {
				t.Fatalf("%q is given back as %q", payload, out)
			}
			again, err := ParsePrivate(st, c)
			if err != nil || len(again) != 1 || again[0].Key() != p.Key() || string(again[0].Value) != string(p.Value) {
				t.Errorf("%q is given back as %q, which is read as %+v, %v", payload, out, again, err)
			}
		}
	})
}

// Preferences are written as they are read.
func FuzzParsePreferences(f *testing.F) {
	for _, lists := range []string{"", "<always><jid>a@b</jid></always>", "<always><jid>A@b/c</jid><jid> a@b </jid></always><never><jid>a@b</jid></never>",
		"<never><jid/></never>", "<never><jid>@</jid></never>", "<never><p:jid>a</p:jid>text</never><never><jid>b</jid></never>", "<always xmlns=''><jid>a</jid></always>"} {
		for _, fallback := range []string{"always", "never", "roster", "", "Always"} {
			f.Add("<prefs xmlns='urn:xmpp:mam:2' default='" + fallback + "'>" + lists + "</prefs>")
		}
	}
	f.Add("<prefs/>")
	f.Fuzz(func(t *testing.T, payload string) {
		st, c := request(payload)
		if st == nil {
			return
		}
		p, err := ParsePreferences(st, c)
		if refused(t, payload, err) {
			return
		}
		out := string(AppendPreferences(nil, &p))
		st, c = request(out)
		if st == nil {
			t.Fatalf("%q is answered with %q", payload, out)
		}
		again, err := ParsePreferences(st, c)
		if err != nil || string(AppendPreferences(nil, &again)) != out {
			t.Errorf("%q is answered with %q, which is read as %+v, %v", payload, out, again, err)
		}
	})
}
