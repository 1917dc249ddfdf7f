package sqlite

import (
	"context"
	"errors"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// laneRows is how many rows of a conversation are looked at together.
const laneRows = 32

// A mark is what is looked at of a record before it is fetched.
type mark struct {
	ordinal, n, at int64
	kind           store.Kind
	actor          store.AgentID
}

// A lane is one conversation's part of a reading: its records from n low to n high,
// of which those between two ordinals matter.
type lane struct {
	id          store.ConversationID
	low, high   int64 // n, inclusive; the conversation's and what the agent may see
	first, last int64 // ordinals of the conversation
	others      int64 // records that are no messages
	self        bool  // the agent talks to herself

	// While it is read.
	opened bool
	key    int64 // the next record's ordinal, or a bound of it until it is opened
	next   int64 // n of the next row to look at
	marks  []mark
}

// A reading merges lanes by ordinal, in either direction. A lane is opened only when
// one of its records may be the next, so that a reading costs what it yields and not
// what there is.
type reading struct {
	a             *Account
	after, before int64 // exclusive ordinals
	backwards     bool
	accept        func(*lane, *mark) bool
	heap          []*lane
}

// newReading takes the lanes that reach between the ordinals.
func (a *Account) newReading(lanes []*lane, after, before int64, backwards bool, accept func(*lane, *mark) bool) *reading {
	r := &reading{a: a, after: after, before: before, backwards: backwards, accept: accept}
	for _, l := range lanes {
		if l.last <= after || l.first >= before || l.low > l.high {
			continue
		}
		l.key = max(l.first, after+1)
		if backwards {
			l.key = min(l.last, before-1)
		}
		r.heap = append(r.heap, l)
	}
	for i := len(r.heap)/2 - 1; i >= 0; i-- {
		r.down(i)
	}
	return r
}

// next is the next record's ordinal; 0 at the end.
func (r *reading) next(ctx context.Context) (int64, error) {
	for len(r.heap) > 0 {
		l := r.heap[0]
		if len(l.marks) == 0 {
			if err := r.fill(ctx, l); err != nil {
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

// settle puts the lane at the top where it belongs, or takes it out when it is done.
func (r *reading) settle(l *lane) {
	switch {
	case len(l.marks) > 0:
		l.key = l.marks[0].ordinal
	case l.opened && (l.low > l.high):
		r.heap[0] = r.heap[len(r.heap)-1]
		r.heap = r.heap[:len(r.heap)-1]
	case l.opened && r.backwards:
		l.key-- // it can't be more
	case l.opened:
		l.key++
	}
	if len(r.heap) > 0 {
		r.down(0)
	}
}

// fill looks at the lane's next rows. A lane without any has low above high.
func (r *reading) fill(ctx context.Context, l *lane) error {
	return r.a.read(ctx, func(db *conn.Conn) error {
		if !l.opened {
			l.opened = true
			if err := r.narrow(db, l); err != nil || l.low > l.high {
				return err
			}
		}
		query, from := ascending, l.low
		if r.backwards {
			query, from = descending, l.high
		}
		l.marks = l.marks[:0]
		err := db.Query(query, []any{int64(l.id), from, laneRows}, func(row conn.Row) error {
			m := mark{row.Int(0), row.Int(1), row.Int(2), store.Kind(row.Int(3)), store.AgentID(row.Int(4))}
			if m.n < l.low || m.n > l.high || m.ordinal <= r.after || m.ordinal >= r.before {
				return errEnough
			}
			l.marks = append(l.marks, m)
			return nil
		})
		switch n := len(l.marks); {
		case n < laneRows: // there are no more
			l.low, l.high = 1, 0
		case r.backwards:
			l.high = l.marks[n-1].n - 1
		default:
			l.low = l.marks[n-1].n + 1
		}
		return notEnough(err)
	})
}

const ascending = `SELECT ordinal, n, at, kind, actor
FROM log
WHERE conversation = ? AND n >= ?
ORDER BY n
LIMIT ?`

const descending = `SELECT ordinal, n, at, kind, actor
FROM log
WHERE conversation = ? AND n <= ?
ORDER BY n DESC
LIMIT ?`

// narrow moves the lane's ends to the ordinals that matter.
func (r *reading) narrow(db *conn.Conn, l *lane) error {
	if r.after >= l.first {
		n, err := firstAfter(db, l, r.after)
		if err != nil {
			return err
		}
		l.low = n
	}
	if r.before <= l.last && l.low <= l.high {
		n, err := firstAfter(db, l, r.before-1)
		if err != nil {
			return err
		}
		l.high = n - 1
	}
	return nil
}

// firstAfter finds the lowest n of the lane whose ordinal is above o, or the one after
// its last. Within a conversation ordinals grow with n, and log_place holds both.
func firstAfter(db *conn.Conn, l *lane, o int64) (int64, error) {
	low, high := l.low, l.high+1
	for low < high {
		middle := low + (high-low)/2
		n, ordinal := high, int64(0)
		found, err := db.One(`SELECT n, ordinal
			FROM log
			WHERE conversation = ? AND n >= ?
			ORDER BY n
			LIMIT 1`, []any{int64(l.id), middle}, func(row conn.Row) { n, ordinal = row.Int(0), row.Int(1) })
		switch {
		case err != nil:
			return 0, err
		case !found || ordinal > o:
			high = middle
		default:
			low = n + 1
		}
	}
	return low, nil
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
