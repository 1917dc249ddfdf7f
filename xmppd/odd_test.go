package xmppd

import "strings"

// oddStanzas are what the talks don't say: each handler's stanzas with attributes
// missing, empty, twice meant or too many. CVE-2011-4320 and CVE-2010-0305 were such.
var oddStanzas = []string{
	"<message/>", "<presence/>", "<iq/>", "<iq type='get'/>", "<iq id=''/>", "<iq type='set' id='1'><a/><b/></iq>",
	"<message to=''/>", "<message to='' type='error'><error/></message>", "<message to='@'/>", "<message to='/'/>",
	"<message type='error' to='anna@desk.example/laptop'/>", "<message type='error' to='nobody@desk.example'/>",
	"<iq type='error'/>", "<iq type='result'/>", "<iq type='result' to='bob@desk.example/desk'/>", "<iq type='error' id='1' to='anna@desk.example'/>",
	"<iq type='get' id='1' to='bob@desk.example/desk'><x/></iq>", "<iq type='get' id='1' to='desk.example'><x xmlns=''/></iq>",
	"<presence type='probe'/>", "<presence type='probe' to=''/>", "<presence type='subscribe'/>", "<presence type='unsubscribed' to='@'/>",
	"<presence type='error'/>", "<presence type='unavailable' to='bob@desk.example'/>", "<presence to='bob@desk.example/desk'/><presence type='unavailable'/>",
	"<presence><priority/></presence>", "<presence><priority>128</priority></presence>", "<presence><priority>-1</priority></presence><presence/>",
	"<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info' node=''/></iq>",
	"<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item/></query></iq>", "<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver=''/></iq>",
	"<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq><iq type='set' id='1'><enabled xmlns='urn:xmpp:carbons:2'/></iq>",
	"<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
	"<iq type='set' id='1'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data'><field/><field var=''/><field var='with'/></x></query></iq>",
	"<iq type='set' id='1'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max/><after/><before/></set></query></iq>",
	"<iq type='set' id='1' to='bob@desk.example'><query xmlns='urn:xmpp:mam:2'/></iq>", "<iq type='get' id='1'><metadata xmlns='urn:xmpp:mam:2'/></iq>",
	"<message to='bob@desk.example'><body/><stanza-id xmlns='urn:xmpp:sid:0'/><delay xmlns='urn:xmpp:delay'/><origin-id xmlns='urn:xmpp:sid:0'/></message>",
	"<message to='bob@desk.example' type='chat' id='1'><body>a</body></message><message to='bob@desk.example' type='chat' id='1'><body>a</body></message>",
	"<message to='anna@desk.example' type='chat'><body>to myself</body></message>", "<message type='groupchat' to='bob@desk.example/desk'><body/></message>",
	"<a xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='-1'/>", "<r xmlns='urn:xmpp:sm:3'/>", "<resume xmlns='urn:xmpp:sm:3'/>", "<enable xmlns='urn:xmpp:sm:3'/>",
	"<x/>", "<x xmlns='urn:x'/>", "<message xmlns='urn:x'/>", "<iq from='anna@desk.example' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq from='@'/>",
}

// A chooser makes stanzas: each byte chooses one thing. The end chooses the first of
// all things.
type chooser struct{ left []byte }

func (c *chooser) n(limit int) int {
	if len(c.left) == 0 {
		return 0
	}
	b := c.left[0]
	c.left = c.left[1:]
	return int(b) % limit
}

func (c *chooser) one(list []string) string { return list[c.n(len(list))] }

