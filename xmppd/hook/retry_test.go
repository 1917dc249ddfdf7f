package hook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
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

func TestRetriesFollowTheList(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.say(status(500))
		start(t, s.c, desk(s.m))
		s.m.say("hello")
		pass(6 * 24 * time.Hour)
		got := s.all()
		if len(got) != len(defaultWaits) {
			t.Fatalf("%d attempts, want %d", len(got), len(defaultWaits))
		}
		signatures := make(map[string]bool)
		for i, g := range got {
			if i > 0 {
				wait, want := g.at.Sub(got[i-1].at), defaultWaits[i]
				if wait < want*8/10 || wait > want*12/10+time.Second {
					t.Errorf("attempt %d came after %v, want %v ± 20 %%", i+1, wait, want)
				}
			}
			if g.header.Get("x-parley-attempt") != strconv.Itoa(i+1) || g.header.Get("webhook-id") != got[0].header.Get("webhook-id") {
				t.Errorf("attempt %d says %s of %s", i+1, g.header.Get("x-parley-attempt"), g.header.Get("webhook-id"))
			}
			if ts, _ := strconv.ParseInt(g.header.Get("webhook-timestamp"), 10, 64); ts != g.at.Unix() {
				t.Errorf("attempt %d was made at %d and says %d", i+1, g.at.Unix(), ts)
			}
			if string(g.body) != string(got[0].body) {
				t.Errorf("attempt %d has another body", i+1)
			}
			signatures[g.header.Get("webhook-signature")] = true
		}
		if len(signatures) != len(got) {
			t.Errorf("%d signatures for %d attempts, want a fresh one each", len(signatures), len(got))
		}
		var row store.Retry
		for range got {
			row = s.m.next("wh_1").Retries[0]
		}
		if !row.Next.IsZero() || row.Attempt != len(defaultWaits) || !row.First.Equal(got[0].at) || len(s.m.rows("wh_1")) != 0 {
			t.Errorf("row = %+v, want it given up", row)
		}
		if n := len(s.m.tried("wh_1")); n != len(defaultWaits) {
			t.Errorf("%d attempts in the delivery log", n)
		}
		if e := s.m.get("wh_1"); e.Cursor != 1 || e.Disabled {
			t.Errorf("endpoint = %+v", e)
		}
	})
}

func TestARetryThatSucceedsIsSettled(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.say(status(500))
		start(t, s.c, desk(s.m))
		s.m.say("hello")
		pass(time.Second)
		if rows := s.m.rows("wh_1"); len(rows) != 1 || rows[0].Attempt != 1 || s.m.get("wh_1").Cursor != 1 {
			t.Errorf("rows = %+v; cursor %d", rows, s.m.get("wh_1").Cursor)
		}
		s.say(nil)
		pass(10 * time.Second)
		if rows := s.m.rows("wh_1"); len(rows) != 0 {
			t.Errorf("rows = %+v, want none", rows)
		}
		if n := len(s.all()); n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}
	})
}

func TestRetriesOutliveTheProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.say(status(500))
		_, stop := start(t, s.c, desk(s.m))
		s.m.say("hello")
		pass(time.Minute) // two attempts; the third is due in some five minutes
		stop()
		s.say(nil)
		start(t, s.c, desk(s.m))
		pass(time.Minute)
		if n := len(s.all()); n != 2 {
			t.Fatalf("%d attempts, want 2 before the third is due", n)
		}
		pass(6 * time.Minute)
		got := s.all()
		if len(got) != 3 || got[2].header.Get("x-parley-attempt") != "3" {
			t.Errorf("%d attempts, want a third", len(got))
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, c := range []struct {
		name, in string
		min, max time.Duration
	}{
		{"seconds", "120", 120 * time.Second, 121 * time.Second},
		{"less than ours", "1", 4 * time.Second, 7 * time.Second},
		{"too long", "999999", 24 * time.Hour, 24*time.Hour + time.Second},
		{"a date", "Sat, 01 Jan 2000 01:00:00 GMT", time.Hour - time.Second, time.Hour + time.Second},
		{"a date gone by", "Fri, 31 Dec 1999 01:00:00 GMT", 4 * time.Second, 7 * time.Second},
		{"nonsense", "soon", 4 * time.Second, 7 * time.Second},
		{"negative", "-5", 4 * time.Second, 7 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *stage) { // its clock begins with the year 2000
				s.say(status(503, "Retry-After", c.in))
				start(t, s.c, desk(s.m))
				s.m.say("hello")
				pass(time.Second)
				s.say(nil)
				s.m.say("later") // waits as well: the receiver asked for a rest
				pass(25 * time.Hour)
				got := s.all()
				if len(got) != 3 {
					t.Fatalf("%d attempts, want 3", len(got))
				}
				var again time.Time
				for _, g := range got[1:] {
					if g.header.Get("x-parley-attempt") == "2" {
						again = g.at
					}
				}
				if wait := again.Sub(got[0].at); wait < c.min || wait > c.max {
					t.Errorf("tried again after %v, want %v to %v", wait, c.min, c.max)
				}
			})
		})
	}
}

