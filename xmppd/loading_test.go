package xmppd

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

// Whoever signs in does not wait for a change of somebody else's roster, however long its
// commit takes.
func TestASignInWaitsForNobodysRoster(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	kept := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(kept)
	begun := make(chan struct{})
	wg.Go(func() {
		_ = d.changeRosters(func(c *rosterChange) error {
			_, err := c.side("bob@desk.example")
			close(begun)
			<-kept
			return err
		})
	})
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	came := make(chan error)
	go func() { came <- d.agent("anna").load(ctx) }() // ends with the change, at the latest
	select {
	case err := <-came:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("anna waits for a change of bob's roster")
	}
}

// Who comes and goes while her roster is changed has the one that is kept.
func TestWhoComesHasTheRosterThatIsKept(t *testing.T) {
	d := newOffice(t, "anna")
	anna := d.agent("anna")
	const shop = "orders@shop.example"
	overAndOver(t, func() {
		if err := anna.load(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for n := range 300 {
		name := strconv.Itoa(n)
		err := d.changeRosters(func(c *rosterChange) error {
			me, err := c.side(anna.bare)
			if err != nil {
				return err
			}
			return c.label(me, &im.RosterSet{JID: shop, Name: name})
		})
		if err != nil {
			t.Fatal(err)
		}
		r := anna.roster.Load()
		for ; r == nil; r = anna.roster.Load() {
			runtime.Gosched()
		}
		if c := r.Contact(shop); c == nil || c.Name != name {
			t.Fatalf("after change %s she has %v", name, c)
		}
		anna.mu.Lock() // as if her last session ended
		anna.roster.Store(nil)
		anna.mu.Unlock()
	}
}

// A roster that was read before an agent was deleted names her still (rule 56).
func TestARosterReadBeforeADeletionIsReadAgain(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	anna, bob := d.agent("anna"), d.agent("bob")
	moves, deleted := anna.moves()
	r, err := d.readRoster(t.Context(), anna.id)
	if err != nil {
		t.Fatal(err)
	}
	d.removed(store.Agent{ID: bob.id, Name: "bob"}, true)
	if anna.settle(r, moves, deleted) {
		t.Error("what was read before counts")
	}
	if err := anna.load(t.Context()); err != nil || anna.roster.Load() == nil {
		t.Errorf("%v, and the roster is %v", err, anna.roster.Load())
	}
}
