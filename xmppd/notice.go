package xmppd

import (
	"context"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A notice is presence on its way from a session to an agent's devices.
type notice struct {
	to       *agent
	resource string // one device, available or not; "" is all that are available, or known
	presence presence
	id, typ  string
	blocked  *im.BlockList      // a farewell's: the sender's block list when she went
	known    map[string]*target // a farewell's: to whom the session was known by directed presence
	told     bool               // also to whom the sender's roster doesn't show it: directed, or farewell
}

// sendPresence is the way of presence to others, with see. Whether the sender shows
// herself to them, and nobody is blocked, is looked at while their agent is locked: see
// withdraw and part. It returns how much that was.
func (s *Session) sendPresence(n notice) (copies int) {
	to := n.to.bare
	if n.resource != "" {
		to += "/" + n.resource
	}
	data := s.render(n, to, false)
	n.to.mu.Lock()
	defer n.to.mu.Unlock()
	blocked := n.blocked
	if blocked == nil {
		blocked = s.agent.blocked.Load()
	}
	if !n.told && !s.agent.shows(n.to) {
		return 0
	}
	for _, o := range n.to.sessions {
		it := item{data: data, stanza: true}
		switch {
		case o.resource == n.resource, n.resource == "" && o.isAvailable():
		case n.resource == "" && n.known[o.address] != nil:
			it.data = s.render(n, o.address, false) // for the JID by which it knows the session
		default:
			continue
		}
		if s.apartBy(blocked, o) {
			if n.typ == "unavailable" && (blocked == nil || !blocked.Blocks(o.address)) {
				o.parts(s.address, true)
			}
			continue
		}
		over := n.typ == "unavailable" && o.hasParted(s.address)
		if delete(o.parted, s.address); over {
			continue
		}
		if o.push(it) {
			o.kickSoon()
			copies += 1 + len(it.data)/copySize
		}
	}
	return copies
}

// render writes presence of the session, late with the time when it was said (XEP-0203
// §4; rule 29).
func (s *Session) render(n notice, to string, late bool) []byte {
	p := &n.presence
	b := make([]byte, 0, len(p.inner)+len(p.decls)+stanzaOverhead)
	b = wire.AppendOpen(b, wire.Presence, wire.Attrs{
		Type: n.typ, ID: []byte(n.id), To: to, From: s.address, Lang: p.lang, Decls: p.decls,
	})
	b = append(b, p.inner...)
	if late && !p.at.IsZero() { // kept by an earlier version over a restart
		b = im.AppendDelay(b, s.agent.account.domain, p.at)
	}
	return wire.AppendClose(b, wire.Presence)
}

// meet tells a session that has just become available who else is (RFC 6121
// §4.2.2: the server probes on its behalf). That somebody isn't is not said: RFC 6121
// §4.3.2 leaves it out where it would be said of many.
func (s *Session) meet() {
	for o := range s.agent.view().others(im.State.Sees) {
		if o.online.Load() > 0 {
			s.see(o, "", nil)
			s.breathe()
		}
	}
	s.see(s.agent, "", nil)
	s.kick()
}

// see queues the presence of another agent's devices for this session, or that of one; none
// (nil: nothing) is what it hears if there isn't any. Both agents are locked meanwhile, so
// that newer presence comes later, that she is not seen by whom she has just turned away,
// and that nothing comes after the answer to a block.
func (s *Session) see(g *agent, resource string, none []byte) {
	defer lock(g, s.agent)()
	if len(g.sessions) > 0 && !g.shows(s.agent) {
		return
	}
	for _, o := range g.sessions {
		if o == s || resource != "" && o.resource != resource || s.apart(o) {
			continue
		}
		o.mu.Lock()
		p := o.presence
		o.mu.Unlock()
		if p.available {
			none = nil
			delete(s.parted, o.address)
			s.push(item{data: o.render(notice{presence: p}, s.agent.bare, true), stanza: true})
		}
	}
	if none != nil && !s.agent.blocks(g.bare) {
		s.push(item{data: none, stanza: true})
	}
}

// lock locks one or two agents, always in the same order.
func lock(g, o *agent) (unlock func()) {
	if g == o {
		g.mu.Lock()
		return g.mu.Unlock
	}
	if g.id > o.id {
		g, o = o, g
	}
	g.mu.Lock()
	o.mu.Lock()
	return func() {
		o.mu.Unlock()
		g.mu.Unlock()
	}
}

// probe answers for another agent at once (RFC 6121 §4.3.2). Whom she doesn't show
// herself to hears nothing, as of somebody who doesn't exist (rule 29).
func (s *Session) probe(st *wire.Stanza) {
	t := s.target(st.To)
	switch {
	case t.fate(im.Probe) == im.Refuse:
		s.answerError(st, s.refusal(t))
	case t.agent == nil || !s.sees(t.agent):
	case t.agent == s.agent:
		s.see(t.agent, t.resource, nil)
	default:
		s.see(t.agent, t.resource, t.agent.absence(t.address, s.agent.bare))
	}
	s.kick()
}

// absence says that none of an agent's devices is available, or not that one: with her
// last words and when they were, as far as that is known.
func (g *agent) absence(from, to string) []byte {
	b := wire.AppendOpen(nil, wire.Presence, wire.Attrs{Type: "unavailable", To: to, From: from})
	if !g.available() {
		ctx, cancel := context.WithTimeout(context.Background(), storeWait)
		defer cancel()
		last, err := g.lastSeen(ctx)
		if err != nil {
			g.account.log.Warn("when an agent was here last is not known", "agent", g.name, "err", err)
		}
		b = im.AppendLeft(b, last, g.account.domain)
	}
	return wire.AppendClose(b, wire.Presence)
}
