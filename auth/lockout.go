package auth

import (
	"cmp"
	"time"
)

// Lockout says how wrong proofs are answered with locks and delays. Zero values are
// the defaults.
type Lockout struct {
	// Off switches all of it off.
	Off bool
	// Failures is how many wrong proofs for one name from one address lock the two; 5.
	// A device that is known gets ten times as many.
	Failures int
	// For is how long the first lock lasts, 5 minutes; each one after it lasts twice as
	// long, Max at most, 1 hour.
	For, Max time.Duration
	// Forget is after what time failures, and past locks, count no more; 1 hour.
	Forget time.Duration
	// Budget is how many wrong proofs from one address lock it for all names; 100.
	// Known devices don't use it up and aren't locked by it.
	Budget int
	// Slow is how many wrong proofs for one name, wherever they come from, pass before
	// answers for that name wait; 20. The wait grows by 100 ms with each further one, to
	// Delay at most, 5 seconds. Known devices don't wait.
	Slow  int
	Delay time.Duration
	// Entries bounds each of the tables that remember this; 65,536. What was touched
	// longest ago is forgotten first.
	Entries int
}

const (
	knownFactor = 10
	delayStep   = 100 * time.Millisecond
)

func (l Lockout) withDefaults() Lockout {
	l.Failures = cmp.Or(l.Failures, 5)
	l.For = cmp.Or(l.For, 5*time.Minute)
	l.Max = max(cmp.Or(l.Max, time.Hour), l.For)
	l.Forget = cmp.Or(l.Forget, time.Hour)
	l.Budget = cmp.Or(l.Budget, 100)
	l.Slow = cmp.Or(l.Slow, 20)
	l.Delay = cmp.Or(l.Delay, 5*time.Second)
	l.Entries = cmp.Or(l.Entries, 1<<16)
	return l
}

// A tally counts the failures of one name, address or pair.
type tally struct {
	count  int       // wrong proofs since
	since  time.Time // the first of them
	until  time.Time // end of the lock
	rounds int       // locks so far
	beyond int       // wrong proofs during this lock
}

// settle forgets what is too long ago.
func (t *tally) settle(now time.Time, l *Lockout) {
	if now.Sub(t.since) >= l.Forget {
		t.count = 0
	}
	if t.count == 0 && now.Sub(t.until) >= l.Forget {
		*t = tally{}
	}
}

func (t *tally) locked(now time.Time) bool { return now.Before(t.until) }

// add counts a wrong proof. The limit is 0 where nothing is locked.
func (t *tally) add(now time.Time, limit int, l *Lockout) {
	if t.locked(now) {
		t.beyond++
		return
	}
	if t.count == 0 {
		t.since = now
	}
	t.count++
	if limit == 0 || t.count < limit {
		return
	}
	length := l.For
	for range t.rounds {
		if length = min(2*length, l.Max); length == l.Max {
			break
		}
	}
	*t = tally{until: now.Add(length), rounds: t.rounds + 1}
}
