package xmppd

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// An answer is what a client gets for an archive query.
type answer struct {
	refused  string   // the condition, or
	ids      []string // the archive's, in the order in which they came
	messages []string // the ids that their senders gave them
	stamps   []string
	fin      fin
}

type fin struct {
	Complete string `xml:"complete,attr"`
	First    struct {
		ID    string `xml:",chardata"`
		Index string `xml:"index,attr"`
	} `xml:"http://jabber.org/protocol/rsm set>first"`
	Last  string `xml:"http://jabber.org/protocol/rsm set>last"`
	Count string `xml:"http://jabber.org/protocol/rsm set>count"`
}

// A result is what a page has of one message.
type result struct {
	QueryID   string `xml:"queryid,attr"`
	ID        string `xml:"id,attr"`
	Forwarded struct {
		Delay struct {
			Stamp string `xml:"stamp,attr"`
		} `xml:"urn:xmpp:delay delay"`
		Message struct {
			ID string `xml:"id,attr"`
		} `xml:"jabber:client message"`
	} `xml:"urn:xmpp:forward:0 forwarded"`
}

// queries sends an archive query with that inside, and reads the answer.
func (s *Session) queries(t *testing.T, inside string) (a answer) {
	t.Helper()
	s.hears(t)
	s.says(t, "<iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2' queryid='f&lt;1'>%s</query></iq>", inside)
	s.drains()
	got := s.hears(t)
	for i, st := range got {
		c := &st.Children[0]
		switch last := i == len(got)-1; {
		case last && st.Kind == wire.IQ && string(st.ID) == "q1":
			a.refused = refusedWith(t, st)
			if err := st.Decode(c, &a.fin); err != nil && a.refused == "" {
				t.Fatal(err)
			}
		case last || st.Kind != wire.Message || string(st.From) != s.agent.bare || string(st.To) != s.address:
			t.Fatalf("%s: answer %d of %d is %s", inside, i+1, len(got), st.Raw())
		default:
			var r result
			if err := st.Decode(c, &r); err != nil || r.QueryID != "f<1" {
				t.Fatalf("%s: %v, queryid %q", st.Raw(), err, r.QueryID)
			}
			a.ids, a.messages = append(a.ids, r.ID), append(a.messages, r.Forwarded.Message.ID)
			a.stamps = append(a.stamps, r.Forwarded.Delay.Stamp)
		}
	}
	return a
}

// refusedWith is the condition of an error, or "".
func refusedWith(t *testing.T, st *wire.Stanza) string {
	t.Helper()
	c := st.Child(wire.NSClient, "error")
	if c == nil {
		return ""
	}
	var e struct {
		Conditions []struct{ XMLName xml.Name } `xml:",any"`
	}
	if err := st.Decode(c, &e); err != nil || len(e.Conditions) == 0 {
		t.Fatalf("%s: %v", st.Raw(), err)
	}
	return e.Conditions[0].XMLName.Local
}

// filter is a submitted form of an archive query; fields are name and values.
func filter(fields ...[]string) string {
	var b strings.Builder
	b.WriteString("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>")
	for _, f := range fields {
		fmt.Fprintf(&b, "<field var='%s'>", f[0])
		for _, v := range f[1:] {
			fmt.Fprintf(&b, "<value>%s</value>", v)
		}
		b.WriteString("</field>")
	}
	return b.String() + "</x>"
}

func paged(inside string) string {
	return "<set xmlns='http://jabber.org/protocol/rsm'>" + inside + "</set>"
}

// A page ends before it is too big to be sent in one go; nothing is lost between the
// pages. Rule 40.
func TestPagesAreBoundedInBytes(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	anna := d.device("anna", "laptop", "")
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("m", i))
		anna.says(t, "<message to='bob@desk.example' id='m%d'><body>%s</body></message>", i, strings.Repeat("x", 60_000))
	}
	const most = pageBytes/60_000 + 1
	var forwards, backwards []string
	for after := ""; ; {
		a := anna.queries(t, paged("<after>"+after+"</after>"))
		forwards = append(forwards, a.messages...)
		if a.fin.Complete == "true" {
			break
		}
		if len(a.ids) == 0 || len(a.ids) > most {
			t.Fatalf("a page of %d, want at most %d", len(a.ids), most)
		}
		after = a.ids[len(a.ids)-1]
	}
	for before := ""; ; {
		a := anna.queries(t, paged("<before>"+before+"</before>")+"<flip-page/>")
		backwards = append(backwards, a.messages...)
		if a.fin.Complete == "true" {
			break
		}
		if len(a.ids) == 0 || len(a.ids) > most || a.fin.First.ID != a.ids[len(a.ids)-1] {
			t.Fatalf("a page of %d, want at most %d; its first is %q of %q", len(a.ids), most, a.fin.First.ID, a.ids)
		}
		before = a.fin.First.ID
	}
	slices.Reverse(backwards)
	if !slices.Equal(forwards, want) || !slices.Equal(backwards, want) {
		t.Errorf("forwards %v\nbackwards %v\nwant %v", forwards, backwards, want)
	}
}