// What attributes say, and what stands where text does.
var (
	oddTypes  = []string{"", "chat", "normal", "headline", "groupchat", "error", "get", "set", "result", "unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "odd"}
	oddValues = []string{
		"", "1", "-1", "0", "4294967296", "bob@desk.example", "bob@desk.example/desk", "anna@desk.example", "anna@desk.example/laptop", "anna@desk.example/phone",
		"nobody@desk.example", "desk.example", "shop.example", "carol@shop.example/x", "@", "/", "BOB@desk.example/gone", "bob@desk.example/", "&amp;&lt;&#x9;", "true",
		"urn:xmpp:mam:2", "2026-01-01T00:00:00Z", "with", "start", "ids", "after-id", "FORM_TYPE", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "both", "remove", "en",
	}
	// $ is an attribute's value or text; # are up to three of these.
	oddPayloads = []string{
		"$", "<body>$</body>", "<body/>", "<subject>$</subject>", "<thread/>", "<priority>$</priority>", "<show>$</show>", "<error type='$'>#</error>", "<x xmlns='$'>#</x>",
		"<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='http://jabber.org/protocol/disco#info' node='$'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
		"<query xmlns='jabber:iq:roster' ver='$'>#</query>", "<query xmlns='jabber:iq:roster'><item jid='$' name='$' subscription='$'><group>$</group></item></query>", "<item jid='$'/>", "<item>#</item>",
		"<query xmlns='jabber:iq:version'/>", "<enable xmlns='urn:xmpp:carbons:2'/>", "<disable xmlns='urn:xmpp:carbons:2'/>", "<private xmlns='urn:xmpp:carbons:2'/>",
		"<sent xmlns='urn:xmpp:carbons:2'>#</sent>", "<received xmlns='urn:xmpp:carbons:2'>#</received>", "<forwarded xmlns='urn:xmpp:forward:0'>#</forwarded>",
		"<query xmlns='urn:xmpp:mam:2' queryid='$'>#</query>", "<query xmlns='urn:xmpp:mam:2'/>", "<metadata xmlns='urn:xmpp:mam:2'/>", "<result xmlns='urn:xmpp:mam:2' id='$'>#</result>", "<flip-page/>",
		"<x xmlns='jabber:x:data' type='$'>#</x>", "<field var='$'>#</field>", "<field var='$'><value>$</value><value>$</value></field>", "<field/>", "<value>$</value>",
		"<set xmlns='http://jabber.org/protocol/rsm'>#</set>", "<max>$</max>", "<max/>", "<after>$</after>", "<before>$</before>", "<before/>", "<index>$</index>",
		"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>$</resource></bind>", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>",
		"<stanza-id xmlns='urn:xmpp:sid:0' by='$' id='$'/>", "<stanza-id xmlns='urn:xmpp:sid:0'/>", "<origin-id xmlns='urn:xmpp:sid:0' id='$'/>", "<delay xmlns='urn:xmpp:delay' from='$' stamp='$'/>",
		"<no-store xmlns='urn:xmpp:hints'/>", "<store xmlns='urn:xmpp:hints'/>", "<no-copy xmlns='urn:xmpp:hints'/>", "<active xmlns='http://jabber.org/protocol/chatstates'/>",
		"<request xmlns='urn:xmpp:receipts'/>", "<received xmlns='urn:xmpp:receipts' id='$'/>", "<x xmlns='http://jabber.org/protocol/muc#user'>#</x>",
		"<block xmlns='urn:xmpp:blocking'>#</block>", "<unblock xmlns='urn:xmpp:blocking'>#</unblock>", "<blocklist xmlns='urn:xmpp:blocking'/>", "<vCard xmlns='vcard-temp'>#</vCard>",
		"<query xmlns='jabber:iq:private'>#</query>", "<query xmlns='jabber:iq:last'/>", "<time xmlns='urn:xmpp:time'/>", "<c xmlns='http://jabber.org/protocol/caps' node='$' ver='$' hash='$'/>",
	}
	oddNonzas = []string{"<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='$'/>", "<active xmlns='urn:xmpp:csi:0'/>", "<inactive xmlns='urn:xmpp:csi:0'/>", "<resume xmlns='urn:xmpp:sm:3' previd='$' h='$'/>", " "}
)

// stanzas are what the bytes stand for.
func (c *chooser) stanzas() string {
	var b strings.Builder
	for len(c.left) > 0 {
		name := c.one([]string{"message", "iq", "presence", "message", "iq", "presence", "iq", ""})
		if name == "" {
			b.WriteString(c.fill(c.one(oddNonzas), 0))
			continue
		}
		b.WriteString("<" + name)
		for _, attr := range []string{"type", "id", "to", "from", "xml:lang"} {
			values := oddValues
			if attr == "type" {
				values = oddTypes
			}
			if there := c.n(4); there > 1 || there > 0 && attr != "from" { // another from ends the stream
				b.WriteString(" " + attr + "='" + c.one(values) + "'")
			}
		}
		b.WriteString(">" + c.fill("#", 0) + "</" + name + ">")
	}
	return b.String()
}

// fill puts something in the places of a payload.
func (c *chooser) fill(form string, depth int) string {
	var b strings.Builder
	for _, r := range form {
		switch {
		case r == '$':
			b.WriteString(c.one(oddValues))
		case r != '#':
			b.WriteRune(r)
		case depth < 4:
			for range c.n(4) {
				b.WriteString(c.fill(c.one(oddPayloads), depth+1))
			}
		}
	}
	return b.String()
}
