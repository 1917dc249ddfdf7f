package xmppd

import (
	"context"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// rosterRequest answers what is asked of the agent's own roster (RFC 6121 §2).
func (s *Session) rosterRequest(st *wire.Stanza, query *wire.Child, set bool) {
	if set {
		s.answerKept(st, s.rosterSet(st, query))
		return
	}
	ver := st.ChildAttr(query, "ver")
	s.answerLater(st, func(_ context.Context, reply func([]byte)) error {
		s.giveRoster(ver, reply)
		return nil
	})
}

// giveRoster gives a client the roster, or nothing if it has this version (RFC 6121 §2.2,
// §2.6; rule 26). What changes from now on is pushed. ver is nil if the client knows of
// no versions.
//
// What a client has is known by its version, and what led to it is not: who has missed
// something gets all of it.
func (s *Session) giveRoster(ver []byte, reply func([]byte)) {
	s.agent.mu.Lock() // pushes come later, with what is not in it yet
	defer s.agent.mu.Unlock()
	s.mu.Lock()
	s.roster, s.versions = true, ver != nil
	s.mu.Unlock()
	v, version := s.agent.view(), ""
	if ver != nil {
		version = v.version().String()
	}
	if version != "" && version == string(ver) {
		reply(nil)
		return
	}
	reply(closeQuery(v.appendAll(openQuery(nil, version))))
}

// rosterSet changes one item (RFC 6121 §2.3, §2.4, §2.5).
func (s *Session) rosterSet(st *wire.Stanza, query *wire.Child) error {
	set, err := im.ParseRosterSet(st, query)
	if err != nil {
		return err
	}
	if set.JID == s.agent.bare {
		return wire.StanzaError{Condition: wire.NotAllowed, Text: "you are not a contact of yours"}
	}
	if s.agent.account.support.isVisitor(set.JID) {
		return s.rosterVisitor(&set)
	}
	return s.agent.account.changeRosters(func(c *rosterChange) error {
		me, err := c.side(s.agent.bare)
		if err != nil {
			return err
		}
		if set.Remove {
			return c.remove(me, set.JID)
		}
		return c.label(me, &set)
	})
}

// label gives a contact the name and the groups that its agent wants (rule 24).
func (c *rosterChange) label(me *side, set *im.RosterSet) error {
	contact, err := me.contact(set.JID)
	if err != nil {
		return err
	}
	contact.Name, contact.Groups, contact.Set = set.Name, set.Groups, true
	c.put(me, contact)
	if me.roster.Bytes() > im.MaxBytes {
		return errRosterFull
	}
	c.push(me, set.JID)
	return nil
}

// remove takes a contact out of a roster, and ends what stood between the two (RFC 6121
// §2.5.2). Of a colleague there goes only what the agent has made of his item.
func (c *rosterChange) remove(me *side, jid string) error {
	contact := me.roster.Contact(jid)
	if c.account.team.Load().find(jid) != nil {
		if contact == nil || !contact.Set {
			return wire.StanzaError{Condition: wire.NotAllowed, Text: "colleagues are in your roster as long as they are colleagues"}
		}
		if contact.Stands() { // between the two, since before they were colleagues
			c.put(me, &im.Contact{JID: jid, State: contact.State, Approved: contact.Approved, With: contact.With})
		} else {
			c.drop(me, jid)
		}
		c.push(me, jid)
		return nil
	}
	if contact == nil {
		return wire.StanzaError{Condition: wire.ItemNotFound}
	}
	other, err := c.side(jid)
	if err != nil {
		return err
	}
	state, _ := me.roster.State(jid)
	c.drop(me, jid)
	c.answered(me, jid)
	c.push(me, jid)
	if state.Shows() {
		c.then(func() { withdraw(me, other) })
	}
	if state.Sees() || state.Out() {
		if err := c.receive(other, me, im.VerbUnsubscribe, words{}); err != nil {
			return err
		}
	}
	if state.Shows() || state.In() {
		return c.receive(other, me, im.VerbUnsubscribed, words{})
	}
	return nil
}
