package hook

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

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

// An endpoint that has failed for an hour is told of once, over a restart as well, and again when
// it has worked meanwhile.
func TestAnHourOfFailuresIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		var others receiver
		s.pipes.serve("other.example:80", &others, nil)
		s.m.with(store.Endpoint{ID: "wh_2", URL: "http://other.example/", Events: []string{"webhook.*"}})
		told := func(want int) {
			t.Helper()
			if n := len(others.all()); n != want {
				t.Fatalf("told %d times, want %d", n, want)
			}
		}
		s.say(status(503))
		_, stop := start(t, s.c, desk(s.m))
		began := time.Now()
		s.m.say("hello")
		pass(50 * time.Minute) // tried four times
		told(0)
		pass(3 * time.Hour)
		told(1)
		var body struct{ Data map[string]any }
		if err := json.Unmarshal(others.all()[0].body, &body); err != nil {
			t.Fatal(err)
		}
		if d := body.Data; d["endpoint"] != "wh_1" || d["reason"] != "the receiver answered 503 Service Unavailable" || d["since"] != began.UTC().Format(time.RFC3339) {
			t.Errorf("told %v", d)
		}
		stop()
		_, stop = start(t, s.c, desk(s.m))
		defer stop()
		pass(24 * time.Hour)
		told(1)

		s.say(nil)
		s.m.say("hello again")
		pass(time.Minute)
		s.say(status(503))
		s.m.say("and again")
		pass(50 * time.Minute)
		told(1)
		pass(3 * time.Hour)
		told(2)
	})
}
