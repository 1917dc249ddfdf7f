package im

import (
	"strings"
	"unicode"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// The resources of a contact's JID under which others speak than its visitor.
const (
	BotResource    = "bot"
	ServerResource = "parley"
)

// strange is put before a line of a visitor's that would else look like the server's own, like
// a colleague's, or like a quotation of either.
const strange = "· "

// Seen is a message of a contact as this viewer sees it: what she said herself as it is, all else
// from the contact's one address, with the names of those who are not the visitor before it. A
// message of no contact is what it is.
func (v *Viewer) Seen(actor store.AgentID, m *store.Message) store.Message {
	contact := contactOf(v.Visitors, m)
	if contact == "" || actor == v.Agent {
		return *m
	}
	seen := *m
	seen.From, seen.To = contact, v.Bare
	who := ""
	switch local, resource := split(m.From); {
	case actor != 0:
		who = local
	case resource == BotResource, resource == ServerResource:
		who = resource
	}
	st, err := wire.ParseInner(m.Decls, m.Inner)
	if err != nil {
		seen.Decls, seen.Inner = nil, nil // it was checked when it came; nobody gets what isn't what it was
		return seen
	}
	seen.Inner = wire.Without(st, func(c *wire.Child) bool {
		// What the sender's client wants to know is between it and the server.
		return isBody(c) || string(c.Space) == nsReceipts || string(c.Space) == nsMarkers || string(c.Space) == nsStanzaID
	})
	if c := st.Child(nsClient, "body"); c != nil {
		text := st.Text(c)
		if who == "" {
			text = Marked(text)
		} else {
			text = "[" + who + "] " + text
		}
		seen.Inner = append(wire.AppendText(append(seen.Inner, "<body>"...), text), "</body>"...)
		seen.Inner = append(seen.Inner, "<request xmlns='"+nsReceipts+"'/><markable xmlns='"+nsMarkers+"'/>"...) // XEP-0184 §5, XEP-0333 §4
	}
	return seen
}

func isBody(c *wire.Child) bool { return string(c.Space) == nsClient && string(c.Name) == "body" }

// contactOf is the bare JID of the contact that a message is of, or "".
func contactOf(host string, m *store.Message) string {
	for _, jid := range [...]string{m.From, m.To} {
		bare, _, _ := strings.Cut(jid, "/")
		if _, domain, ok := strings.Cut(bare, "@"); ok && domain == host && host != "" {
			return bare
		}
	}
	return ""
}

func split(jid string) (local, resource string) {
	bare, resource, _ := strings.Cut(jid, "/")
	local, _, _ = strings.Cut(bare, "@")
	return local, resource
}

// Marked is a text of a visitor's in which no line can be taken for somebody else's.
func Marked(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if first := strings.TrimLeftFunc(line, invisible); first != "" && strings.ContainsRune("*[>!", rune(first[0])) {
			b.WriteString(strange)
		}
		b.WriteString(line)
	}
	return b.String()
}

func invisible(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cf) }

