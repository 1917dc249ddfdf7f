package sqlite

import (
	"context"
	"errors"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A lane is one conversation's part of a reading: its records from n low to n high,
// of which those between two ordinals matter.
type lane struct {
	chain
	low, high int64 // n, inclusive: what the agent may see, and what was not read yet
	first     int64 // the conversation's first ordinal
	others    int64 // records that are no messages
	self      bool  // the agent talks to herself

	// While it is read.
	opened bool
	key    int64  // the next record's ordinal, or a bound of it until the lane is opened
	marks  []mark // a block's, in the direction of the reading
}

// peek is how many records are read of a lane that is opened at its end: often one is
// all that is wanted of it.
const peek = 4

// openCost is about how many rows of the log can be looked at in the time in which a
// lane is opened.
const openCost = 40

// A reading goes through lanes by ordinal, in either direction, and costs about what it
// yields, not what there is. Where the lanes are many and hold much of the log it looks
// through the log itself. Else it merges them, and opens a lane only when one of its
// records may be the next.
type reading struct {
	a             *Account
	after, before int64 // exclusive ordinals; they move while the log is looked through
	backwards     bool
	accept        func(*lane, *mark) bool
	lanes         []*lane
	heap          []*lane

	budget int // rows of the log that may be looked at still
	by     map[store.ConversationID]*lane
	found  []mark // by looking through the log
}

// start chooses how to go. About so many records are wanted; 0 is all.
func (r *reading) start(wanted int) *reading {
	r.begin()
	held := int64(0)
	for _, l := range r.heap {
		held += l.n
	}
	cost := int64(len(r.heap)) * openCost
	if wanted > 0 && held > 0 && int64(wanted)*r.a.newest.Load()/held < cost {
		r.budget = int(2 * cost)
		r.by = make(map[store.ConversationID]*lane, len(r.heap))
		for _, l := range r.heap {
			r.by[l.id] = l
		}
	}
	return r
}

// begin puts the lanes that matter on the heap.
func (r *reading) begin() {
	r.heap = r.heap[:0]
	for _, l := range r.lanes {
		if l.last <= r.after || l.first >= r.before || l.low > l.high {
			continue
		}
		l.key = max(l.first, r.after+1)
		if r.backwards {
			l.key = min(l.last, r.before-1)
		}
		r.heap = append(r.heap, l)
	}
	r.heapify()
}

// next is the next record's ordinal; 0 at the end.
func (r *reading) next(ctx context.Context) (int64, error) {
	for r.budget > 0 || len(r.found) > 0 {
		if len(r.found) > 0 {
			m := r.found[0]
			r.found = r.found[1:]
			return m.ordinal, nil
		}
		if err := r.a.read(ctx, r.look); err != nil {
			return 0, err
		}
	}
	for len(r.heap) > 0 {
		l := r.heap[0]
		if len(l.marks) == 0 {
			if err := r.a.read(ctx, func(db *conn.Conn) error { return r.fill(db, l) }); err != nil {
				return 0, err
			}
			r.settle(l)
			continue
		}
		m := l.marks[0]
		l.marks = l.marks[1:]
		r.settle(l)
		if r.accept(l, &m) {
			return m.ordinal, nil
		}
	}
	return 0, nil
}

const lookForwards = `SELECT ordinal, n, at, kind, actor, conversation
FROM log
WHERE ordinal > ? AND ordinal < ?
ORDER BY ordinal
LIMIT ?`

const lookBackwards = `SELECT ordinal, n, at, kind, actor, conversation
FROM log
WHERE ordinal > ? AND ordinal < ?
ORDER BY ordinal DESC
LIMIT ?`

// look looks through a part of the log. When nothing is left to look at there, or it has
// gone too far for what it found, the lanes that still matter are merged.
func (r *reading) look(db *conn.Conn) error {
	query, slice, rows := lookForwards, min(r.budget, sliceRows/2), 0
	if r.backwards {
		query = lookBackwards
	}
	err := db.Query(query, []any{r.after, r.before, slice}, func(row conn.Row) error {
		rows++
		m := scanMark(row)
		if r.backwards {
			r.before = m.ordinal
		} else {
			r.after = m.ordinal
		}
		l := r.by[store.ConversationID(row.Int(5))]
		if l != nil && m.n >= l.low && m.n <= l.high && r.accept(l, &m) {
			r.found = append(r.found, m)
		}
		return nil
	})
	if r.budget -= rows; rows < slice {
		r.budget, r.lanes = 0, nil
	}
	if r.budget <= 0 {
		r.begin()
	}
	return err
}

// settle puts the lane at the top where it belongs, or takes it out when it is done.
// One whose marks are used up keeps its key: the next can't be nearer.
func (r *reading) settle(l *lane) {
	switch {
	case len(l.marks) > 0:
		l.key = l.marks[0].ordinal
	case l.low > l.high:
		r.heap[0] = r.heap[len(r.heap)-1]
		r.heap = r.heap[:len(r.heap)-1]
	}
	if len(r.heap) > 0 {
		r.down(0)
	}
}

// fill reads the lane's next block.
func (r *reading) fill(db *conn.Conn, l *lane) error {
	low, high := l.low, l.high
	marks, err := r.marks(db, l)
	if err != nil {
		return err
	}
	l.marks = slices.DeleteFunc(marks, func(m mark) bool {
		return m.n < low || m.n > high || m.ordinal <= r.after || m.ordinal >= r.before
	})
	if r.backwards {
		slices.Reverse(l.marks)
	}
	return nil
}

// marks reads a block, or a part of the last, and moves the lane's end past it.
func (r *reading) marks(db *conn.Conn, l *lane) ([]mark, error) {
	opened := l.opened
	l.opened = true
	var block int64
	var err error
	switch {
	case opened && r.backwards:
		block = blockOf(l.high)
	case opened:
		block = blockOf(l.low)
	case r.backwards && r.before > l.last && l.high == l.n:
		marks, err := l.back(db, l.last, l.n, min(peek, l.n))
		if l.high = l.n - int64(len(marks)); len(marks) > 0 {
			slices.Reverse(marks)
			return marks, err
		}
		block, l.high = blockOf(l.n), l.n // the last is missing
	case r.backwards:
		block, err = l.blockAfter(db, r.before-1, l.low, l.high)
	default:
		block, err = l.blockAfter(db, r.after, l.low, l.high)
	}
	if err != nil {
		return nil, err
	}
	if r.backwards {
		l.high = (block - 1) * blockSize
	} else {
		l.low = block*blockSize + 1
	}
	return l.read(db, block)
}

// narrow moves the lane's ends to the ordinals that matter.
func (r *reading) narrow(db *conn.Conn, l *lane) (err error) {
	if r.after >= l.first {
		if l.low, err = l.firstAfter(db, r.after, l.low, l.high); err != nil {
			return err
		}
	}
	if r.before <= l.last {
		next, err := l.firstAfter(db, r.before-1, l.low, l.high)
		if err != nil {
			return err
		}
		l.high = next - 1
	}
	return nil
}

// heapify makes the heap of lanes in any order.
func (r *reading) heapify() {
	for i := len(r.heap)/2 - 1; i >= 0; i-- {
		r.down(i)
	}
}

// down restores the heap's order below i.
func (r *reading) down(i int) {
	for {
		top := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(r.heap); c++ {
			if r.less(r.heap[c], r.heap[top]) {
				top = c
			}
		}
		if top == i {
			return
		}
		r.heap[i], r.heap[top] = r.heap[top], r.heap[i]
		i = top
	}
}

func (r *reading) less(x, y *lane) bool {
	if r.backwards {
		return x.key > y.key
	}
	return x.key < y.key
}

// errEnough ends a query whose further rows are not wanted.
var errEnough = errors.New("enough")

func notEnough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
