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
	if len(st.Type) > 0 && t.agent != nil {
		s.mu.Lock()
		delete(s.directed, t.address)
		s.mu.Unlock()
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
	s.sendPresence(notice{
		to: t.agent, resource: t.resource, presence: s.agent.account.presenceOf(st), id: string(st.ID), typ: string(st.Type), told: true,
	})
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

// tellDirected says to those who got directed presence that it is over (RFC 6121
// §4.6.3), unless they have heard it already: if the session was available, all
// available devices of those who see v's agent have.
func (s *Session) tellDirected(n notice, v view, was bool) {
	s.mu.Lock()
	told := s.directed
	s.directed = nil
	s.mu.Unlock()
	for _, t := range told {
		heard := was && v.has(t.agent, im.State.Shows) && (t.resource == "" || t.agent.isThere(t.resource))
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

// isThere says whether the device of that name is available.
func (g *agent) isThere(resource string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.session(resource)
	return s != nil && s.isAvailable()
}