// What was destroyed is in no page, but the places where it was can still be named, so
// that a client goes on from where it was. XEP-0313 §3.2; rule 40.
func TestShreddedConversationInTheArchive(t *testing.T) {
	d := newOffice(t, "anna", "bob", "carol")
	anna := d.device("anna", "laptop", "")
	for i, to := range []string{"bob", "carol", "bob", "carol", "bob"} {
		anna.says(t, "<message to='%s@desk.example' id='m%d'><body>Hello</body></message>", to, i)
	}
	ids := anna.queries(t, "").ids
	carol, err := d.store.FindDirect(t.Context(), d.agent("anna").id, d.agent("carol").id)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.store.Shred(t.Context(), carol); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query, want string
	}{
		{"", "m0 m2 m4"},
		{paged("<after>" + ids[1] + "</after>"), "m2 m4"},
		{paged("<before>" + ids[3] + "</before>"), "m0 m2"},
		{filter([]string{"after-id", ids[1]}, []string{"before-id", ids[3]}), "m2"},
		{filter([]string{"with", "carol@desk.example"}), ""},
		{filter([]string{"ids", ids[0], ids[4]}), "m0 m4"},
		{filter([]string{"ids", ids[0], ids[1]}), wire.ItemNotFound},
	} {
		a := anna.queries(t, c.query)
		if got := strings.Join(a.messages, " ") + a.refused; got != c.want || a.refused == "" && a.fin.Complete != "true" {
			t.Errorf("%s: %q, complete %q, want %q", c.query, got, a.fin.Complete, c.want)
		}
	}
	// The ends are those of what is left (XEP-0313 §5).
	anna.says(t, "<iq type='get' id='e1'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
	if ends := string(anna.hears(t)[0].Inner); !strings.Contains(ends, "<start id='"+ids[0]+"'") || !strings.Contains(ends, "<end id='"+ids[4]+"'") {
		t.Errorf("the ends are %s, want %s and %s", ends, ids[0], ids[4])
	}
}

// Ids that are none, or another's, or were given by nobody: item-not-found, wherever
// they stand, and however the page is bounded. Rules 40 and 41.
func TestUnknownArchiveIDs(t *testing.T) {
	d := newOffice(t, "anna", "bob", "carol")
	anna, bob := d.device("anna", "laptop", ""), d.device("bob", "desk", "")
	anna.says(t, "<message to='bob@desk.example' id='m1'><body>Hello</body></message>")
	bob.says(t, "<message to='carol@desk.example' id='m2'><body>Hello</body></message>")
	mine, bobs := anna.queries(t, "").ids, bob.queries(t, "").ids
	if len(mine) != 1 || len(bobs) != 2 || mine[0] == bobs[0] {
		t.Fatalf("ids %q and %q", mine, bobs)
	}
	forged := mine[0][:25] + string(mine[0][25]^1)
	later := d.agent("anna").viewer.ID(store.Ordinal(1 << 40))
	for _, id := range []string{"nonsense", bobs[0], bobs[1], forged, later, strings.ToUpper(mine[0]), strings.Repeat("a", 1000)} {
		for _, query := range []string{
			filter([]string{"before-id", id}), filter([]string{"after-id", id}), filter([]string{"ids", mine[0], id}),
			filter([]string{"after-id", id}, []string{"with", "nobody@desk.example"}),
			paged("<before>" + id + "</before>"), paged("<after>" + id + "</after>"), paged("<max>0</max><after>" + id + "</after>"),
			filter([]string{"ids", id}) + paged("<max>0</max>"),
		} {
			if a := anna.queries(t, query); a.refused != wire.ItemNotFound {
				t.Errorf("%s: %q with %d results, want %s", query, a.refused, len(a.ids), wire.ItemNotFound)
			}
		}
	}
}
