package xmppd

import (
	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
)

// tellDesk tells the desk whether the agent is here, and takes contacts: her available device of
// the highest priority says so. One that is away leaves what she has as it is; one that has lost
// its connection gets nothing new.
func (g *agent) tellDesk() {
	p := g.account.support
	if p == nil {
		return
	}
	g.telling.Lock() // so that the last word is the latest
	defer g.telling.Unlock()
	a := desk.Agent{ID: g.id, Name: g.name, Here: !g.removed.Load() && g.online.Load() > 0}
	best := -1
	for _, s := range g.list() {
		s.mu.Lock()
		here := s.presence.available && !s.ended && !s.cut && s.epoch != nil
		if priority := int(s.presence.priority); here && (priority > best || priority == best && !s.presence.away) {
			best, a.Takes = priority, !s.presence.away
		}
		s.mu.Unlock()
	}
	p.contacts.SetAgent(a)
}

// paused keeps and tells that an agent was paused, since she did not answer what she alone was
// asked.
func (p *support) paused(s desk.Standing) {
	g := p.account.byID(s.ID)
	if g == nil {
		return
	}
	p.account.happened(store.KindAgentPaused, g.id, map[string]any{"agent": map[string]string{"jid": g.bare}, "reason": s.Paused})
	why := "You did not answer an offer, so you get no more of them."
	if s.Paused != desk.Forced {
		why = "You were paused: " + im.OneLine(s.Paused, maxField) + ". You get no more chats."
	}
	g.hear(aside(p.account.domain, g.bare, why+" Write !ready to "+p.desk()+" to go on."))
}
