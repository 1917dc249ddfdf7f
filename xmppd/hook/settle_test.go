package hook

import (
	"net/http"
	"testing"
	"time"

	"parley.im/parley/store"
)

// The process ends after the receiver's answer and before the store was told:
// the event comes again, under the same id.
func TestAtLeastOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.m.refuse(store.ErrUnavailable)
		_, stop := start(t, s.c, desk(s.m))
		s.m.say("one", "two", "three")
		pass(time.Minute)
		stop()
		if n := len(s.all()); n != 3 || s.m.get("wh_1").Cursor != 0 {
			t.Fatalf("%d attempts, cursor %d", n, s.m.get("wh_1").Cursor)
		}
		s.m.refuse(nil)
		start(t, s.c, desk(s.m))
		pass(time.Minute)
		ids := make(map[string]int)
		for _, g := range s.all() {
			ids[g.header.Get("webhook-id")]++
		}
		if len(ids) != 3 || len(s.all()) != 6 || s.m.get("wh_1").Cursor != 3 {
			t.Errorf("%d attempts for %d events, cursor %d; want each of 3 twice", len(s.all()), len(ids), s.m.get("wh_1").Cursor)
		}
	})
}

func TestNothingIsSentWhileOutcomesCannotBeKept(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		start(t, s.c, desk(s.m))
		s.m.say("one")
		pass(time.Second)
		s.m.refuse(store.ErrFull)
		s.m.say("two")
		pass(time.Second)
		s.m.say("three", "four")
		pass(time.Hour)
		if n := len(s.all()); n != 2 {
			t.Fatalf("%d attempts while the store is full, want 2", n)
		}
		s.m.refuse(nil)
		pass(10 * time.Second)
		if n := len(s.m.tried("wh_1")); n != 4 || s.m.get("wh_1").Cursor != 4 {
			t.Errorf("%d attempts kept, cursor %d, want 4 and 4", n, s.m.get("wh_1").Cursor)
		}
	})
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	for _, c := range []struct {
		name   string
		in     time.Duration // how long the receiver takes
		cursor store.Ordinal
		took   time.Duration
	}{
		{"in time", 3 * time.Second, 1, 2 * time.Second},
		{"too late", 10 * time.Second, 0, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *stage) {
				s.say(func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(c.in):
					case <-r.Context().Done():
					}
				})
				_, stop := start(t, s.c, desk(s.m))
				s.m.say("one")
				pass(time.Second)
				began := time.Now()
				stop()
				if took := time.Since(began); took != c.took {
					t.Errorf("ended after %v, want %v", took, c.took)
				}
				if got := s.m.get("wh_1").Cursor; got != c.cursor {
					t.Errorf("cursor = %d, want %d", got, c.cursor)
				}
				if rows := s.m.rows("wh_1"); len(rows) != 0 {
					t.Error("a request that we broke off counts as a failure")
				}
			})
		})
	}
}
