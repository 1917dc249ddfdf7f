package xmppd

import (
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// maxDirected bounds who a session can be known to beyond those who see its agent.
const maxDirected = 256

// direct passes presence on to one JID (RFC 6121 §4.6). Those who see the agent anyway
// go on doing so: they get the next change, too (§4.6.3).
func (s *Session) direct(st *wire.Stanza) {
	t := s.target(st.To)
	fate := t.fate(im.Presence)
	n := notice{to: t.agent, resource: t.resource, presence: s.agent.account.presenceOf(st), id: string(st.ID), typ: string(st.Type), told: true}
	if len(st.Type) > 0 && t.agent != nil {
		n.blocked = s.untell(t)
	}
	switch {
	case fate == im.Refuse:
		s.answerError(st, s.refusal(t))
		return
	case fate == im.Drop:
		return
	case len(st.Type) == 0 && !s.tell(t):
		s.answerError(st, wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint, Text: "known to too many already"})
		return
	}
	s.sendPresence(n)
}

// tell remembers that a target is told of this session's presence, and must be told
// of its end (rule 30); false if there are too many.
func (s *Session) tell(t *target) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := t.address
	if s.directed[to] == nil && len(s.directed) >= maxDirected {
		return false
	}
	if s.directed == nil {
		s.directed = make(map[string]*target)
	}
	s.directed[to] = t
	return true
}

// untell is tell for who hears that it is over: whom the agent had blocked then.
func (s *Session) untell(t *target) *im.BlockList {
	s.agent.mu.Lock() // see part
	defer s.agent.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.directed, t.address)
	return s.agent.blocked.Load()
}

// tellDirected says to those who got directed presence that it is over (RFC 6121
// §4.6.3), unless they have heard it already: if the session was available, those who see
// v's agent have; and with a bare JID all its devices that know the session.
func (s *Session) tellDirected(n notice, v view, was bool) {
	for _, t := range n.known {
		heard := was && v.has(t.agent, im.State.Shows) || t.resource != "" && n.known[t.agent.bare] != nil
		if !heard {
			n.to, n.resource = t.agent, t.resource
			s.sendPresence(n)
		}
	}
}

// directedTo says whether another agent's device was told of this one by directed
// presence.
func (s *Session) directedTo(o *Session) bool {
	available := o.isAvailable()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.directed[o.address] != nil || available && s.directed[o.agent.bare] != nil
}
