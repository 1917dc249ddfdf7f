package hook

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"parley.im/parley/store"
)

// jumped makes of the store what a process would have left whose clock was
// ahead by so much.
func (s *stage) jumped(t *testing.T, by time.Duration) {
	t.Helper()
	list, err := s.m.Retries(t.Context(), "wh_1")
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	for i := range list {
		list[i].Next = list[i].Next.Add(by)
		if !list[i].First.IsZero() {
			list[i].First = list[i].First.Add(by)
		}
	}
	if err := s.m.Advance(t.Context(), store.Progress{Endpoint: "wh_1", Retries: list}); err != nil {
		t.Fatal(err)
	}
}

// A clock that goes back by a day, while the server is started anew, puts nothing off by a
// day, nor keeps it what follows; one that goes on by a day makes one wait shorter and not
// all.
func TestClockJumpsBetweenProcesses(t *testing.T) {
	for name, c := range map[string]struct {
		ahead  time.Duration // the clock of the process before, compared with the next one's
		within time.Duration // from the start to the next attempt
	}{
		"not at all":    {0, 6 * time.Minute},
		"a day back":    {24 * time.Hour, 6*time.Minute + time.Second},
		"ten days back": {10 * 24 * time.Hour, 6*time.Minute + time.Second},
		"a day on":      {-24 * time.Hour, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *stage) {
				if _, err := s.m.ChangeEndpoint(t.Context(), "wh_1", func(e *store.Endpoint) error { e.InOrder = true; return nil }); err != nil {
					t.Fatal(err)
				}
				s.say(status(500))
				_, stop := start(t, s.c, desk(s.m))
				s.m.say("one", "two", "three")
				pass(time.Minute) // two attempts at the first; the third is due in some five minutes
				stop()
				one := s.all()[0].header.Get("webhook-id")
				attempts := func() (n int) {
					for _, g := range s.all() {
						if g.header.Get("webhook-id") == one {
							n++
						}
					}
					return n
				}
				s.jumped(t, c.ahead)
				_, stop = start(t, s.c, desk(s.m))
				pass(c.within)
				if n := attempts(); n != 3 {
					t.Fatalf("%d attempts soon after the start, want a third", n)
				}
				pass(20 * time.Minute) // less than the next wait
				if n := attempts(); n != 3 {
					t.Fatalf("%d attempts some time after the start, want no other", n)
				}
				stop()
				before := len(s.all())
				s.jumped(t, c.ahead)
				s.say(nil)
				start(t, s.c, desk(s.m))
				pass(40 * time.Minute)
				var seqs []int64
				for _, g := range s.all()[before:] {
					var body struct{ Data struct{ Seq int64 } }
					if err := json.Unmarshal(g.body, &body); err != nil {
						t.Fatal(err)
					}
					seqs = append(seqs, body.Data.Seq)
				}
				if c.ahead < 0 { // it has failed for a day, as it seems: those behind it have gone ahead
					slices.Sort(seqs)
				}
				if !slices.Equal(seqs, []int64{1, 2, 3}) {
					t.Errorf("what came is %v, want 1, 2, 3", seqs)
				}
			})
		})
	}
}
