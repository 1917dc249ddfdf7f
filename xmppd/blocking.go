package xmppd

import (
	"context"
	"fmt"
	"maps"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// maxBlocked is how many JIDs an agent can block.
const maxBlocked = 1000

// errBlocked answers what an agent sends to a JID that she has blocked (XEP-0191 §3.3).
var errBlocked = wire.StanzaError{Type: wire.Cancel, Condition: wire.NotAcceptable, App: "<blocked xmlns='urn:xmpp:blocking:errors'/>"}

// know reads the agent's block list at its first use. It is known of whoever has a
// session, and of whom a target leads to; it must not be called by the dispatcher.
func (g *agent) know(ctx context.Context) error {
	if g.blocked.Load() != nil {
		return nil
	}
	list := make(im.BlockList)
	err := g.account.store.OwnOf(ctx, g.id, store.OwnBlocked, func(jid string, _ []byte) error {
		list[jid] = struct{}{}
		return nil
	})
	if err == nil {
		g.blocked.CompareAndSwap(nil, &list)
	}
	return err
}

// blocks says whether the agent has blocked a prepared JID. It waits for nothing.
func (g *agent) blocks(address string) bool {
	l := g.blocked.Load()
	return l != nil && l.Blocks(address)
}

// unlessBlocked is the target as it is for this session: whom she has blocked she can't
// reach, and who has blocked her is not there (XEP-0191 §3.3). Neither her own devices
// nor the server that answers her can be blocked, whatever the list says.
func (s *Session) unlessBlocked(t *target) *target {
	switch {
	case t.address == "" || t.agent == s.agent:
	case s.agent.blocks(t.address):
		return &target{to: t.to, place: im.Blocked}
	case t.agent != nil && t.agent.blocks(s.address):
		return &target{to: t.to, place: im.Nobody, resource: t.resource, address: t.address}
	}
	return t
}

// turnsAway says that what s has said, and that was on its way to the agent, is too late:
// she has blocked it since, and has been told so (XEP-0191 §3.3). g.mu is held.
func (g *agent) turnsAway(s *Session) bool { return s.agent != g && g.blocks(s.address) }

// apart says that nothing of one of two devices is for the other, since one agent has
// blocked the other's.
func (s *Session) apart(o *Session) bool { return s.apartBy(s.agent.blocked.Load(), o) }

// apartBy is apart where this device's agent has, or had, that block list.
func (s *Session) apartBy(list *im.BlockList, o *Session) bool {
	return s.agent != o.agent && (list != nil && list.Blocks(o.address) || o.agent.blocks(s.address))
}

// blocking answers what concerns the agent's block list (XEP-0191).
func (s *Session) blocking(st *wire.Stanza, c *wire.Child, set bool) {
	name := string(c.Name)
	if name == "blocklist" && !set {
		s.answerLater(st, s.giveBlocked)
		return
	}
	if !set || name != "block" && name != "unblock" {
		s.answerError(st, wire.StanzaError{Condition: wire.BadRequest})
		return
	}
	jids, err := im.ParseBlocked(st, c)
	var p parting
	if err == nil {
		p, err = s.agent.changeBlocked(name == "block", jids, func() { s.answer(st, nil) })
	}
	if err != nil {
		s.answerError(st, s.asRefused(err))
		return
	}
	s.meetings(p)
	if v := s.agent.account.support; v != nil {
		if name == "block" {
			s.agent.quits()
		}
		v.rearrange(s.agent)
	}
}

// A parting is a change of a block list, and the agent's devices when it came into force.
type parting struct {
	before, after im.BlockList
	there         []shown
}

// A shown is a device, and to whom it was shown at a moment.
type shown struct {
	*Session
	available bool
	directed  map[string]*target
}

// shown notes to whom the session is shown, and that it is not any more to those who are
// blocked from now on.
func (s *Session) shown(blocked im.BlockList) shown {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := maps.Clone(s.directed)
	maps.DeleteFunc(s.directed, func(to string, _ *target) bool { return blocked.Blocks(to) })
	return shown{s, s.presence.available, before}
}

// giveBlocked gives the list to a device, which hears of changes from now on (XEP-0191
// §3.2). It is locked meanwhile, so that no change comes before the list that it changes.
func (s *Session) giveBlocked(_ context.Context, reply func([]byte)) error {
	g := s.agent
	g.mu.Lock()
	defer g.mu.Unlock()
	s.mu.Lock()
	s.blocklist = true
	s.mu.Unlock()
	reply(im.AppendBlocked(nil, "blocklist", g.blocked.Load().JIDs()))
	return nil
}

// changeBlocked blocks JIDs, or unblocks them (none is all; XEP-0191 §3.3 to §3.5). Once
// that is durable, and in force, it calls done and tells the devices that know the list,
// and says the farewells that a block brings, all before the next change.
func (g *agent) changeBlocked(block bool, jids []string, done func()) (p parting, err error) {
	g.changing.Lock()
	defer g.changing.Unlock()
	before := *g.blocked.Load()
	after := before.Without(jids)
	query := im.AppendBlocked(nil, "unblock", jids)
	switch {
	case block:
		after, query = before.With(jids), im.AppendBlocked(nil, "block", jids)
	case len(jids) == 0:
		jids, after = before.JIDs(), im.BlockList{}
	}
	if err := g.keepBlocked(jids, block, len(after)); err != nil {
		return p, err
	}
	p = parting{before: before, after: after}
	g.enforce(&p, query, done)
	g.partings(p)
	return p, nil
}

// enforce brings a change into force.
func (g *agent) enforce(p *parting, query []byte, done func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocked.Store(&p.after)
	done()
	for _, o := range g.sessions {
		p.there = append(p.there, o.shown(p.after))
		if o.wantsBlocked() {
			o.push(item{data: o.rosterPush(query), stanza: true})
			o.kick()
		}
		o.farewells(p)
	}
}

// keepBlocked keeps a change of the list, which then has so many JIDs.
func (g *agent) keepBlocked(jids []string, block bool, size int) error {
	switch {
	case block && len(jids) == 0:
		return wire.StanzaError{Condition: wire.BadRequest, Text: "whom to block is not said"} // XEP-0191 §3.3
	case block && size > maxBlocked:
		return wire.StanzaError{Condition: wire.PolicyViolation, Text: fmt.Sprintf("no more than %d addresses can be blocked", maxBlocked)}
	}
	list := make([]store.Own, len(jids))
	for i, j := range jids {
		list[i] = store.Own{Agent: g.id, Part: store.OwnBlocked, Name: j}
		if block {
			list[i].Value = []byte{}
		}
	}
	return g.keep(list...)
}

func (s *Session) wantsBlocked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocklist && !s.ended
}

