package hook

import (
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/store"
)

// A stage is a receiver behind pipes under a fake clock.
type stage struct {
	*receiver
	pipes *pipes
	m     *ledger // its endpoint is wh_1
	c     Config
}

// inBubble runs f with a receiver at https://shop.example, and ends all.
func inBubble(t *testing.T, f func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		cert := ca.issue(t, "shop.example", time.Now().Add(100*24*time.Hour))
		s := &stage{receiver: &receiver{}, pipes: &pipes{}}
		s.pipes.serve("shop.example:443", s.receiver, &cert)
		s.m = newLedger(t).with(store.Endpoint{ID: "wh_1", URL: "https://shop.example/parley"})
		s.c = Config{Dial: s.pipes.dial, Roots: ca.pool}
		t.Cleanup(s.pipes.end) // after the senders, which were started later
		f(t, s)
	})
}

// pass lets pretend time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