// OneLine is a text of a stranger's where one line is expected: no line breaks, no controls, and
// nothing that changes the direction of what follows it. At most max runes are left of it.
func OneLine(text string, max int) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Cf), r == unicode.ReplacementChar:
			continue
		case unicode.IsSpace(r), unicode.IsControl(r):
			r = ' '
		}
		if n++; n > max {
			return strings.TrimSpace(b.String()) + "…"
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// BodyText is what a message says; "" if it says nothing (RFC 6121 §5.2.3).
func BodyText(st *wire.Stanza) string {
	if c := st.Child(nsClient, "body"); c != nil {
		return st.Text(c)
	}
	return ""
}

// WithBody is a message's children, cleaned as Cleaned does it, with another text.
func WithBody(st *wire.Stanza, ours func(jid []byte) bool, text string) []byte {
	inner := wire.Without(st, func(c *wire.Child) bool {
		return isBody(c) || string(c.Space) == nsStanzaID && string(c.Name) == "stanza-id" && ours(st.ChildAttr(c, "by"))
	})
	return append(wire.AppendText(append(inner, "<body>"...), text), "</body>"...)
}

// Corrects is the id of the message that this one corrects; "" if it is a new one (XEP-0308 §3).
func Corrects(st *wire.Stanza) string {
	if c := st.Child("urn:xmpp:message-correct:0", "replace"); c != nil {
		return string(st.ChildAttr(c, "id"))
	}
	return ""
}

// secret are the namespaces of what clients encrypt for each other.
var secret = map[string]bool{
	"eu.siacs.conversations.axolotl": true, // XEP-0384
	"urn:xmpp:omemo:2":               true,
	"urn:xmpp:openpgp:0":             true, // XEP-0373
	"jabber:x:encrypted":             true, // XEP-0027
	"urn:xmpp:eme:0":                 true, // XEP-0380 §3
}

// Secret says whether a message was encrypted by its client, so that its body is for nobody
// (XEP-0380, XEP-0364 §4.1).
func Secret(st *wire.Stanza) bool {
	for i := range st.Children {
		if secret[string(st.Children[i].Space)] {
			return true
		}
	}
	return strings.HasPrefix(BodyText(st), "?OTR")
}

// ChatState is what a message says of its sender besides words (XEP-0085 §5.1); "" if nothing.
func ChatState(st *wire.Stanza) string {
	for i := range st.Children {
		if c := &st.Children[i]; string(c.Space) == nsStates {
			return string(c.Name)
		}
	}
	return ""
}

// AppendChatState writes a message of that alone.
func AppendChatState(b []byte, from, to, state string) []byte {
	b = wire.AppendOpen(b, wire.Message, wire.Attrs{Type: "chat", From: from, To: to})
	b = append(append(append(b, '<'), state...), " xmlns='"+nsStates+"'/><no-store xmlns='"+nsHints+"'/>"...)
	return wire.AppendClose(b, wire.Message)
}

// VisitorFeatures are what a visitor's address can do, for clients that look before they show it.
var VisitorFeatures = []string{
	NSDiscoInfo, NSDiscoItems, NSCommands, NSPing, NSCard, nsStates, nsReceipts, nsMarkers, "urn:xmpp:message-correct:0", "jabber:x:oob",
}

// MessageText is what a kept message says.
func MessageText(m *store.Message) string {
	st, err := wire.ParseInner(m.Decls, m.Inner)
	if err != nil {
		return ""
	}
	return BodyText(st)
}

// Mark is the id of the message that a client says has arrived (XEP-0184 §5) or was read (XEP-0333
// §5), and the kind of event that this is; 0 if it says neither.
func Mark(st *wire.Stanza) (id string, kind store.Kind) {
	if c := st.Child(nsMarkers, "displayed"); c != nil {
		return string(st.ChildAttr(c, "id")), store.KindMessageRead
	}
	for _, c := range [...]*wire.Child{st.Child(nsReceipts, "received"), st.Child(nsMarkers, "received")} {
		if c != nil {
			return string(st.ChildAttr(c, "id")), store.KindMessageDelivered
		}
	}
	return "", 0
}

// AppendMark tells a client how far its message has come.
func AppendMark(b []byte, from, to, id string, kind store.Kind) []byte {
	b = wire.AppendOpen(b, wire.Message, wire.Attrs{Type: "chat", From: from, To: to})
	name, space := "received", nsReceipts
	if kind == store.KindMessageRead {
		name, space = "displayed", nsMarkers
	}
	b = append(append(append(append(append(b, '<'), name...), " xmlns='"...), space...), '\'')
	b = append(wire.AppendAttr(b, "id", id), "/><no-store xmlns='"+nsHints+"'/>"...)
	return wire.AppendClose(b, wire.Message)
}
