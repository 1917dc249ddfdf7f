package hook

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"parley.im/parley/store"
)

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
