package hook

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/store"
)

// A breaking store is a real one whose callers' mistakes are ours to choose.
type breaking struct {
	*ledger
	read, list atomic.Int64  // so many calls break
	name       store.Ordinal // of a record that nobody can name
}

func (b *breaking) Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	if b.read.Add(-1) >= 0 {
		panic("reading: MARKER")
	}
	return b.ledger.Read(ctx, after, max, yield)
}

func (b *breaking) Endpoints(ctx context.Context) ([]store.Endpoint, error) {
	if b.list.Add(-1) >= 0 {
		panic("listing: MARKER")
	}
	return b.ledger.Endpoints(ctx)
}

func (b *breaking) ArchiveID(viewer store.AgentID, o store.Ordinal) string {
	if o == b.name {
		panic("naming: MARKER")
	}
	return b.ledger.ArchiveID(viewer, o)
}

// broken is a stage whose log is looked at for what must not be there.
func broken(t *testing.T, f func(t *testing.T, s *stage, b *breaking, log *bytes.Buffer)) {
	t.Helper()
	inBubble(t, func(t *testing.T, s *stage) {
		var log bytes.Buffer
		s.c.Log = slog.New(slog.NewTextHandler(&log, nil))
		f(t, s, &breaking{ledger: s.m}, &log)
		if text := log.String(); !strings.Contains(text, "msg=panic ") || strings.Contains(text, "MARKER") {
			t.Errorf("the log has\n%s", text)
		}
	})
}

// An endpoint whose worker broke is served again after a pause, and misses nothing.
func TestABrokenWorkerBeginsAgain(t *testing.T) {
	broken(t, func(t *testing.T, s *stage, b *breaking, _ *bytes.Buffer) {
		b.read.Store(1)
		_, stop := start(t, s.c, desk(b))
		s.m.say("one", "two")
		pass(500 * time.Millisecond)
		if n := len(s.all()); n != 0 {
			t.Errorf("%d requests before the pause", n)
		}
		pass(time.Minute)
		if got := s.took(t, false); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("came %q", got)
		}
		stop()
	})
}

// One that breaks each time rests, and the others are served; it is served again after the
// next start.
func TestAWorkerThatAlwaysBreaksRests(t *testing.T) {
	broken(t, func(t *testing.T, s *stage, b *breaking, log *bytes.Buffer) {
		b.read.Store(1000)
		_, stop := start(t, s.c, desk(b))
		s.m.say("one")
		pass(24 * time.Hour)
		if n := 1000 - b.read.Load(); n != 5 || strings.Count(log.String(), "rests until the next start") != 1 {
			t.Errorf("it broke %d times; the log has\n%s", n, log)
		}
		stop()
		b.read.Store(0)
		_, stop = start(t, s.c, desk(b))
		pass(time.Minute)
		if got := s.took(t, false); !slices.Equal(got, []string{"one"}) {
			t.Errorf("after the next start came %q", got)
		}
		stop()
	})
}

// When what serves all endpoints breaks, its workers end with it.
func TestABrokenFeedLeavesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		b := &breaking{ledger: s.m}
		sender := New(s.c)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan any, 1)
		go func() { // ends with the panic, or with ctx
			defer func() { ended <- recover() }()
			sender.Run(ctx, desk(b))
		}()
		s.m.say("one")
		pass(time.Minute)
		b.list.Store(1)
		sender.Reload("desk")
		synctest.Wait()
		if p := <-ended; p != "listing: MARKER" {
			t.Errorf("ended with %v", p)
		}
		if got := s.took(t, false); !slices.Equal(got, []string{"one"}) {
			t.Errorf("came %q", got)
		}
	})
}

// A record that nobody thought of becomes a dead letter, and keeps nothing from those behind it.
func TestARecordThatBreaksIsPassedBy(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		broken(t, func(t *testing.T, s *stage, b *breaking, _ *bytes.Buffer) {
			s.changed(func(e *store.Endpoint) { e.InOrder = ordered })
			b.name = 2
			s.m.say("one", "MARKER", "three")
			sender, stop := start(t, s.c, desk(b))
			pass(time.Minute)
			if got := s.took(t, ordered); !slices.Equal(got, []string{"one", "three"}) {
				t.Errorf("ordered %v: came %q", ordered, got)
			}
			dead, err := s.m.DeadLetters(t.Context(), "wh_1", time.Time{})
			if err != nil || !slices.Equal(dead, []store.Ordinal{2}) || sender.Stats.Unreadable.Load() != 0 {
				t.Errorf("dead letters %v, %v; %d unreadable", dead, err, sender.Stats.Unreadable.Load())
			}
			stop()
		})
	}
}

// An attempt that breaks, in our own goroutine or in net/http's, has failed and is made again.
func TestAnAttemptThatBreaksIsMadeAgain(t *testing.T) {
	broken(t, func(t *testing.T, s *stage, b *breaking, _ *bytes.Buffer) {
		var times atomic.Int64
		dial := s.c.Dial
		s.c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if times.Add(1) == 1 {
				panic("dialling: MARKER")
			}
			return dial(ctx, network, addr)
		}
		sender, stop := start(t, s.c, desk(b))
		s.m.say("one")
		pass(time.Hour)
		tries := s.m.tried("wh_1")
		if got := s.took(t, false); !slices.Equal(got, []string{"one"}) || len(tries) != 2 || sender.Stats.Failures.Load() != 1 {
			t.Errorf("came %q; tries %+v", got, tries)
		}
		stop()
		w := &worker{log: s.c.Log, poster: nil} // which post cannot do without
		if o := w.attempt(&job{event: &event{}}); o.problem != errBroke.Error() || o.id == "" || o.at.IsZero() {
			t.Errorf("outcome %+v", o)
		}
	})
}
