package xmppd

import (
	"context"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// ownRequest answers what concerns the agent's own things; false if it does not.
func (s *Session) ownRequest(st *wire.Stanza, c *wire.Child, set bool) bool {
	switch space := string(c.Space); {
	case space == im.NSBlocking:
		s.blocking(st, c, set)
	case space == im.NSCard:
		s.card(st, c, set)
	case space == im.NSPrivate:
		s.private(st, c, set)
	case space == im.NSLast && !set:
		s.giveActivity(st, s.agent)
	default:
		return false
	}
	return true
}

// othersRequest answers what may be known of an agent whose presence may be seen; false
// if it was not asked.
func (s *Session) othersRequest(st *wire.Stanza, c *wire.Child, g *agent) bool {
	switch {
	case string(c.Space) == im.NSCard && string(c.Name) == "vCard":
		s.giveCard(st, g)
	case string(c.Space) == im.NSLast:
		s.giveActivity(st, g)
	default:
		return false
	}
	return true
}

// forbidden refuses what may not be asked of another account, whether there is one or not
// (RFC 6121 §2.3.3, XEP-0049 §2.3, XEP-0054 §3.2; rules 18 and 24); false if it may be
// asked.
func (s *Session) forbidden(st *wire.Stanza, c *wire.Child) bool {
	no := string(c.Space) == im.NSPrivate || string(c.Space) == im.NSRoster || string(c.Space) == im.NSCard && string(st.Type) == "set"
	if no {
		s.answerError(st, wire.StanzaError{Condition: wire.Forbidden})
	}
	return no
}

// keep keeps what is the agent's own; it is durable when keep returns.
func (g *agent) keep(list ...store.Own) error {
	var t turn
	g.account.changes.take(&t)
	defer g.account.changes.leave(&t)
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	return g.account.store.KeepOwn(ctx, list...)
}

// answerKept says that something is kept, or why not.
func (s *Session) answerKept(st *wire.Stanza, err error) {
	if err != nil {
		s.answerError(st, s.asRefused(err))
		return
	}
	s.answer(st, nil)
}
