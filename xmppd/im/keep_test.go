package im

import (
	"testing"

	"parley.im/parley/xmppd/wire"
)

func TestCopies(t *testing.T) { // rule 37; XEP-0280 §6.1
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
