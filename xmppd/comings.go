package xmppd

import "parley.im/parley/store"

// comingEvents is how many events an agent makes in a minute by coming and going: a client
// that does so without end must not fill the log. When the minute is over it is told
// whether she is there now, if that is news.
const comingEvents = 60

// comings bounds the events of an agent's coming and going. It is guarded by her mu.
type comings struct {
	here   bool // as was told last
	minute int64
	told   int // in that minute
}

// tellComing makes the event of the agent's coming or going, unless it is told already or
// there were too many; then the caretaker does. Nobody would, once she is removed or the
// account closes. g.mu is held.
func (g *agent) tellComing() {
	c, a, here := &g.comings, g.account, g.present > 0
	if minute := a.server.tick.Load() / 60; minute != c.minute {
		c.minute, c.told = minute, 0
	}
	last := g.removed.Load() || a.closing.Load()
	late := here != c.here && c.told >= comingEvents && !last
	g.untold.Store(late)
	if late || here == c.here {
		return
	}
	c.here = here
	c.told++
	kind := store.KindAgentUnavailable
	if here {
		kind = store.KindAgentAvailable
	}
	a.happened(kind, g.id, agentEvent(g))
}

// tellComings makes the events that were put off, where it is time.
func (a *account) tellComings() {
	for _, g := range a.which(func(g *agent) bool { return g.untold.Load() }) {
		g.mu.Lock()
		g.tellComing()
		g.mu.Unlock()
	}
}

func agentEvent(g *agent) any {
	type who struct {
		JID string `json:"jid"`
	}
	return map[string]any{"agent": who{g.bare}}
}
