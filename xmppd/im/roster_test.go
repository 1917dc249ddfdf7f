package im

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// rosterSet parses a roster set as it would come.
func rosterSet(items string) (RosterSet, error) {
	st, err := wire.Parse([]byte("<iq type='set' id='1'><query xmlns='jabber:iq:roster'>"+items+"</query></iq>"), wire.Limits{})
	if err != nil {
		return RosterSet{}, err
	}
	return ParseRosterSet(st, &st.Children[0])
}

// Rule 24.
func TestParseRosterSet(t *testing.T) {
	groups := func(n int) (b string) {
		for i := range n {
			b += fmt.Sprintf("<group>%d</group>", i)
		}
		return b
	}
	for _, c := range []struct {
		name, items string
		want        string // what it asks for, or the refusal
	}{
		{"as it should be", "<item jid='bob@desk.example' name='Bob'><group>A</group><group>B &amp; C</group></item>", `bob@desk.example "Bob" ["A" "B & C"]`},
		{"nothing but the address", "<item jid='bob@desk.example'/>", `bob@desk.example "" []`},
		{"what is the server's to say", "<item jid='bob@desk.example' subscription='both' ask='subscribe' approved='true'/>", `bob@desk.example "" []`},
		{"another spelling (rule 8)", "<item jid='BOB@Desk.Example'/>", `bob@desk.example "" []`},
		{"a service", "<item jid='rooms.desk.example'/>", `rooms.desk.example "" []`},
		{"away with it", "<item jid='bob@desk.example' subscription='remove' name='x'><group/></item>", `remove bob@desk.example`},
		{"a foreign child", "<item jid='bob@desk.example'><x xmlns='y'><group>A</group></x></item>", `bob@desk.example "" []`},
		{"none", "", wire.BadRequest},
		{"two", "<item jid='bob@desk.example'/><item jid='carol@desk.example'/>", wire.BadRequest},
		{"no address", "<item name='x'/>", wire.JIDMalformed},
		{"no good address", "<item jid='b@@c'/>", wire.JIDMalformed},
		{"a device", "<item jid='bob@desk.example/desk'/>", wire.BadRequest},
		{"an empty group", "<item jid='bob@desk.example'><group/></item>", wire.NotAcceptable},
		{"a group of spaces", "<item jid='bob@desk.example'><group> </group></item>", wire.NotAcceptable},
		{"the same group twice", "<item jid='bob@desk.example'><group>A</group><group>A</group></item>", wire.BadRequest},
		{"a long name", "<item jid='bob@desk.example' name='" + strings.Repeat("n", 1024) + "'/>", wire.NotAcceptable},
		{"a long group", "<item jid='bob@desk.example'><group>" + strings.Repeat("n", 1024) + "</group></item>", wire.NotAcceptable},
		{"many groups", "<item jid='bob@desk.example'>" + groups(51) + "</item>", wire.NotAcceptable},
		{"as long as can be", "<item jid='bob@desk.example' name='" + strings.Repeat("n", 1023) + "'/>", `bob@desk.example "` + strings.Repeat("n", 1023) + `" []`},
	} {
		set, err := rosterSet(c.items)
		got := fmt.Sprintf("%s %q %q", set.JID, set.Name, set.Groups)
		var refused wire.StanzaError
		switch {
		case errors.As(err, &refused):
			got = refused.Condition
		case err != nil:
			got = err.Error()
		case set.Remove:
			got = "remove " + set.JID
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Whatever comes is refused with a stanza error, or can be kept, read again and shown.
func FuzzRosterSet(f *testing.F) {
	for _, items := range []string{
		"<item jid='bob@desk.example' name='Bob'><group>A</group></item>", "<item jid='a@b' subscription='remove'/>", "<item/>",
		"<item jid='a@b' name='&lt;&#10;'><group>]]&gt;</group></item>", "<item x:jid='q@r' xmlns:x='y' jid='a@b'/>",
	} {
		f.Add(items)
	}
	f.Fuzz(func(t *testing.T, items string) {
		set, err := rosterSet(items)
		var refused wire.StanzaError
		var stream wire.StreamError
		if err != nil {
			if !errors.As(err, &refused) && !errors.As(err, &stream) && !strings.Contains(err.Error(), "EOF") {
				t.Fatalf("%q: %v", items, err)
			}
			return
		}
		c := &Contact{JID: set.JID, Name: set.Name, Groups: set.Groups, Set: true, With: 7, State: FromOut, Approved: true}
		again, err := ParseContact(c.JID, c.Encode())
		if err != nil || len(again.Groups) != len(c.Groups) || string(again.AppendTo(nil)) != string(c.AppendTo(nil)) {
			t.Fatalf("%q: kept %+v, read %+v, %v", items, c, again, err)
		}
		shown := "<item jid='x' name='y'><group>z</group></item>"
		for _, b := range [][]byte{c.AppendTo(nil), AppendColleague(nil, c.JID, "his", c), AppendRemoved(nil, c.JID)} {
			shown = string(b)
			st, err := wire.Parse([]byte("<iq><query xmlns='jabber:iq:roster'>"+shown+"</query></iq>"), wire.Limits{Bytes: 1 << 20, Children: 1000})
			if err != nil || len(st.Children) != 1 {
				t.Fatalf("%q is shown as %s: %v", items, shown, err)
			}
		}
	})
}

// What was kept is read again, and what was not is refused.
func FuzzKept(f *testing.F) {
	f.Add((&Contact{Name: "Bob", Groups: []string{"A", ""}, Set: true, State: Both, With: 3}).Encode())
	f.Add((&Pending{By: 300, ID: []byte("i"), Inner: []byte("<status>x</status>")}).Encode())
	f.Add([]byte{1, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseContact("a@b", b); err == nil {
			if again, err := ParseContact("a@b", c.Encode()); err != nil || !reflect.DeepEqual(c, again) {
				t.Errorf("%x is %+v, then %+v, %v", b, c, again, err)
			}
		}
		if q, err := ParsePending("a@b", b); err == nil {
			if again, err := ParsePending("a@b", q.Encode()); err != nil || fmt.Sprintf("%+v", q) != fmt.Sprintf("%+v", again) {
				t.Errorf("%x is %+v, then %+v, %v", b, q, again, err)
			}
		}
	})
}

func TestAColleagueHasTheNameAndGroupsSheGaveHim(t *testing.T) {
	for _, c := range []struct {
		own  *Contact
		want string
	}{
		{nil, "<item jid='bob@x' name='bob' subscription='both'><group>Colleagues</group></item>"},
		{&Contact{State: FromOut, Approved: true}, "<item jid='bob@x' name='bob' subscription='both'><group>Colleagues</group></item>"},
		{&Contact{Set: true}, "<item jid='bob@x' name='bob' subscription='both'/>"},
		{&Contact{Set: true, Name: "Bobby", Groups: []string{"Colleagues", "Tea"}},
			"<item jid='bob@x' name='Bobby' subscription='both'><group>Colleagues</group><group>Tea</group></item>"},
	} {
		if got := string(AppendColleague(nil, "bob@x", "bob", c.own)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.own, got, c.want)
		}
	}
}

// A roster is as its last changes left it, in order, and earlier ones stay as they
// were; its version depends on the items alone.
func TestRosterChanges(t *testing.T) {
	empty := &Roster{}
	a, b := &Contact{JID: "a@x", State: To, With: 1}, &Contact{JID: "b@x"}
	one := empty.With(b)
	two := one.With(a)
	asked := two.Asked(&Pending{From: "a@x"}).Asked(&Pending{From: "0@x"})
	renamed := asked.With(&Contact{JID: "b@x", Name: "B"})
	if empty.Contact("b@x") != nil || one.Contact("a@x") != nil || renamed.Contact("b@x").Name != "B" || two.Contact("b@x") != b {
		t.Error("a change has changed an earlier roster")
	}
	for _, c := range []struct {
		name string
		r    *Roster
		jid  string
		want State
	}{
		{"nobody", two, "c@x", None}, {"a contact", two, "a@x", To}, {"who asks, too", asked, "a@x", ToIn},
		{"who only asks", asked, "0@x", NoneIn}, {"who was answered", asked.Answered("a@x"), "a@x", To},
		{"who was taken away, but still asks", asked.Without("a@x"), "a@x", NoneIn},
	} {
		if got, _ := c.r.State(c.jid); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	sum := func(r *Roster) (v RosterVersion) {
		for _, c := range r.Contacts {
			v = v.Plus(VersionOf(c.AppendTo(nil)))
		}
		return v
	}
	if sum(two) != sum(empty.With(a).With(b)) || sum(two) == sum(renamed) || sum(two) == sum(one) || sum(empty) != (RosterVersion{}) {
		t.Error("a version is not that of the items")
	}
	if v := sum(two).Minus(VersionOf(a.AppendTo(nil))); v != sum(one) || len(v.String()) != 32 {
		t.Errorf("without a: %v, want %v", v, sum(one))
	}
}

// Rule 28: nothing that was said in a request is lost.
func TestARequestIsKeptWhole(t *testing.T) {
	q := &Pending{From: "anna@x", By: 5, ID: []byte("s1"), Lang: []byte("de"), Decls: []byte(" xmlns:n='nick'"), Inner: []byte("<n:nick>Anna</n:nick>")}
	again, err := ParsePending("anna@x", q.Encode())
	if err != nil || again.By != store.AgentID(5) {
		t.Fatalf("%+v, %v", again, err)
	}
	const want = "<presence type='subscribe' id='s1' to='bob@x' from='anna@x' xml:lang='de' xmlns:n='nick'><n:nick>Anna</n:nick></presence>"
	if got := string(again.AppendTo(nil, "bob@x")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
