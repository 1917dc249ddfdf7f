package xmppd

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turns let a few at a time do something, the others in the order in which they came, one of
// each kind after the other.
//
// The server's are for work that somebody asks for who need not be served at once: strangers
// who sign in, and agents who ask for more than their share. Half of the processors do that
// at most, and less while there are others at work, so that whoever is modest finds a
// processor free, however many ask for however much.
type turns struct {
	lease time.Duration // a turn that lasts longer ends by itself where others wait; 0 never

	modest atomic.Int64 // when somebody modest was served last, in nanoseconds

	mu      sync.Mutex // guards what follows
	free    int
	held    []*turn // of those with a lease
	waiting [kinds][]*turn
	last    int           // the kind that had the last turn
	rest    time.Duration // that is due before the next turn
	timer   *time.Timer   // ends turns
	ticking bool
}

// A turn is used by one goroutine at a time.
type turn struct {
	kind  int
	ready chan struct{} // holds one when the turn has come; made at the first wait
	peer  net.Conn      // who waits; nil for whoever waits in any case
	has   bool          // guarded by the mu of its turns, as is what follows
	aged  bool          // was held when the timer came last
	since time.Time
	gone  bool // its peer has hung up
}

// The kinds of those who wait. Strangers who have come as far as TLS are fewer, so that they
// get on faster than those who have just come.
const (
	sessions = iota
	newcomers
	secured
	deliveries
	kinds
)

const (
	// turnLease is how long a turn of the server's lasts, at least. Whoever takes longer waits
	// for something, most likely, and the processor is free meanwhile.
	turnLease = 2 * time.Millisecond

	// While somebody modest was served a moment ago, each turn is followed by a rest of so many
	// times its length. Rests are taken when they are worth it.
	restTimes = 5
	moment    = 200 * time.Millisecond
	leastRest = time.Millisecond
)

// workers is how many may work in turns on this machine.
func workers() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// take waits until it is t's turn; false if its peer has hung up meanwhile.
func (q *turns) take(t *turn) bool {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.give(t)
		q.mu.Unlock()
		return true
	}
	if t.ready == nil {
		t.ready = make(chan struct{}, 1)
	}
	q.waiting[t.kind] = append(q.waiting[t.kind], t)
	q.tick()
	q.mu.Unlock()
	<-t.ready
	q.mu.Lock()
	defer q.mu.Unlock()
	t.since = time.Now() // it has taken until now to be woken
	return !t.gone
}

// keep is take for whoever may have a turn already.
func (q *turns) keep(t *turn) {
	q.mu.Lock()
	has := t.has
	q.mu.Unlock()
	if !has {
		q.take(t)
	}
}

// leave ends a turn; without one it does nothing.
func (q *turns) leave(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.has {
		q.end(t)
	}
}

// give makes it t's turn; q.mu is held.
func (q *turns) give(t *turn) {
	t.has = true
	if q.lease > 0 {
		t.since, t.aged = time.Now(), false
		q.held = append(q.held, t)
	}
}

// end ends t's turn; q.mu is held.
func (q *turns) end(t *turn) {
	t.has = false
	if i := slices.Index(q.held, t); i >= 0 {
		q.held = slices.Delete(q.held, i, i+1)
		if now := time.Now(); q.pressed(now) {
			q.rest += restTimes * min(now.Sub(t.since), q.lease)
		}
	}
	if q.rest < leastRest {
		q.next()
		return
	}
	time.AfterFunc(q.rest, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.next()
	})
	q.rest = 0
}

// next gives a turn that has ended to whoever waits longest; q.mu is held.
func (q *turns) next() {
	for range kinds {
		q.last = (q.last + 1) % kinds
		for line := &q.waiting[q.last]; len(*line) > 0; {
			next := (*line)[0]
			(*line)[0] = nil
			*line = (*line)[1:]
			next.gone = next.peer != nil && hungUp(next.peer)
			if !next.gone {
				q.give(next)
			}
			next.ready <- struct{}{}
			if !next.gone {
				return
			}
		}
		q.waiting[q.last] = nil
	}
	q.free++
}

// maxNewcomers is how many wait here; others wait with the system.
const maxNewcomers = 256

// crowded says that no more newcomers are to be let in now.
func (q *turns) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting[newcomers]) >= maxNewcomers
}

// tick sees to it that turns end that last too long; q.mu is held.
func (q *turns) tick() {
	switch {
	case q.lease == 0 || q.ticking:
		return
	case q.timer == nil:
		q.timer = time.AfterFunc(q.lease, q.expire)
	default:
		q.timer.Reset(q.lease)
	}
	q.ticking = true
}

func (q *turns) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ticking = false
	for _, t := range slices.Clone(q.held) {
		if t.aged {
			q.end(t)
		}
		t.aged = true
	}
	for _, line := range q.waiting {
		if len(line) > 0 {
			q.tick()
		}
	}
}

// pressed says that somebody modest was served a moment ago.
func (q *turns) pressed(now time.Time) bool { return now.UnixNano()-q.modest.Load() < int64(moment) }

// served notes that somebody modest was served.
func (q *turns) served(now time.Time) {
	if n := now.UnixNano(); n-q.modest.Load() > int64(moment/4) {
		q.modest.Store(n)
	}
}
