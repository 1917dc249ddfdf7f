package hook

import (
	"strconv"
	"testing"
	"time"

	"parley.im/parley/store"
)

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
		// The second record is the event that it fails, which is for others.
		if e := s.m.get("wh_1"); e.Cursor != 2 || e.Disabled {
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
