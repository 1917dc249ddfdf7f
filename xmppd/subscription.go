package xmppd

import (
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// maxRequest bounds a subscription request, in bytes: it is kept until it is answered.
const maxRequest = 4 << 10

// words are what a subscription stanza says besides its type. They are valid during
// the change only.
type words struct{ id, lang, decls, inner []byte }

// subscription handles what manages a subscription (RFC 6121 §3).
func (s *Session) subscription(st *wire.Stanza, v im.Verb) {
	a := s.agent.account
	t := s.target(st.To)
	fate := t.fate(im.PresenceKind(st.Type))
	switch {
	case fate == im.Refuse:
		s.answerError(st, s.refusal(t))
	case fate == im.Drop && !a.canEnd(t, v), t.agent == s.agent:
		// Nobody is there to ask (RFC 6121 §8.5.1), or it is herself, whom she sees anyway.
	case t.agent != nil && a.team.Load() != nil:
		s.colleague(st, t, v)
	case v == im.VerbSubscribe && st.Size() > maxRequest:
		s.answerError(st, wire.StanzaError{Condition: wire.PolicyViolation, Text: "the request is too big"})
	default:
		w := words{st.ID, st.Lang, st.Decls, im.Cleaned(st, a.owns)}
		if err := a.changeRosters(func(c *rosterChange) error { return c.say(s.agent.bare, t.bare(), v, w) }); err != nil {
			s.answerError(st, s.asRefused(err))
		}
	}
}

// canEnd says whether v goes on although its target leads nowhere: a disabled agent's, so
// that what others have with her can be ended, or one's who has blocked the sender, who may
// still take back what she has granted. The other hears nothing of that.
func (a *account) canEnd(t *target, v im.Verb) bool {
	name, ok := a.localPart(t.bare())
	a.mu.RLock()
	defer a.mu.RUnlock()
	blocked := a.agents[name] != nil
	ends := v == im.VerbUnsubscribe || v == im.VerbUnsubscribed
	return ok && t.agent == nil && a.ids[name] != 0 && (!blocked || ends && a.team.Load() == nil)
}

// colleague answers for a colleague: both see each other, and that is the server's
// doing (RFC 6121 §3.1.3: who has a subscription is told so at once).
func (s *Session) colleague(st *wire.Stanza, t *target, v im.Verb) {
	switch v {
	case im.VerbSubscribe:
		b := wire.AppendOpen(nil, wire.Presence, wire.Attrs{Type: im.VerbSubscribed.String(), ID: st.ID, To: s.agent.bare, From: t.agent.bare})
		s.push(item{data: wire.AppendClose(b, wire.Presence), stanza: true})
		s.kick()
	case im.VerbUnsubscribe, im.VerbUnsubscribed:
		s.answerError(st, wire.StanzaError{Condition: wire.NotAllowed, Text: "colleagues see each other as long as they are colleagues"})
	}
}

// say lets v go from one to the other.
func (c *rosterChange) say(from, to string, v im.Verb, w words) error {
	me, err := c.side(from)
	if err != nil {
		return err
	}
	other, err := c.side(to)
	if err != nil {
		return err
	}
	state, approved := me.roster.State(to)
	step := im.Outbound(v, state, approved)
	if err := c.move(me, other, step); err != nil || !step.Passes {
		return err
	}
	return c.receive(other, me, v, w)
}

// receive lets v arrive. The other's devices hear of it before their roster changes
// (RFC 6121 §3.1.6, §3.2.3, §3.3.3).
func (c *rosterChange) receive(me, from *side, v im.Verb, w words) error {
	state, approved := me.roster.State(from.jid)
	step := im.Inbound(v, state, approved)
	if v == im.VerbSubscribe && step.State.In() {
		// Also where there is one already: the last is what she will read (RFC 6121 §3.1.3).
		if !state.In() && len(me.roster.Requests) >= im.MaxRequests {
			return wire.StanzaError{Condition: wire.ResourceConstraint, Text: "too many wait for an answer there already; try again later"}
		}
		c.asked(me, &im.Pending{From: from.jid, By: from.id, ID: clone(w.id), Lang: clone(w.lang), Decls: clone(w.decls), Inner: clone(w.inner)})
	}
	if step.Passes {
		c.then(func() { deliverSubscription(me, from, v, w) })
	}
	if err := c.move(me, from, step); err != nil {
		return err
	}
	if step.Passes && v == im.VerbSubscribed {
		c.then(func() { introduce(me.agent, from.agent) })
	}
	if step.Answers {
		return c.receive(from, me, im.VerbSubscribed, words{})
	}
	return nil
}

// move takes one side to its state after a step.
func (c *rosterChange) move(me, other *side, step im.Step) error {
	before, _ := me.roster.State(other.jid)
	if before.Shows() && !step.State.Shows() {
		c.then(func() { withdraw(me, other) })
	}
	if before.In() && !step.State.In() {
		c.answered(me, other.jid)
	}
	if !step.Push {
		return nil
	}
	contact, err := me.contact(other.jid)
	if err != nil {
		return err
	}
	contact.State, contact.Approved, contact.With = step.State.Shown(), step.Approved, other.id
	c.put(me, contact)
	c.push(me, other.jid)
	return nil
}

// deliverSubscription hands a subscription stanza to the devices it is for: a request
// to those that are available, the rest to those that know the roster (RFC 6121
// §3.1.3, §3.1.6, §3.2.3, §3.3.3). Where one has blocked the other nothing is heard of
// what is done to their rosters (XEP-0191 §3.3).
func deliverSubscription(to, from *side, v im.Verb, w words) {
	g := to.agent
	if g == nil || g.blocks(from.jid) || from.agent != nil && from.agent.blocks(to.jid) {
		return
	}
	b := wire.AppendOpen(nil, wire.Presence, wire.Attrs{Type: v.String(), ID: w.id, To: to.jid, From: from.jid, Lang: w.lang, Decls: w.decls})
	data := wire.AppendClose(append(b, w.inner...), wire.Presence)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		wants := s.isAvailable()
		if v != im.VerbSubscribe {
			wants, _ = s.interested()
		}
		if wants && s.push(item{data: data, stanza: true}) {
			s.kick()
		}
	}
}

// withdraw tells the other's devices that those of g are not there for them any more
// (RFC 6121 §3.2.2, §3.3.3). Whoever was about to show them g's presence has done so, or
// finds that it may not: see and sendPresence look at the roster under the same locks.
func withdraw(g, other *side) {
	if other.agent == nil {
		return
	}
	for _, s := range g.there {
		s.sendPresence(notice{to: other.agent, typ: "unavailable", told: true})
	}
}

// introduce shows v's devices those of g, whom v may see from now on (RFC 6121 §3.1.5).
func introduce(v, g *agent) {
	if v == nil || g == nil {
		return
	}
	for _, s := range v.list() {
		if s.isAvailable() {
			s.see(g, "", nil)
			s.kick()
		}
	}
}

// askAgain delivers the requests that wait for an answer to a device that has just
// become available (RFC 6121 §3.1.3; rule 28).
func (s *Session) askAgain() {
	g := s.agent
	grouped := g.account.team.Load() != nil
	for _, q := range g.contacts().Requests {
		name, _ := g.account.localPart(q.From)
		if grouped && g.account.agent(name) != nil || g.blocks(q.From) {
			continue // a colleague by now, or unwelcome
		}
		s.push(item{data: q.AppendTo(nil, g.bare), stanza: true})
		s.breathe()
	}
}
