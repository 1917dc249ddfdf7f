package im

import (
	"strings"
	"testing"

	"parley.im/parley/xmppd/wire"
)

func parseMessage(t *testing.T, inside string) *wire.Stanza {
	t.Helper()
	st, err := wire.Parse([]byte("<message>"+inside+"</message>"), wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// What is kept: XEP-0313 §6.1.1, XEP-0334 §4, XEP-0160 §3; rules 23 and 39.
func TestWhatIsKept(t *testing.T) {
	const body = "<body>Hello</body>"
	hints := func(names ...string) (b string) {
		for _, n := range names {
			b += "<" + n + " xmlns='urn:xmpp:hints'/>"
		}
		return b
	}
	for _, c := range []struct {
		name, inside string
		want         bool
	}{
		{"a body", body, true},
		{"an empty body", "<body/>", true},
		{"nothing", "", false},
		{"a subject alone", "<subject>Tea</subject>", false},
		{"a body of another kind", "<body xmlns='urn:example:other'>Hello</body>", false},
		{"a correction", body + "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>", true},
		{"a receipt", "<received xmlns='urn:xmpp:receipts' id='m1'/>", true},
		{"a request for one", "<request xmlns='urn:xmpp:receipts'/>", false},
		{"a marker", "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>", true},
		{"a request for one", "<markable xmlns='urn:xmpp:chat-markers:0'/>", false},
		{"a reaction", "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>+1</reaction></reactions>", true},
		{"a retraction", "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>", true},
		{"something encrypted", "<encrypted xmlns='eu.siacs.conversations.axolotl'/>", true},
		{"a chat state", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false},
		{"a chat state with a body", body + "<active xmlns='http://jabber.org/protocol/chatstates'/>", true},

		{"a body, no-store", body + hints("no-store"), false},
		{"a body, no-permanent-store", body + hints("no-permanent-store"), false},
		{"a body, no-copy", body + hints("no-copy"), true},
		{"a body, store", body + hints("store"), true},
		{"store alone", hints("store"), true},
		{"a chat state, store", "<composing xmlns='http://jabber.org/protocol/chatstates'/>" + hints("store"), true},
		{"store and no-store", body + hints("store", "no-store"), false},
		{"no-store and store", body + hints("no-store", "store"), false},
		{"store and no-permanent-store", body + hints("store", "no-permanent-store"), false},
		{"a receipt, no-store", "<received xmlns='urn:xmpp:receipts' id='m1'/>" + hints("no-store"), false},
		{"a hint of another kind", body + "<no-store xmlns='urn:example:other'/>", true},
		{"a hint within something", body + "<x xmlns='urn:example:other'>" + hints("no-store") + "</x>", true},
	} {
		st := parseMessage(t, c.inside)
		for k := range kinds {
			want := c.want && (k == Chat || k == Normal)
			if got := Kept(k, st); got != want {
				t.Errorf("%s, of kind %d, is kept: %t, want %t", c.name, k, got, want)
			}
		}
	}
}

// XEP-0359 §3: all stanza-ids in our name go, but not what is inside of something
// else, and nothing of others'. Rule 39.
func TestForgedStanzaIDsAreTakenOut(t *testing.T) {
	ours := func(by []byte) bool { return string(by) == "bob@desk.example" }
	const (
		forged  = "<stanza-id xmlns='urn:xmpp:sid:0' by='bob@desk.example' id='f'/>"
		quoted  = `<s:stanza-id xmlns:s="urn:xmpp:sid:0" id = "f" by = "&#98;ob@desk.example" >x</s:stanza-id>`
		foreign = "<stanza-id xmlns='urn:xmpp:sid:0' by='room@chat.example' id='r'/>"
		nobody  = "<stanza-id xmlns='urn:xmpp:sid:0' id='n'/>"
		other   = "<stanza-id xmlns='urn:example:other' by='bob@desk.example' id='o'/>"
		origin  = "<origin-id xmlns='urn:xmpp:sid:0' id='mine'/>"
		nested  = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>" + forged + "</message></forwarded>"
		body    = "<body>Hello</body>"
	)
	in := forged + body + quoted + foreign + forged + nobody + other + origin + nested + forged
	if got, want := string(Cleaned(parseMessage(t, in), ours)), body+foreign+nobody+other+origin+nested; got != want {
		t.Errorf("left: %s\nwant: %s", got, want)
	}
	if got := string(Cleaned(parseMessage(t, strings.Repeat(forged, 50)), ours)); got != "" {
		t.Errorf("left: %s", got)
	}
}

func TestCopies(t *testing.T) { // rule 37; XEP-0280 §6.1, XEP-0334 §4.3
	const (
		body   = "<body>Hi</body>"
		room   = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
		invite = "<m:x xmlns:m='http://jabber.org/protocol/muc#user'><m:invite from='bob@desk.example'/></m:x>"
	)
	for _, c := range []struct {
		name, typ, inner string
		sent, received   bool
	}{
		{"chat", "chat", body, true, true},
		{"chat without a body", "chat", "<x xmlns='urn:example'/>", true, true},
		{"normal", "normal", body, true, true},
		{"normal, not said", "", body, true, true},
		{"normal without a body", "normal", "<x xmlns='urn:example'/>", false, false},
		{"receipt", "normal", "<received xmlns='urn:xmpp:receipts' id='1'/>", true, true},
		{"chat state", "normal", "<gone xmlns='http://jabber.org/protocol/chatstates'/>", true, true},
		{"marker", "normal", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true, true},
		{"marker in a headline", "headline", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true, true},
		{"direct invitation", "normal", "<x xmlns='jabber:x:conference' jid='r@chat.example'/>", true, true},
		{"invitation through a room", "normal", invite, true, true},
		{"headline", "headline", body, false, false},
		{"groupchat", "groupchat", body, false, false},
		{"state in a groupchat", "groupchat", "<gone xmlns='http://jabber.org/protocol/chatstates'/>", false, false},
		{"error", "error", body, false, false},
		{"private", "chat", body + "<private xmlns='urn:xmpp:carbons:2'/>", false, false},
		{"not to be copied", "chat", body + "<no-copy xmlns='urn:xmpp:hints'/>", false, false},
		{"not to be stored", "chat", body + "<no-store xmlns='urn:xmpp:hints'/>", true, true},
		{"private invitation", "normal", invite + "<private xmlns='urn:xmpp:carbons:2'/>", false, false},
		{"between occupants of a room", "chat", body + room, true, false},
		{"of type normal", "normal", body + room, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, err := wire.Parse([]byte("<message type='"+c.typ+"'>"+c.inner+"</message>"), wire.Unlimited)
			if err != nil {
				t.Fatal(err)
			}
			if sent, received := Copies(MessageKind(st.Type), st); sent != c.sent || received != c.received {
				t.Errorf("Copies(%s) = %t, %t, want %t, %t", c.inner, sent, received, c.sent, c.received)
			}
		})
	}
}
