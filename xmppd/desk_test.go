package xmppd

import (
	"context"
	"fmt"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/xmppd/wire"
)

// An office is an account with a real store and agents that don't sign in: their devices
// are sessions without a connection, so that what is for them stays in their queues.
type office struct {
	t *testing.T
	*account
}

func newOffice(t *testing.T, agents ...string) *office {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	k, err := keys.Open(ctx, keys.Config{Dir: dir + "/keys", Account: "desk", Root: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Dir: dir + "/data", Account: "desk", Keys: k, Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.ImportAgents(ctx, agents, "", make([]store.Credential, len(agents))); err != nil {
		t.Fatal(err)
	}
	l := testLimits
	l.Queue, l.QueueBytes, l.Held, l.SessionsPerAgent = 1000, 16<<20, 0, 10
	s := newTestServer(t, l)
	s.config.ArchivePage, s.config.ColleaguesMax = 50, 100
	if err := s.AddAccount(ctx, Account{ID: "desk", Domain: "desk.example", Store: db}); err != nil {
		t.Fatal(err)
	}
	return &office{t, s.accountByID("desk")}
}

// device is a new one of an agent's. With a priority (an xs:byte) it is available.
func (d *office) device(name, resource, priority string) *Session {
	d.t.Helper()
	if err := d.agent(name).load(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	s := d.agent(name).away(resource)
	if priority != "" {
		s.says(d.t, "<presence><priority>%s</priority></presence>", priority)
	}
	return s
}

// says handles a stanza as if it had come over the wire, and returns when it is
// decided.
func (s *Session) says(t *testing.T, format string, args ...any) {
	t.Helper()
	st, err := wire.Parse(fmt.Appendf(nil, format, args...), wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.route(st); err != nil {
		t.Fatalf("%s: %v", st.Raw(), err)
	}
	s.settle()
}

// hears takes what is queued for a session.
func (s *Session) hears(t *testing.T) (got []*wire.Stanza) {
	t.Helper()
	s.mu.Lock()
	queue := s.out.queue
	s.out.queue, s.out.pushed, s.out.bytes = nil, 0, 0
	s.mu.Unlock()
	for _, it := range queue {
		st, err := wire.Parse(it.data, wire.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", it.data, err)
		}
		got = append(got, st)
	}
	return got
}

// drains hands over the long answers and the backlog that wait for a session, as its
// writer would.
func (s *Session) drains() {
	s.mu.Lock()
	pulls := s.out.pulls
	s.out.pulls = nil
	s.mu.Unlock()
	for _, p := range pulls {
		for !p.pull() {
		}
	}
}
