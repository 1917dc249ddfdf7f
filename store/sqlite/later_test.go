package sqlite

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// Whatever nobody waits for changes as often as it likes: one write is made of it.
func TestTheNewestIsKeptLater(t *testing.T) {
	a := openTest(t, nil)
	anna, ben := selfTalk(t, a, "anna").a, selfTalk(t, a, "ben").a
	release := hold(t, a)
	for i := range 1000 {
		a.KeepOwnLater(store.Own{Agent: anna, Part: store.OwnActivity, Value: fmt.Append(nil, i)})
		a.KeepOwnLater(store.Own{Agent: ben, Part: store.OwnActivity, Value: fmt.Append(nil, -i)})
	}
	a.keepLater()
	a.queue.mu.Lock()
	writes := len(a.queue.items)
	a.queue.mu.Unlock()
	release()
	if writes != 2 {
		t.Errorf("%d writes for two agents", writes)
	}
	a.settled(t)
	for agent, want := range map[store.AgentID]string{anna: "999", ben: "-999"} {
		if got := a.activity(t, agent); got != want {
			t.Errorf("of agent %d %q is kept, want %q", agent, got, want)
		}
	}
}

// While the keys are busy with something else nobody waits who needs none.
func TestKeepingLaterHoldsNobodyUp(t *testing.T) {
	a := openTest(t, nil)
	anna := selfTalk(t, a, "anna").a
	a.agents.rest()
	busy, free := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		once := sync.OnceFunc(func() {
			close(busy)
			<-free
		})
		if err := a.cfg.Keys.All(context.Background(), keys.OfAgent, func(keys.ID) { once() }); err != nil {
			t.Error(err)
		}
	})
	<-busy
	a.KeepOwnLater(store.Own{Agent: anna, Part: store.OwnActivity, Value: []byte("1")})
	all.Go(a.keepLater)
	done := make(chan struct{})
	all.Go(func() {
		defer close(done)
		for range 20 { // by then the keys are asked for
			a.settled(t)
		}
	})
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		t.Error("a write waits for a key that another one needs")
	}
	close(free)
	all.Wait()
	a.settled(t)
	if got := a.activity(t, anna); got != "1" {
		t.Errorf("%q is kept, want 1", got)
	}
}

// settled returns when what is queued is decided.
func (a *Account) settled(t *testing.T) {
	if err := a.update(context.Background(), func(*conn.Conn) error { return nil }); err != nil {
		t.Error(err)
	}
}

func (a *Account) activity(t *testing.T, agent store.AgentID) (got string) {
	t.Helper()
	if err := a.OwnOf(t.Context(), agent, store.OwnActivity, func(_ string, value []byte) error {
		got = string(value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}
