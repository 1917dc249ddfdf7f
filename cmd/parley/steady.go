package main

import "time"

// By a clock that was set wrong for a moment nothing may be destroyed. So a clock counts
// only when it has been steady: it ran on with the processor's own time for steadyFor.
// Right after a start it also counts if the newest record of the account is not older
// than steadySoon, since then the clock has hardly moved while nothing ran.
const (
	steadyFor  = 6 * time.Hour
	steadySoon = 2 * time.Hour
	steadyJump = time.Hour // less makes no difference: this is how often it is looked at
)

// A steadiness watches a clock.
type steadiness struct {
	now    func() time.Time
	since  time.Time // by the processor's own time (a monotonic reading), as is last
	last   time.Time
	wall   time.Time // the clock at last
	jumped bool
}

func newSteadiness(now func() time.Time) *steadiness {
	s := &steadiness{now: now, since: time.Now(), wall: now()}
	s.last = s.since
	return s
}

// look reads the clock. It says how far it is to be trusted: at all, and by an account
// whose newest record was made at a time.
func (s *steadiness) look() (now time.Time, trusted func(written time.Time) bool) {
	at, now := time.Now(), s.now()
	drift := now.Round(0).Sub(s.wall.Round(0)) - at.Sub(s.last)
	if drift.Abs() > steadyJump {
		s.since, s.jumped = at, true
	}
	s.last, s.wall = at, now
	steady, jumped := at.Sub(s.since) >= steadyFor, s.jumped
	return now, func(written time.Time) bool {
		return steady || !jumped && now.Sub(written).Abs() <= steadySoon
	}
}
