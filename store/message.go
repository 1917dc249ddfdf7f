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
	b = b[1:]
	next := func() []byte {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			b, err = nil, errMessage
			return nil
		}
		field := b[w : w+int(n)]
		b = b[w+int(n):]
		return field
	}
	for _, s := range [...]*string{&m.Type, &m.From, &m.To, &m.ID, &m.OriginID, &m.Lang} {
		*s = string(next())
	}
	m.Decls, m.Inner = next(), next()
	if err == nil && len(b) != 0 {
		err = errMessage
	}
	return m, err
}
