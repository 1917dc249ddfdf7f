package im

import (
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// AppendStamp appends a time as XEP-0082 §3.2 writes it, in UTC with milliseconds. It is
// "2006-01-02T15:04:05.000Z" without looking at that again for each message.
func AppendStamp(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4, '-')
	b = appendDigits(b, int(month), 2, '-')
	b = appendDigits(b, day, 2, 'T')
	b = appendDigits(b, hour, 2, ':')
	b = appendDigits(b, minute, 2, ':')
	b = appendDigits(b, second, 2, '.')
	return appendDigits(b, t.Nanosecond()/1e6, 3, 'Z')
}

// appendDigits appends n with so many digits, and what follows them.
func appendDigits(b []byte, n, width int, next byte) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0 && i >= len(b)-width; i-- {
		b[i] += byte(n % 10)
		n /= 10
	}
	return append(b, next)
}

// AppendStanzaID tells a recipient under which id her archive has the message
// (XEP-0359 §2.1).
func AppendStanzaID(b []byte, by, id string) []byte {
	b = append(b, "<stanza-id xmlns='"+nsStanzaID+"'"...)
	b = wire.AppendAttr(b, "by", by)
	b = wire.AppendAttr(b, "id", id)
	return append(b, "/>"...)
}

// AppendDelay says that a stanza comes later than it was sent (XEP-0203 §2).
func AppendDelay(b []byte, from string, at time.Time) []byte {
	b = append(b, "<delay xmlns='"+nsDelay+"'"...)
	if from != "" {
		b = wire.AppendAttr(b, "from", from)
	}
	b = append(b, " stamp='"...)
	b = AppendStamp(b, at)
	return append(b, "'/>"...)
}

// A Viewer is whose eyes a record is rendered for.
type Viewer struct {
	Agent  store.AgentID
	Bare   string // the agent's bare JID
	Domain string
	// Visitors is the domain of contacts' addresses; "" where there are none.
	Visitors string
	ID       func(store.Ordinal) string // the record's archive id for this viewer
}

// AppendOffline writes a kept message as it is delivered after the fact: with the
// id of the archive and one delay of the server's (XEP-0160 §3; rule 23).
func AppendOffline(b []byte, v *Viewer, e *store.Entry, m *store.Message) []byte {
	b = appendOpen(b, m, "")
	b = append(b, m.Inner...)
	b = AppendStanzaID(b, v.Bare, v.ID(e.Ordinal))
	b = AppendDelay(b, v.Domain, e.At)
	return wire.AppendClose(b, wire.Message)
}

// appendOpen is wire.AppendOpen for a kept message; space is the declaration of its
// namespace, where the surroundings have another.
func appendOpen(b []byte, m *store.Message, space string) []byte {
	b = append(b, "<message"...)
	for _, a := range [...]struct{ name, value string }{
		{"type", m.Type}, {"id", m.ID}, {"to", m.To}, {"from", m.From}, {"xml:lang", m.Lang},
	} {
		if a.value != "" {
			b = wire.AppendAttr(b, a.name, a.value)
		}
	}
	b = append(b, space...)
	b = append(b, m.Decls...)
	return append(b, '>')
}

// appendForwarded writes a message inside <forwarded/> (XEP-0297 §3), with the
// content namespace said outright since the surroundings have another.
func appendForwarded(b []byte, m *store.Message, extra func([]byte) []byte) []byte {
	b = appendOpen(b, m, " xmlns='"+nsClient+"'")
	b = append(b, m.Inner...)
	if extra != nil {
		b = extra(b)
	}
	return wire.AppendClose(b, wire.Message)
}

// A Direction says which way a carbon copy went.
type Direction string

// The two directions of XEP-0280.
const (
	SentCopy     Direction = "sent"
	ReceivedCopy Direction = "received"
)

// AppendCarbon wraps a copy of a message for another device of its owner's
// (XEP-0280 §7, §8; rule 37). id is the message's archive id for the owner, or "".
func AppendCarbon(b []byte, d Direction, owner, to string, m *store.Message, id string) []byte {
	b = wire.AppendOpen(b, wire.Message, wire.Attrs{Type: m.Type, From: owner, To: to})
	b = append(b, '<')
	b = append(b, d...)
	b = append(b, " xmlns='"+nsCarbons+"'><forwarded xmlns='"+nsForward+"'>"...)
	b = appendForwarded(b, m, func(b []byte) []byte {
		if id == "" {
			return b
		}
		return AppendStanzaID(b, owner, id)
	})
	b = append(b, "</forwarded></"...)
	b = append(b, d...)
	b = append(b, '>')
	return wire.AppendClose(b, wire.Message)
}

// Results are those of one archive query.
type Results struct {
	viewer *Viewer
	begin  []byte // of each, up to its id
}

// NewResults is for a query that came from a viewer's device.
func NewResults(v *Viewer, device, queryID string) *Results {
	b := wire.AppendOpen(nil, wire.Message, wire.Attrs{From: v.Bare, To: device})
	b = append(b, "<result xmlns='"+NSArchive+"'"...)
	if queryID != "" {
		b = wire.AppendAttr(b, "queryid", queryID)
	}
	return &Results{v, b}
}

// Append writes one result (XEP-0313 §4.2).
func (r *Results) Append(b []byte, e *store.Entry, m *store.Message) []byte {
	b = append(b, r.begin...)
	b = wire.AppendAttr(b, "id", r.viewer.ID(e.Ordinal))
	b = append(b, "><forwarded xmlns='"+nsForward+"'>"...)
	b = AppendDelay(b, "", e.At)
	b = appendForwarded(b, m, nil)
	b = append(b, "</forwarded></result>"...)
	return wire.AppendClose(b, wire.Message)
}
