package xmppd

import (
	"context"
	"encoding/json"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// savedSession is a session as it outlives the process. It is sealed by the store.
type savedSession struct {
	Resource string
	Says     userAgent
	ID       string
	Handled  uint32
	Acked    uint32
	Carbons  bool
	Roster   bool
	Versions bool
	Blocked  bool // gets pushes of the block list
	Presence savedPresence
	Directed []string `json:",omitempty"` // who was sent directed presence
	Unacked  []savedItem
	Queue    []savedItem
}

type savedItem struct {
	Data    []byte
	Ordinal store.Ordinal
	Seen    store.Ordinal `json:",omitempty"`
	At      int64
	Stanza  bool
	Pulled  bool
	Replied bool `json:",omitempty"` // a request that was answered
}

// keepable says whether the session can be resumed after a restart.
func (s *Session) keepable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm.resumable && !s.cut && !s.ended
}

// put away is what becomes of a session that can be resumed when the server stops: it
// gets a last <a/> and loses its connection without an end of the stream; what it
// was is returned to be kept.
func (s *Session) putAway(ctx context.Context) (store.Resume, bool) {
	s.mu.Lock()
	s.sm.taken = true // nobody resumes or expires it now
	for s.leaving {
		s.cond.Wait()
	}
	e := s.epoch
	if e != nil {
		s.parting = ackElement
		s.cond.Broadcast()
		e.conn.SetReadDeadline(past)
	}
	s.mu.Unlock()
	if e != nil {
		select {
		case <-e.done:
		case <-ctx.Done():
			rawConn(e.conn).Close()
			<-e.done
		}
	}
	return s.save()
}

func (s *Session) save() (store.Resume, bool) {
	s.mu.Lock()
	if s.ended || s.epoch != nil {
		s.mu.Unlock()
		return store.Resume{}, false
	}
	s.letGo()
	for _, p := range s.out.pulls {
		if p, ok := p.(interface{ refusal(error) item }); ok { // it was counted as handled, so it gets an answer
			s.out.queue = append(s.out.queue, p.refusal(errStopping))
		}
	}
	v := savedSession{
		Resource: s.resource, Says: s.clientSays, ID: s.sm.id, Handled: s.handled, Acked: s.sm.acked,
		Carbons: s.carbons, Roster: s.roster, Versions: s.versions, Blocked: s.blocklist, Presence: s.presence.saved(),
		Unacked: saveItems(s.sm.unacked), Queue: saveItems(s.out.queue),
	}
	for to := range s.directed {
		v.Directed = append(v.Directed, to)
	}
	s.ended, s.left = true, true
	s.cond.Broadcast()
	s.mu.Unlock()
	state, err := json.Marshal(v)
	if err != nil {
		s.log().Error("session cannot be kept", "err", err)
		return store.Resume{}, false
	}
	// The same for all, so that nobody's session outlasts one that it saw: whoever
	// doesn't come back ends while the others can be told.
	return store.Resume{ID: v.ID, Agent: s.agent.id, Expires: time.Now().Add(s.server.config.Resume), State: state}, true
}

var errStopping = wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint, Text: "the server was restarted; ask again"}

func saveItems(items []item) []savedItem {
	list := make([]savedItem, 0, len(items))
	for _, it := range items {
		if !it.stanza {
			continue // of the old connection's own
		}
		list = append(list, savedItem{it.data, it.ordinal, it.seenFrom, it.at, it.stanza, it.pulled, it.answered})
	}
	return list
}

// restore takes up the sessions that the last shutdown cut.
func (a *account) restore(ctx context.Context) error {
	kept, err := a.store.TakeResumes(ctx)
	if err != nil {
		return err
	}
	byID := make(map[store.AgentID]*agent, len(a.agents))
	for _, g := range a.agents {
		byID[g.id] = g
	}
	for _, r := range kept {
		g := byID[r.Agent]
		left := time.Until(r.Expires)
		var v savedSession
		if g == nil || left <= 0 {
			continue
		}
		if err := json.Unmarshal(r.State, &v); err != nil {
			a.log.Warn("a session cannot be resumed", "agent", g.name, "err", err)
			continue
		}
		if err := g.load(ctx); err != nil {
			return err
		}
		g.restore(&v, left)
	}
	return nil
}

func (g *agent) restore(v *savedSession, left time.Duration) {
	s := newSession(g, v.Resource)
	s.clientSays = v.Says
	s.handled, s.carbons, s.roster, s.versions, s.blocklist = v.Handled, v.Carbons, v.Roster, v.Versions, v.Blocked
	s.presence = v.Presence.restored()
	s.sm = smState{enabled: true, on: true, resumable: true, id: v.ID, acked: v.Acked}
	s.lostAt = s.server.tick.Load() - int64((s.server.config.Resume-left)/time.Second)
	for _, to := range v.Directed {
		if t := s.resolve(to); t.agent != nil {
			s.tell(t)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range v.Unacked {
		it := g.restoreItem(i)
		s.sm.sent(it)
	}
	for _, i := range v.Queue {
		it := g.restoreItem(i)
		s.out.queue = append(s.out.queue, it)
		s.out.weigh(it, 1)
	}
	if s.presence.available {
		g.present++
		g.comings.here = true // as was told before the restart
	}
	g.sessions = append(g.sessions, s)
	g.online.Add(1)
	g.account.server.Stats.Sessions.Add(1)
	g.account.server.Stats.Hibernating.Add(1)
}

func (g *agent) restoreItem(i savedItem) item {
	if i.Ordinal != 0 && i.Seen == 0 {
		g.delivery.Held(i.Ordinal)
	}
	return item{data: i.Data, ordinal: i.Ordinal, seenFrom: i.Seen, at: i.At, stanza: i.Stanza, pulled: i.Pulled, answered: i.Replied}
}
