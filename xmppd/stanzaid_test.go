package xmppd

import (
	"encoding/xml"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"parley.im/parley/xmppd/wire"
)

// Whoever gets a message finds one archive id in it, her own: neither what the sender
// made up in any spelling, nor the id that the other side knows it by. XEP-0313 §3.5,
// XEP-0359 §3; rule 39.
func TestEachSeesHerOwnArchiveID(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	anna, tablet := d.device("anna", "laptop", "0"), d.device("anna", "tablet", "0")
	desk, phone := d.device("bob", "desk", "0"), d.device("bob", "phone", "-1")
	tablet.says(t, "<iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	phone.says(t, "<iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	var forged strings.Builder
	for _, by := range []string{
		"bob@desk.example", "BOB@DESK.EXAMPLE", "bob@desk.example.", "bob@desk。example", "ｂｏｂ@desk.example", "bob@desk.example/desk", "desk.example",
		"anna@desk.example", "nobody@desk.example", "&#98;ob@desk.example", "Desk.Example",
	} {
		fmt.Fprintf(&forged, "<stanza-id xmlns='urn:xmpp:sid:0' by='%s' id='forged'/>", by)
	}
	const foreign = "<stanza-id xmlns='urn:xmpp:sid:0' by='bob@rooms.desk.example' id='theirs'/><stanza-id xmlns='urn:xmpp:sid:0' by='' id='theirs'/>"
	for i, c := range []struct {
		to, hint string
		kept     bool
	}{
		{"bob@desk.example", "", true},
		{"bob@desk.example/desk", "", true},
		{"bob@desk.example", "<no-store xmlns='urn:xmpp:hints'/>", false},
	} {
		origin, everybody := fmt.Sprint("mine", i), []*Session{anna, tablet, desk, phone}
		for _, s := range everybody {
			s.hears(t)
		}
		anna.says(t, "<message to='%s' type='chat'>%s<body>Hello</body>%s<origin-id xmlns='urn:xmpp:sid:0' id='%s'/>%s</message>",
			c.to, forged.String(), foreign, origin, c.hint)
		for _, s := range everybody[1:] {
			got := marksOf(t, s.hears(t))
			want := marks{[]mark{{"bob@rooms.desk.example", "theirs"}, {"", "theirs"}}, origin}
			if c.kept {
				newest := s.queries(t, paged("<before/><max>1</max>")).ids
				want.IDs = append(want.IDs, mark{s.agent.bare, newest[0]})
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("to %s %s: %s got %+v, want %+v", c.to, c.hint, s.address, got, want)
			}
		}
	}
}

// marks are what a message has of XEP-0359.
type marks struct {
	IDs    []mark
	Origin string
}

type mark struct {
	By string `xml:"by,attr"`
	ID string `xml:"id,attr"`
}

// marksOf are those of the one message that a device got, or of that in a copy.
func marksOf(t *testing.T, got []*wire.Stanza) marks {
	t.Helper()
	type message struct {
		IDs    []mark `xml:"urn:xmpp:sid:0 stanza-id"`
		Origin mark   `xml:"urn:xmpp:sid:0 origin-id"`
	}
	var m struct {
		message
		Received *message `xml:"received>forwarded>message"`
		Sent     *message `xml:"sent>forwarded>message"`
	}
	if len(got) != 1 {
		t.Fatalf("%d stanzas, want 1", len(got))
	}
	if err := xml.Unmarshal(got[0].Raw(), &m); err != nil {
		t.Fatal(err)
	}
	switch {
	case m.Received != nil:
		m.message = *m.Received
	case m.Sent != nil:
		m.message = *m.Sent
	}
	return marks{m.IDs, m.Origin.ID}
}
