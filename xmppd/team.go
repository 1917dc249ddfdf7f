package xmppd

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A team are the agents of an account where all see each other without asking: the
// group that the server manages in everybody's roster. It is never changed.
type team struct {
	agents []*agent // by name
	byJID  map[string]*agent
	sum    im.RosterVersion // of their items
}

// find is the one of that bare JID, or nil.
func (t *team) find(jid string) *agent {
	if t == nil {
		return nil
	}
	return t.byJID[jid]
}

// regroup makes the team anew after agents came or went, and says whether it came or
// went as a whole: it does as the account passes colleagues_max. a.rosters is held.
func (a *account) regroup() (turned bool) {
	c := &a.server.config
	var t *team
	a.mu.RLock()
	if c.Colleagues && len(a.agents) <= c.ColleaguesMax {
		t = &team{byJID: make(map[string]*agent, len(a.agents))}
		for _, g := range a.agents {
			t.agents = append(t.agents, g)
			t.byJID[g.bare] = g
			t.sum = t.sum.Plus(g.itemVersion)
		}
		slices.SortFunc(t.agents, func(x, y *agent) int { return strings.Compare(x.name, y.name) })
	}
	a.mu.RUnlock()
	old := a.team.Swap(t)
	return (old == nil) != (t == nil)
}

// AgentAdded lets a new (or newly enabled) agent in and shows her to her
// colleagues.
func (s *Server) AgentAdded(accountID string, g store.Agent) {
	if a := s.accountByID(accountID); a != nil {
		a.added(g)
	}
}

func (a *account) added(g store.Agent) {
	a.rosters.Lock()
	a.mu.Lock()
	if old := a.agents[g.Name]; old == nil || old.id != g.ID {
		n := newAgent(a, g)
		a.agents[g.Name], a.byIDs[g.ID] = n, n
	}
	a.ids[g.Name], a.names[g.ID] = g.ID, g.Name
	a.mu.Unlock()
	turned := a.regroup()
	if a.team.Load() != nil && !turned {
		for _, o := range a.loaded() {
			if o.name != g.Name {
				o.view().pushItem(a.bare(g.Name))
			}
		}
	}
	a.rosters.Unlock()
	if turned {
		a.startOver()
	}
}

// AgentRemoved ends the sessions of an agent who was disabled, and takes her out of her
// colleagues' group.
func (s *Server) AgentRemoved(accountID string, g store.Agent) {
	if a := s.accountByID(accountID); a != nil {
		a.removed(g, false)
	}
}

// AgentDeleted is AgentRemoved for one who does not come back: what others had with
// her is over, and nobody of that name takes it up again (rule 56).
func (s *Server) AgentDeleted(accountID string, g store.Agent) {
	if a := s.accountByID(accountID); a != nil {
		a.removed(g, true)
	}
}

func (a *account) removed(g store.Agent, deleted bool) {
	gone := a.agentOf(g)
	if gone != nil {
		gone.removed.Store(true) // nobody joins any more
		gone.endAll(wire.StreamError{Condition: wire.NotAuthorized, Text: "this account was switched off"}, nil)
		gone.mu.Lock()
		gone.tellComing()
		gone.mu.Unlock()
	}
	if a.support != nil {
		a.support.contacts.RemoveAgent(g.ID) // what she has waits for another
		if gone != nil {
			a.support.stops(gone)
		}
	}
	a.rosters.Lock()
	a.mu.Lock()
	if gone != nil && a.agents[g.Name] == gone {
		delete(a.agents, g.Name)
		delete(a.byIDs, g.ID)
	}
	if deleted && a.ids[g.Name] == g.ID {
		delete(a.ids, g.Name)
		a.deleted++
	}
	a.mu.Unlock()
	turned := a.regroup()
	shown := gone != nil && a.team.Load() != nil // by all, until now
	for _, o := range a.loaded() {
		forgot := deleted && o.forget(a.bare(g.Name), g.ID)
		if (shown || forgot) && !turned {
			o.view().pushItem(a.bare(g.Name))
		}
	}
	a.rosters.Unlock()
	if turned {
		a.startOver()
	}
}

// startOver ends all sessions where the group has begun or ended: with everybody's
// roster and everybody's view of who is here another one, signing in again is the
// shortest way to both. It happens once in an account's life, if at all.
func (a *account) startOver() {
	a.mu.RLock()
	agents := slices.Collect(maps.Values(a.agents))
	a.mu.RUnlock()
	var wg sync.WaitGroup
	for _, g := range agents {
		wg.Go(func() {
			g.endAll(wire.StreamError{Condition: wire.Reset, Text: "the group of colleagues has changed; sign in again"}, nil) // RFC 6120 §4.9.3.16
		})
	}
	wg.Wait()
}
