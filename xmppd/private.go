package xmppd

import (
	"context"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// What an agent's clients can put aside for her (XEP-0049).
const (
	maxPrivate     = 100     // kinds of elements
	maxPrivateSize = 1 << 20 // bytes in all
)

// private gives what the agent's clients have put aside, or keeps it (XEP-0049).
func (s *Session) private(st *wire.Stanza, c *wire.Child, set bool) {
	list, err := im.ParsePrivate(st, c)
	switch {
	case err != nil:
		s.answerError(st, s.asRefused(err))
	case set:
		s.answerKept(st, s.agent.keepPrivate(list))
	case len(list) > 1:
		s.answerError(st, wire.StanzaError{Condition: wire.BadRequest, Text: "one thing at a time"}) // XEP-0049 §2.3
	default:
		s.answerLater(st, func(ctx context.Context, reply func([]byte)) error {
			return s.givePrivate(ctx, &list[0], reply)
		})
	}
}

func (s *Session) givePrivate(ctx context.Context, p *im.Private, reply func([]byte)) error {
	var found []byte
	err := s.agent.account.store.OwnOf(ctx, s.agent.id, store.OwnPrivate, func(key string, value []byte) error {
		if key == p.Key() {
			found = clone(value)
		}
		return nil
	})
	if err == nil {
		reply(im.AppendPrivate(nil, p, found))
	}
	return err
}

// keepPrivate keeps elements in place of those of the same name. An empty one is none,
// so that a client can make room.
func (g *agent) keepPrivate(list []im.Private) error {
	g.changing.Lock()
	defer g.changing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	sizes := make(map[string]int)
	err := g.account.store.OwnOf(ctx, g.id, store.OwnPrivate, func(key string, value []byte) error {
		sizes[key] = len(value)
		return nil
	})
	if err != nil {
		return err
	}
	change := make([]store.Own, len(list))
	for i := range list {
		p := &list[i]
		change[i] = store.Own{Agent: g.id, Part: store.OwnPrivate, Name: p.Key(), Value: p.Value}
		if sizes[p.Key()] = len(p.Value); p.Value == nil {
			delete(sizes, p.Key())
		}
	}
	all := 0
	for _, n := range sizes {
		all += n
	}
	if len(sizes) > maxPrivate || all > maxPrivateSize {
		return wire.StanzaError{Condition: wire.PolicyViolation,
			Text: fmt.Sprintf("no more than %d things, and 1 MiB, can be put aside", maxPrivate)}
	}
	return g.keep(change...)
}
