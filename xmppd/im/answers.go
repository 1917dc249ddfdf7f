package im

import "parley.im/parley/xmppd/wire"

// Features of an agent's own account and of the server, as XEP-0030 §3 lists
// them.
var (
	ServerFeatures = []string{
		"http://jabber.org/protocol/disco#info",
		"http://jabber.org/protocol/disco#items",
		"jabber:iq:version",
		"msgoffline", // XEP-0160 §4
		nsCarbons,    // XEP-0280 §4
		"urn:xmpp:ping",
	}
	AccountFeatures = []string{
		"http://jabber.org/protocol/disco#info",
		"http://jabber.org/protocol/disco#items",
		NSArchive,
		NSArchive + "#extended",
		nsStanzaID,
	}
)

// AppendDiscoInfo writes an answer of XEP-0030 §3.1.
func AppendDiscoInfo(b []byte, category, typ, name string, features []string) []byte {
	b = append(b, "<query xmlns='http://jabber.org/protocol/disco#info'><identity"...)
	b = wire.AppendAttr(b, "category", category)
	b = wire.AppendAttr(b, "type", typ)
	if name != "" {
		b = wire.AppendAttr(b, "name", name)
	}
	b = append(b, "/>"...)
	for _, f := range features {
		b = append(b, "<feature"...)
		b = wire.AppendAttr(b, "var", f)
		b = append(b, "/>"...)
	}
	return append(b, "</query>"...)
}

// DiscoItems is the answer to a request for items where there are none
// (XEP-0030 §4).
const DiscoItems = "<query xmlns='http://jabber.org/protocol/disco#items'/>"

// Version is the answer to XEP-0092: the name alone, since a version number helps
// an attacker more than anyone else (WCP-17).
const Version = "<query xmlns='jabber:iq:version'><name>Parley</name><version>-</version></query>"

// A Colleague is an item of the group that the server manages.
type Colleague struct{ JID, Name string }

// AppendRoster writes a roster or a push of it (RFC 6121 §2.1): each colleague
// with a mutual subscription, in one group.
func AppendRoster(b []byte, colleagues []Colleague) []byte {
	b = append(b, "<query xmlns='jabber:iq:roster'>"...)
	for _, c := range colleagues {
		b = append(b, "<item"...)
		b = wire.AppendAttr(b, "jid", c.JID)
		b = wire.AppendAttr(b, "name", c.Name)
		b = append(b, " subscription='both'><group>Colleagues</group></item>"...)
	}
	return append(b, "</query>"...)
}

// AppendRosterRemoval writes a push that takes an item away (RFC 6121 §2.1.2.5).
func AppendRosterRemoval(b []byte, jid string) []byte {
	b = append(b, "<query xmlns='jabber:iq:roster'><item"...)
	b = wire.AppendAttr(b, "jid", jid)
	return append(b, " subscription='remove'/></query>"...)
}
