package xmppd

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// testLimits are small, so that tests reach them.
var testLimits = Limits{Queue: 4, QueueBytes: 1000, Held: 100, Idle: time.Minute, Dead: time.Minute, Handshake: 10 * time.Second, Login: 30 * time.Second,
	SessionsPerAgent: 3}

// newTestServer is a server without accounts.
func newTestServer(t *testing.T, l Limits) *Server {
	t.Helper()
	s := New(Config{Limits: l, Resume: 5 * time.Minute, Colleagues: true, ColleaguesMax: 10,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newTestAgent is an agent of an account that has no store.
func newTestAgent(s *Server, name string) *agent {
	a := &account{server: s, id: "desk", domain: "desk.example", log: s.log, agents: make(map[string]*agent)}
	g := a.newTestAgent(1, name)
	g.viewer.ID = func(store.Ordinal) string { return "id" }
	a.agents[name] = g
	a.regroup()
	return g
}

// newTestAgent is an agent of an account that has no store, for whom nothing is kept.
func (a *account) newTestAgent(id store.AgentID, name string) *agent {
	g := newAgent(a, store.Agent{ID: id, Name: name})
	g.blocked.Store(&im.BlockList{})
	g.roster.Store(emptyRoster)
	return g
}

// away adds a session that has no connection: what is pushed to it stays in its queue.
func (g *agent) away(resource string) *Session {
	s := newSession(g, resource)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.enter(s)
	s.server.Stats.Hibernating.Add(1)
	return s
}

// queued is what waits in a session's queue, as one text.
func (s *Session) queued() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	for _, it := range s.out.queue {
		b.Write(it.data)
	}
	return b.String()
}

func testStanza(size int) item {
	b := wire.AppendOpen(nil, wire.Message, wire.Attrs{})
	for len(b) < size-len("</message>") {
		b = append(b, ' ')
	}
	return item{data: wire.AppendClose(b, wire.Message), stanza: true, at: 1}
}

func attr(name, value string) []byte { return wire.AppendAttr(nil, name, value) }

// overAndOver does something until the test ends, while the test does something else.
func overAndOver(t *testing.T, do func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				do()
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
}
