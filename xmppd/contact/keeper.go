package contact

import (
	"encoding/json"
	"fmt"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A Record is what is kept of one event, or of what was said.
type Record struct {
	Ordinal store.Ordinal
	N       int64
}

// Records are those of a change, as desk.Change.Kept has them: of its events in their order, and
// then of what was said.
type Records []Record

// Keep keeps a change: its events, what was said, the contact itself, and who sees it, in one
// transaction.
func (k *Contacts) Keep(ch *desk.Change, done func(error)) {
	var b *store.Batch
	conv, err := k.conversation(ch.Is.ID)
	if err == nil {
		b, err = k.batch(ch, conv)
	}
	if err != nil {
		// Nothing can be appended, so nobody is told out of turn.
		done(err)
		return
	}
	b.Done = func(b *store.Batch) {
		if b.Err == nil {
			records := make(Records, len(b.Ops))
			for i := range b.Ops {
				records[i] = Record{b.Ops[i].Ordinal, b.Ops[i].N}
			}
			ch.Kept = records
			ch.Repeated = ch.Said != nil && b.Ops[len(b.Ops)-1].Repeated
		}
		done(b.Err)
	}
	k.store.Append(b)
}

func (k *Contacts) batch(ch *desk.Change, conv store.Conversation) (*store.Batch, error) {
	b := &store.Batch{Ops: make([]store.Op, 0, len(ch.Events)+1)}
	now := k.config.Now()
	for i := range ch.Events {
		e := &ch.Events[i]
		data, err := json.Marshal(k.told(ch, e))
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", e.Kind.Event(), err)
		}
		b.Ops = append(b.Ops, store.Op{Conversation: conv, Kind: e.Kind, Actor: e.Actor, At: now, Data: data})
	}
	if ch.Said != nil {
		op := k.op(ch, conv)
		b.Ops = append(b.Ops, op)
	}
	if ch.Is == ch.Was {
		return b, nil
	}
	data, err := json.Marshal(ch.Is)
	if err != nil {
		return nil, fmt.Errorf("write contact: %w", err)
	}
	c := ch.Is
	b.Contact = &store.ContactChange{Contact: store.Contact{
		ID: c.ID, Address: c.Address, Version: c.Version, State: uint8(c.State), Live: c.State != desk.Finalized,
		Owner: c.Owner, Visitor: c.Visitor, Created: c.Created, Ended: c.Ended, Outcome: string(c.Outcome), Data: data,
	}, From: 1}
	var before []store.AgentID
	if ch.Was != nil {
		b.Contact.Was = ch.Was.Version
		before = readers(ch.Was)
	}
	after := readers(c)
	for _, a := range after {
		if !slices.Contains(before, a) {
			b.Contact.See = append(b.Contact.See, a)
		}
	}
	for _, a := range before {
		if !slices.Contains(after, a) {
			b.Contact.Hide = append(b.Contact.Hide, a)
		}
	}
	return b, nil
}

// readers are the agents in whose archives a contact is: who have it, or were invited, and who writes it up. Finalized, it is in none.
func readers(c *desk.Contact) (list []store.AgentID) {
	if c.Held() {
		list = append(list, c.Owner)
	}
	return append(list, c.Guests...)
}
