package im

import "parley.im/parley/xmppd/wire"

// Namespaces that several files speak of.
const (
	nsClient   = "jabber:client"
	nsHints    = "urn:xmpp:hints"
	nsCarbons  = "urn:xmpp:carbons:2"
	nsForward  = "urn:xmpp:forward:0"
	nsDelay    = "urn:xmpp:delay"
	nsStanzaID = "urn:xmpp:sid:0"
	NSArchive  = "urn:xmpp:mam:2" // XEP-0313
	nsRSM      = "http://jabber.org/protocol/rsm"
	nsForm     = "jabber:x:data"
	nsReceipts = "urn:xmpp:receipts"
	nsMarkers  = "urn:xmpp:chat-markers:0"
	nsStates   = "http://jabber.org/protocol/chatstates"
	nsMUCUser  = "http://jabber.org/protocol/muc#user"
	nsCorrect  = "urn:xmpp:message-correct:0"
)

// content are the namespaces whose elements are worth keeping without a body:
// a device that was away would miss something without them.
var content = map[string]bool{
	nsReceipts:                       true, // XEP-0184
	nsMarkers:                        true, // XEP-0333
	"urn:xmpp:reactions:0":           true, // XEP-0444
	"urn:xmpp:message-retract:1":     true, // XEP-0424
	"eu.siacs.conversations.axolotl": true, // XEP-0384
	"urn:xmpp:omemo:2":               true,
	"urn:xmpp:openpgp:0":             true, // XEP-0373
	"jabber:x:conference":            true, // XEP-0249
	"urn:xmpp:jingle-message:0":      true, // XEP-0353
	"urn:xmpp:message-attaching:1":   true, // XEP-0367
}

// Kept says whether a message goes into the log, and with it into archives,
// offline delivery and webhooks: those of type chat or normal with a body or
// something else that a device must not miss (XEP-0313 §6.1.1), unless the sender
// asks otherwise. Chat states alone are for the moment only.
//
// XEP-0334 §4: a message that says both store and no-store is not kept, since that
// can't be made good later. One that may wait but not stay (no-permanent-store) is not
// kept either, since what waits here stands in the log; XEP-0334 §5 leaves that to us,
// and its sender hears when it reaches nobody. A headline is not kept with store, since
// RFC 6121 §8.5.2.2.1 has it ignored where nobody is.
func Kept(k Kind, m *wire.Stanza) bool {
	if k != Chat && k != Normal {
		return false
	}
	if m.Child(nsHints, "no-store") != nil || m.Child(nsHints, "no-permanent-store") != nil {
		return false
	}
	if Spoken(m) || m.Child(nsHints, "store") != nil {
		return true
	}
	for i := range m.Children {
		if c := &m.Children[i]; content[string(c.Space)] && !isRequest(c) {
			return true
		}
	}
	return false
}

// Spoken says whether somebody said something in a message.
func Spoken(m *wire.Stanza) bool { return m.Child(nsClient, "body") != nil }

// isRequest tells a request for a receipt or marker from the receipt itself.
func isRequest(c *wire.Child) bool {
	return string(c.Name) == "request" || string(c.Name) == "markable"
}

// Copies says whether a message is copied to its sender's other devices, and to its
// recipient's (XEP-0280 §6.1; rule 37).
func Copies(k Kind, m *wire.Stanza) (sent, received bool) {
	if k == Groupchat || k == ErrorMessage || m.Child(nsCarbons, "private") != nil || m.Child(nsHints, "no-copy") != nil {
		return false, false
	}
	sent = k == Chat || k == Normal && Spoken(m) || instant(m)
	room := m.Child(nsMUCUser, "x")
	switch {
	case room == nil:
		return sent, sent
	case invites(m, room):
		return true, true
	}
	// What a room's occupant says privately reaches the recipient's devices from the room
	// itself.
	return sent, false
}

// invites says whether a room's element is an invitation through the room (XEP-0045
// §7.8.2).
func invites(m *wire.Stanza, room *wire.Child) bool {
	var x struct {
		Invitations []struct{} `xml:"http://jabber.org/protocol/muc#user invite"`
	}
	return m.Decode(room, &x) == nil && len(x.Invitations) > 0
}

// instant says whether a message without a body is of the kind that people chat
// with.
func instant(m *wire.Stanza) bool {
	for i := range m.Children {
		switch string(m.Children[i].Space) {
		case nsReceipts, nsMarkers, nsStates, "jabber:x:conference":
			return true
		}
	}
	return false
}

// Cleaned is a message's children without what only a server may say: stanza-ids
// and delays in the name of one of ours (XEP-0359 §3, XEP-0203 §5; rules 23 and 39).
// ours says whether a JID is of an account here.
func Cleaned(m *wire.Stanza, ours func(jid []byte) bool) []byte {
	return wire.Without(m, func(c *wire.Child) bool {
		switch {
		case string(c.Space) == nsStanzaID && string(c.Name) == "stanza-id":
			return ours(m.ChildAttr(c, "by"))
		case string(c.Space) == nsDelay && string(c.Name) == "delay":
			return ours(m.ChildAttr(c, "from"))
		}
		return false
	})
}

// OriginID is the id that the sender's client gave a message, which stays the same
// when it is sent again (XEP-0359 §2.2); "" if there is none.
func OriginID(m *wire.Stanza) string {
	if c := m.Child(nsStanzaID, "origin-id"); c != nil {
		return string(m.ChildAttr(c, "id"))
	}
	return ""
}
