package hook

import (
	"testing"
	"time"
)

// What was given up is kept for thirty days, or as long as what it tells of if that is shorter,
// and the delivery log as well.
func TestOldDeliveriesAreDeleted(t *testing.T) {
	const day = 24 * time.Hour
	for keep, want := range map[time.Duration]time.Duration{0: 30 * day, 90 * day: 30 * day, 7 * day: 7 * day} {
		inBubble(t, func(t *testing.T, s *stage) {
			s.say(status(500))
			a := desk(s.m)
			a.Keep = keep
			_, stop := start(t, s.c, a)
			defer func() { stop() }()
			s.m.say("dead")
			pass(4 * day) // the last attempt is made
			s.say(nil)
			count := func() (dead, log int) {
				list, err := s.m.DeadLetters(t.Context(), "wh_1", time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				return len(list), len(s.m.tried("wh_1"))
			}
			pass(want - 4*day - 2*time.Hour)
			if dead, log := count(); dead != 1 || log != len(defaultWaits) {
				t.Errorf("kept for %v: shortly before it is due there are %d dead letters, and %d attempts", keep, dead, log)
			}
			stop() // a restart changes nothing
			_, stop = start(t, s.c, a)
			pass(4 * time.Hour)
			if dead, log := count(); dead != 0 || log == 0 {
				t.Errorf("kept for %v: when it is due there are %d dead letters, and %d attempts", keep, dead, log)
			}
			pass(4 * day)
			if dead, log := count(); dead != 0 || log != 0 {
				t.Errorf("kept for %v: in the end there are %d dead letters, and %d attempts", keep, dead, log)
			}
		})
	}
}
