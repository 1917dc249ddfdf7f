package xmppd

import (
	"context"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// maxCard is how long a vCard can be, in bytes.
const maxCard = 128 << 10

// card gives the agent's own vCard, or keeps it (XEP-0054 §3.1, §3.2).
func (s *Session) card(st *wire.Stanza, c *wire.Child, set bool) {
	switch {
	case string(c.Name) != "vCard":
		s.answerError(st, wire.StanzaError{Condition: wire.BadRequest})
	case set:
		s.answerKept(st, s.keepCard(st, c))
	default:
		s.giveCard(st, s.agent)
	}
}

// giveCard gives an agent's vCard. For another one who has none the answer is that for
// nobody (XEP-0054 §3.3; rule 18).
func (s *Session) giveCard(st *wire.Stanza, g *agent) {
	s.answerLater(st, func(ctx context.Context, reply func([]byte)) error {
		card := []byte(im.NoCard)
		if g != s.agent {
			card = nil
		}
		err := g.account.store.OwnOf(ctx, g.id, store.OwnCard, func(_ string, value []byte) error {
			card = clone(value)
			return nil
		})
		switch {
		case err != nil:
			return err
		case card == nil:
			return wire.StanzaError{Condition: wire.ServiceUnavailable}
		}
		reply(card)
		return nil
	})
}

// keepCard keeps the vCard as it came; an empty one is none.
func (s *Session) keepCard(st *wire.Stanza, c *wire.Child) error {
	card, err := st.Open(c)
	if err != nil {
		return wire.StanzaError{Condition: wire.BadRequest}
	}
	if len(card.Raw()) > maxCard {
		return wire.StanzaError{Condition: wire.PolicyViolation, Text: "a vCard is 128 KiB long at most"}
	}
	own := store.Own{Agent: s.agent.id, Part: store.OwnCard}
	if !card.Empty() {
		own.Value = card.Raw()
	}
	return s.agent.keep(own)
}
