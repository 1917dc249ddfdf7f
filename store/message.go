package store

import (
	"encoding/binary"
	"errors"
)

// A Message is the neutral form of a message record: what was said, by whom and
// to whom, as the checked bytes that came, with the namespace declarations and
// the language that they need to mean the same again. Render functions elsewhere
// make stanzas and JSON of it for whoever looks.
type Message struct {
	Type     string // the stanza's type: "chat", "normal"
	From, To string // JIDs; From is full, To as it was addressed
	ID       string // the stanza's id
	OriginID string // XEP-0359 §2.2
	Lang     string // the effective xml:lang
	Decls    []byte // namespace declarations of the stanza's own start tag
	Inner    []byte // the checked children
}

const messageVersion = 1

// AppendMessage appends m's encoding to b: a version byte, then each field with
// its length before it.
func AppendMessage(b []byte, m *Message) []byte {
	b = append(b, messageVersion)
	for _, s := range [...]string{m.Type, m.From, m.To, m.ID, m.OriginID, m.Lang} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, s := range [...][]byte{m.Decls, m.Inner} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

var errMessage = errors.New("not a message record")

// ParseMessage undoes AppendMessage. Decls and Inner point into b.
func ParseMessage(b []byte) (m Message, err error) {
	if len(b) == 0 || b[0] != messageVersion {
		return m, errMessage
	}
	var fields [8]struct{ from, to int }
	at := 1
	for i := range fields {
		n, w := binary.Uvarint(b[at:])
		if w <= 0 || n > uint64(len(b)-at-w) {
			return m, errMessage
		}
		fields[i].from, fields[i].to = at+w, at+w+int(n)
		at = fields[i].to
	}
	if at != len(b) {
		return m, errMessage
	}
	text := string(b[:fields[5].to]) // one for all: messages are read by the thousand
	for i, s := range [...]*string{&m.Type, &m.From, &m.To, &m.ID, &m.OriginID, &m.Lang} {
		*s = text[fields[i].from:fields[i].to]
	}
	m.Decls, m.Inner = b[fields[6].from:fields[6].to], b[fields[7].from:]
	return m, nil
}
