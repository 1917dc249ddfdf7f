package im

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

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
	who := Program(m)
	if actor != 0 {
		who, _ = split(m.From)
	}
	st, err := wire.ParseInner(m.Decls, m.Inner)
	if err != nil {
		seen.Decls, seen.Inner = nil, nil // it was checked when it came; nobody gets what isn't what it was
		return seen
	}
	seen.Inner = wire.Without(st, func(c *wire.Child) bool { return !passes(c) })
	if c := st.Child(nsClient, "body"); c != nil {
		text := st.Text(c)
		if who == "" {
			text = Marked(text)
		} else {
			text = "[" + who + "] " + Continued(text)
		}
		seen.Inner = append(wire.AppendText(append(seen.Inner, "<body>"...), text), "</body>"...)
		seen.Inner = append(seen.Inner, "<request xmlns='"+nsReceipts+"'/><markable xmlns='"+nsMarkers+"'/>"...) // XEP-0184 §5, XEP-0333 §4
	}
	return seen
}

// Program is what a program is called that has said something in a contact: "bot", or "parley" for the server; "" if it was no program.
func Program(m *store.Message) string {
	if _, resource := split(m.From); resource == BotResource || resource == ServerResource {
		return resource
	}
	return ""
}

// passes says whether a child of a message is for others than its sender's devices. What shows the text in another way
// (as XHTML), or says of itself who speaks or when, does not: beside it nobody would see whose words they are.
func passes(c *wire.Child) bool {
	switch string(c.Space) {
	case nsClient:
		return string(c.Name) == "thread"
	case "jabber:x:oob", nsCorrect, nsStates, nsHints:
		return true
	}
	return false
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
	for line := range lines(text) {
		if odd(line) {
			b.WriteString(strange)
		}
		b.WriteString(line)
	}
	return b.String()
}

// Named is what a visitor is called, in a line of at most max runes that may stand where the server's own stand: a name with a
// colon, as in "note: …", and one that says who handed a chat over, are marked, too.
func Named(text string, max int) string {
	name := OneLine(text, max)
	if claims := strings.ContainsAny(name, colons) || strings.HasPrefix(strings.ToLower(name), "handed over"); claims && !odd(name) {
		return strange + name
	}
	return Marked(name)
}

// colons are what looks like one.
const colons = ":\u02d0\u05c3\u2236\ua789\ufe13\ufe30\ufe55\uff1a"

// Continued is Marked for a text that has a line's beginning before it.
func Continued(text string) string {
	for line := range lines(text) {
		return line + Marked(text[len(line):])
	}
	return ""
}

// odd says whether a line begins as those of others do, or looks so.
func odd(line string) bool {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(line, Invisible))
	return strings.ContainsRune("*[>!＊［＞！", first)
}

// lines are a text's, wherever some client breaks them, each with what ends it.
func lines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			end := len(text)
			if i := strings.IndexAny(text, "\n\r\v\f\u0085\u2028\u2029"); i >= 0 {
				_, n := utf8.DecodeRuneInString(text[i:])
				end = i + n
			}
			if !yield(text[:end]) {
				return
			}
			text = text[end:]
		}
	}
}

// Prefixed is a text with something before each of its lines.
func Prefixed(prefix, text string) string {
	var list []string
	for line := range lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, prefix+line)
		}
	}
	return strings.Join(list, "\n")
}

// Invisible says of a character that a line seems to begin after it.
func Invisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me, unicode.Other_Default_Ignorable_Code_Point) ||
		r == '\u2800' // a Braille pattern without dots
}

// OneLine is a text of a stranger's where one line is expected: no line breaks, no controls, and
// nothing that changes the direction of what follows it. At most max runes are left of it.
func OneLine(text string, max int) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point), r == unicode.ReplacementChar:
			continue
		case unicode.IsSpace(r), unicode.IsControl(r), r == '\u2800':
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
	if c := st.Child(nsCorrect, "replace"); c != nil {
		return string(st.ChildAttr(c, "id"))
	}
	return ""
}

// Retracts says whether a message is to take another one back (XEP-0424 §3), in its older form, too.
func Retracts(st *wire.Stanza) bool {
	return st.Child("urn:xmpp:message-retract:1", "retract") != nil || st.Child("urn:xmpp:fasten:0", "apply-to") != nil
}

// Reacts says whether a message is a reaction to another one, whatever its body is for who can't show that (XEP-0444 §3).
func Reacts(st *wire.Stanza) bool { return st.Child("urn:xmpp:reactions:0", "reactions") != nil }

// secret are the namespaces of what clients encrypt for each other.
var secret = map[string]bool{
	"eu.siacs.conversations.axolotl": true, // XEP-0384
	"urn:xmpp:omemo:1":               true,
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
	text := strings.TrimLeftFunc(BodyText(st), Invisible)
	return strings.HasPrefix(text, "?OTR") || strings.HasPrefix(text, "-----BEGIN PGP MESSAGE-----")
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
	NSDiscoInfo, NSDiscoItems, NSCommands, NSPing, NSCard, nsStates, nsReceipts, nsMarkers, nsCorrect, "jabber:x:oob",
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
