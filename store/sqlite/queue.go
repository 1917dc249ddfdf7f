package sqlite

import (
	"context"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// What one transaction takes at most, so that nobody waits long for it. A single
// batch may be larger.
const (
	groupOps   = 512
	groupBytes = 1 << 20
)

// lazyWait is how long what nobody waits for is left to gather company.
const lazyWait = 50 * time.Millisecond

// An item waits for the writer: a batch of records, any other write, or both at once.
type item struct {
	batch   *store.Batch
	repeat  int64   // of a batch of one
	repeats []int64 // of longer ones
	contact *contactChange
	write   *write
	err     error // the item's own fault, which fails no other
}

// A write is a change that is not a record.
type write struct {
	do   func(*conn.Conn) error
	then func(*writer) error // changes what the writer knows, if do was done; nil for nothing
	done chan error          // holds one; nil where nobody waits, or a batch tells
}

// weight is how much of a group an item takes.
func (it *item) weight() (ops, bytes int) {
	if it.batch == nil {
		return 1, 0
	}
	for i := range it.batch.Ops {
		bytes += len(it.batch.Ops[i].Data)
	}
	if it.contact != nil {
		bytes += len(it.contact.sealed)
	}
	return max(len(it.batch.Ops), 1), bytes
}

// A group is what one transaction decides.
type group struct {
	items []item
	grown bool // the log has new records
}

// clear forgets the items, so that a group that waits for use holds nobody's data.
func (g *group) clear() {
	clear(g.items)
	g.items, g.grown = g.items[:0], false
}

// A queue holds what waits for the writer. It is not bounded: those who append wait
// for their own tickets (a session for 256 of them at most).
type queue struct {
	wake chan struct{} // holds one value when the writer has something to look at

	mu     sync.Mutex
	items  []item
	urgent bool        // somebody waits for one of them, or has waited long enough
	timer  *time.Timer // makes lazy items urgent
	flush  bool        // deliveries are due
	rest   bool        // the keeper found the account idle
	closed bool

	// Touched by the writer only: what it took, and how far it got.
	taken []item
	at    int
}

// put adds an item and says whether the queue is open.
func (q *queue) put(it item) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, it)
	first := !q.urgent
	if it.lazy() {
		if len(q.items) == 1 {
			q.wakeLater()
		}
		first = false
	} else {
		q.urgent = true
	}
	q.mu.Unlock()
	if first {
		q.poke()
	}
	return true
}

func (it *item) lazy() bool {
	if it.batch != nil {
		return it.batch.Lazy
	}
	return it.write.done == nil
}

// wakeLater makes what waits urgent after a while; q.mu is held.
func (q *queue) wakeLater() {
	if q.timer == nil {
		q.timer = time.AfterFunc(lazyWait, func() { q.flag(&q.urgent) })
		return
	}
	q.timer.Reset(lazyWait)
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// flag sets one of the queue's flags and wakes the writer.
func (q *queue) flag(f *bool) {
	q.mu.Lock()
	*f = true
	q.mu.Unlock()
	q.poke()
}

// orders are what the writer is to do besides a group.
type orders struct {
	flush, rest, end bool
}

// take fills g with what waits, and waits if nothing does.
func (q *queue) take(g *group) orders {
	for {
		o := q.swap()
		q.move(g)
		if len(g.items) > 0 || o != (orders{}) {
			// What is left in hand comes first; the end waits for it.
			o.end = o.end && len(g.items) == 0
			o.rest = o.rest && len(g.items) == 0
			return o
		}
		<-q.wake
	}
}

// swap takes the whole queue when all that was taken before is done.
func (q *queue) swap() orders {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.at == len(q.taken) && (q.urgent || q.closed || q.flush) {
		clear(q.taken)
		q.taken, q.items, q.at, q.urgent = q.items, q.taken[:0], 0, false
	}
	o := orders{flush: q.flush, rest: q.rest, end: q.closed && len(q.items) == 0}
	q.flush, q.rest = false, false
	return o
}

// move puts as much of what was taken into g as one group may hold.
func (q *queue) move(g *group) {
	ops, bytes := 0, 0
	for q.at < len(q.taken) {
		o, b := q.taken[q.at].weight()
		if len(g.items) > 0 && (ops+o > groupOps || bytes+b > groupBytes) {
			return
		}
		ops, bytes = ops+o, bytes+b
		g.items = append(g.items, q.taken[q.at])
		q.at++
	}
}

// update runs do in the writer's transaction, with whatever else waits, and answers
// when it is durable. Its failure fails nobody else. do may run twice, so that what
// it sets outside must be set anew each time.
func (a *Account) update(ctx context.Context, do func(*conn.Conn) error) error {
	return a.updateAnd(ctx, do, nil)
}

// updateAnd is update, and in the same transaction changes headers or appends records.
// If then fails everything fails that shares the transaction, and is tried again one by
// one.
func (a *Account) updateAnd(ctx context.Context, do func(*conn.Conn) error, then func(*writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a.used.Store(true)
	w := &write{do: do, then: then, done: make(chan error, 1)}
	if !a.queue.put(item{write: w}) {
		return store.ErrUnavailable
	}
	// The writer always answers, and soon; leaving earlier would leave do behind,
	// still writing to its caller's variables.
	return <-w.done
}

// updateLater is update for what nobody waits for.
func (a *Account) updateLater(do func(*conn.Conn) error) {
	a.used.Store(true)
	a.queue.put(item{write: &write{do: do}})
}