// begins says whether a JID is blocked by the change, and ends whether it is no more.
func (p *parting) begins(jid string) bool { return p.after.Blocks(jid) && !p.before.Blocks(jid) }
func (p *parting) ends(jid string) bool   { return p.before.Blocks(jid) && !p.after.Blocks(jid) }

// partings says goodbye to devices that are blocked now and were not before (XEP-0191
// §3.3). It waits for nobody.
func (g *agent) partings(p parting) {
	for _, o := range g.account.online() {
		if o == g {
			continue
		}
		for _, theirs := range o.list() {
			if p.begins(theirs.address) {
				for _, mine := range p.there {
					mine.part(theirs)
				}
			}
		}
	}
}

// meetings presents to each other those that are not blocked any more (XEP-0191 §3.4).
func (s *Session) meetings(p parting) {
	for _, o := range s.agent.account.which(func(o *agent) bool { return o != s.agent }) {
		for _, mine := range s.agent.list() {
			if p.ends(o.bare) {
				mine.meets(o, "")
			}
		}
		for _, theirs := range o.list() {
			if !p.ends(theirs.address) {
				continue
			}
			for _, mine := range s.agent.list() {
				if !p.ends(o.bare) {
					mine.meets(o, theirs.resource)
				}
				theirs.meets(s.agent, mine.resource)
			}
		}
		s.breathe()
	}
}

// part tells another agent's device that this one is gone, if it was shown to it and now
// is blocked. What is on its way to that device was queued before, and nothing will be
// after: whoever tells it of this one's presence looks at the block list while its agent
// is locked. If this one has really gone since, its own farewell was held back, like all
// else, and this is it (see unavailable).
func (s shown) part(o *Session) {
	here := o.isAvailable()
	told := s.directed[o.address] != nil || here && (s.directed[o.agent.bare] != nil || s.available && o.sees(s.agent))
	o.agent.mu.Lock()
	defer o.agent.mu.Unlock()
	switch {
	case !told || !s.agent.blocks(o.address):
	case o.agent.blocks(s.address):
		o.parts(s.address, true)
	default:
		o.parts(s.address, false)
		o.push(item{data: s.render(notice{typ: "unavailable"}, o.agent.bare, false), stanza: true})
		o.kick()
	}
}

// maxParted bounds what a device remembers of farewells.
const maxParted = 1000

// parts notes that a device is gone for this one, which hears that now, or (due) when its
// agent has blocked it no more; the agent is locked.
func (s *Session) parts(address string, due bool) {
	if s.parted == nil {
		s.parted = make(map[string]bool)
	}
	if _, ok := s.parted[address]; !ok && len(s.parted) < maxParted {
		s.parted[address] = due
	}
}

// hasParted says whether it has heard already that a device is gone; the agent is locked.
func (s *Session) hasParted(address string) bool {
	due, ok := s.parted[address]
	return ok && !due
}

// farewells says what is due of those who are not blocked any more; the agent is locked.
func (s *Session) farewells(p *parting) {
	for address, due := range s.parted {
		if due && p.ends(address) {
			delete(s.parted, address)
			b := wire.AppendOpen(nil, wire.Presence, wire.Attrs{Type: "unavailable", To: s.agent.bare, From: address})
			s.push(item{data: wire.AppendClose(b, wire.Presence), stanza: true})
			s.kick()
		}
	}
}

// meets shows another agent's devices to this one, or one of them, if they and this are
// available.
func (s *Session) meets(g *agent, resource string) {
	if s.isAvailable() && s.sees(g) {
		s.see(g, resource, nil)
		s.kick()
	}
}