func TestGoneDisables(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.say(status(410))
		sender, _ := start(t, s.c, desk(s.m))
		s.m.say("hello")
		pass(time.Second)
		if e := s.m.get("wh_1"); !e.Disabled || !strings.Contains(e.Why, "410") {
			t.Errorf("endpoint = %+v, want it disabled", e)
		}
		s.say(nil)
		s.m.say("two")
		pass(time.Hour)
		if n := len(s.all()); n != 1 {
			t.Fatalf("%d attempts, want no more after 410", n)
		}
		told := s.all()[0].header.Get("webhook-id")
		// Whoever enables it again misses nothing; that it was disabled is an event, too.
		s.m.UpdateEndpoint(t.Context(), store.Endpoint{ID: "wh_1"})
		sender.Reload("desk")
		pass(time.Minute)
		var names []string
		for _, g := range s.all()[1:] {
			names = append(names, g.header.Get("x-parley-event"))
			if g.header.Get("x-parley-event") == "webhook.disabled" && (g.header.Get("webhook-id") == told ||
				!strings.Contains(string(g.body), `"endpoint":"wh_1","reason":"the receiver answered 410 Gone"`)) {
				t.Errorf("that it was disabled: %s", g.body)
			}
		}
		slices.Sort(names)
		if want := []string{"message.created", "message.created", "webhook.disabled"}; !slices.Equal(names, want) {
			t.Errorf("after it was enabled came %q, want %q", names, want)
		}
	})
}

func TestFiveDaysOfFailuresDisable(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.say(status(500))
		_, stop := start(t, s.c, desk(s.m))
		for day := range 5 {
			s.m.say("hello")
			pass(24 * time.Hour)
			if day == 2 { // a restart does not begin to count anew
				stop()
				_, stop = start(t, s.c, desk(s.m))
			}
			if e := s.m.get("wh_1"); e.Disabled {
				t.Fatalf("day %d: disabled %v %q", day, e.Disabled, e.Why)
			}
		}
		s.m.say("hello")
		pass(time.Hour)
		if e := s.m.get("wh_1"); !e.Disabled || e.Why != "nothing was delivered for five days; the last time the receiver answered 500 Internal Server Error" {
			t.Errorf("disabled %v %q", e.Disabled, e.Why)
		}
		stop()
	})
}

func TestOneSuccessEndsTheCount(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		for range 8 {
			s.say(status(500))
			_, stop := start(t, s.c, desk(s.m))
			s.m.say("hello")
			pass(23 * time.Hour)
			s.say(nil)
			s.m.say("hello")
			pass(time.Hour)
			stop()
		}
		if e := s.m.get("wh_1"); e.Disabled {
			t.Errorf("disabled: %s", e.Why)
		}
	})
}

func TestOverloadHalvesConcurrency(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		var now, most atomic.Int64
		var busy atomic.Bool
		busy.Store(true)
		s.say(func(w http.ResponseWriter, r *http.Request) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			<-time.After(time.Second)
			if busy.Load() {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		start(t, s.c, desk(s.m))
		s.m.say(make([]string, 200)...)
		for _, want := range []int64{8, 4, 2, 1, 1} {
			pass(time.Second - time.Millisecond)
			if got := most.Load(); got != want {
				t.Errorf("%d requests at once, want %d", got, want)
			}
			pass(time.Millisecond)
			most.Store(now.Load())
		}
		busy.Store(false)
		pass(30 * time.Minute)
		if got := most.Load(); got != 8 {
			t.Errorf("%d requests at once after it recovered, want 8 again", got)
		}
	})
}

func TestSlowAnswersEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		drip := func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, "."); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				<-time.After(time.Second)
			}
		}
		s.say(drip)
		start(t, s.c, desk(s.m))
		s.m.say("hello")
		pass(20 * time.Second)
		got := s.m.tried("wh_1")
		if len(got) != 1 || got[0].Err != "" || got[0].Took != 15*time.Second || len(got[0].Answer) > 16 {
			t.Errorf("attempts = %+v", got)
		}
		s.say(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		s.m.say("again")
		pass(16 * time.Second)
		got = s.m.tried("wh_1")
		if len(got) != 2 || got[1].Err != "the receiver did not answer in time" || got[1].Took != 15*time.Second {
			t.Errorf("attempts = %+v", got)
		}
	})
}

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

func TestADeadEndpointDelaysNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		slow := &receiver{answer: func(w http.ResponseWriter, _ *http.Request) { <-time.After(14 * time.Second) }}
		s.pipes.serve("slow.example:80", slow, nil)
		s.m.with(store.Endpoint{ID: "wh_dead", URL: "https://dead.example/"}).
			with(store.Endpoint{ID: "wh_slow", URL: "http://slow.example/"})
		s.c.rows = 50
		start(t, s.c, desk(s.m))
		for range 3 {
			s.m.say(make([]string, 100)...)
			pass(50 * time.Millisecond)
		}
		if n := len(s.all()); n != 300 {
			t.Errorf("the good receiver got %d events within a second, want 300", n)
		}
		pass(time.Hour)
		if n := len(slow.all()); n != 300 {
			t.Errorf("the slow receiver got %d events, want 300", n)
		}
		rows := len(s.m.rows("wh_dead"))
		if rows < 50 || rows > 50+8 {
			t.Errorf("the dead endpoint has %d rows, want some 50", rows)
		}

		// When it comes back, that is noticed soon, and it gets everything.
		back := &receiver{}
		ca := newAuthority(t)
		cert := ca.issue(t, "dead.example", time.Now().Add(100*24*time.Hour))
		s.c.Roots.AddCert(ca.cert)
		s.pipes.serve("dead.example:443", back, &cert)
		pass(6 * time.Minute)
		if n := len(back.all()); n < 250 {
			t.Errorf("%d events within minutes of its return", n)
		}
		pass(30 * time.Hour)
		ids := make(map[string]bool)
		for _, g := range back.all() {
			ids[g.header.Get("webhook-id")] = true
		}
		if len(ids) != 300 || s.m.get("wh_dead").Cursor != 300 {
			t.Errorf("%d different events, cursor %d; want 300", len(ids), s.m.get("wh_dead").Cursor)
		}
	})
}

// flaky fails its first readings.
type flaky struct {
	*ledger
	left atomic.Int64
}

func (f *flaky) Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	if f.left.Add(-1) >= 0 {
		return errors.New("disk on fire")
	}
	return f.ledger.Read(ctx, after, max, yield)
}

func TestReadingIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		f := &flaky{ledger: s.m}
		f.left.Store(3)
		a := desk(s.m)
		a.Store = f
		start(t, s.c, a)
		s.m.say("one")
		pass(time.Minute)
		if n := len(s.all()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

func TestManyReadersShareOneReading(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		for i := range 19 {
			s.m.with(store.Endpoint{ID: fmt.Sprint("wh_more", i), URL: "https://shop.example/parley"})
		}
		c := &counted{ledger: s.m}
		a := desk(s.m)
		a.Store = c
		start(t, s.c, a)
		pass(time.Second)
		for range 10 {
			s.m.say("hello")
			pass(time.Second)
		}
		if n := len(s.all()); n != 200 {
			t.Errorf("%d attempts, want 200", n)
		}
		if n := c.reads.Load(); n > 20 {
			t.Errorf("the log was read %d times for 10 events and 20 endpoints", n)
		}
	})
}

type counted struct {
	*ledger
	reads atomic.Int64
}

func (c *counted) Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	c.reads.Add(1)
	return c.ledger.Read(ctx, after, max, yield)
}
