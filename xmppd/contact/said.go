package contact

import (
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/wire"
)

// A Message is what is said, as the body of a desk.Said.
type Message struct {
	store.Message
	At time.Time
}

// The resources of a visitor's JID under which others speak than the visitor.
const (
	BotResource    = "bot"
	SystemResource = "parley"
)

// Text is something said by the visitor, a bot or the account itself. The id is its client's, and
// stays the same when it is sent again; with none it is never taken for a repetition.
func (k *Contacts) Text(c *desk.Contact, by desk.Party, id, text string, now time.Time) *Message {
	m := &Message{At: now}
	m.Type, m.From, m.To = "chat", c.Address+"@"+Host(k.config.Domain), k.config.Domain
	switch by {
	case desk.Bot:
		m.From += "/" + BotResource
	case desk.System:
		m.From += "/" + SystemResource
	}
	m.ID, m.OriginID, m.Lang = id, id, c.Lang
	m.Inner = append(wire.AppendText([]byte("<body>"), text), "</body>"...)
	return m
}

// op is the record of what is said.
func (k *Contacts) op(ch *desk.Change, conv store.Conversation) store.Op {
	m := ch.Said.Body.(*Message)
	op := store.Op{Conversation: conv, Kind: store.KindMessage, Actor: ch.Said.Agent, At: m.At, Data: store.AppendMessage(nil, &m.Message)}
	if op.RepeatID = m.OriginID; op.RepeatID == "" {
		op.RepeatID = m.ID
	}
	op.Content = m.Inner
	if by := ch.Said.By; by == desk.Bot || by == desk.System {
		op.Content = append([]byte(by+" "), m.Inner...) // it is no repetition of what the visitor has said
	}
	return op
}

// SpokenBy is whose a record is, if something was said in it; else nil.
func SpokenBy(e *store.Entry) *desk.Said {
	if e.Kind != store.KindMessage {
		return nil
	}
	if e.Actor != 0 {
		return &desk.Said{By: desk.Agents, Agent: e.Actor}
	}
	m, err := store.ParseMessage(e.Data)
	if e.Locked || err != nil {
		return &desk.Said{By: desk.Visitor}
	}
	switch _, resource, _ := strings.Cut(m.From, "/"); resource {
	case BotResource:
		return &desk.Said{By: desk.Bot}
	case SystemResource:
		return &desk.Said{By: desk.System}
	}
	return &desk.Said{By: desk.Visitor}
}
