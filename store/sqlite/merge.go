package sqlite

import (
	"slices"

	"parley.im/parley/store/sqlite/conn"
)

// A lane is one conversation's part of a reading: of its sight, low and high move, and
// are what was not read yet.
type lane struct {
	sight
	opened  bool
	key     int64    // the next record's ordinal, or a bound of it until the lane is opened
	records []record // of a block, in the direction of the reading
}

// peek is how many records are read of a lane that is opened at its end: often one is
// all that is wanted of it.
const peek = 4

// alongMax is how large a sealed value may be that is read along with its row.
const alongMax = 16 << 10

// merge takes the next record from the lanes, or gets one step nearer to it.
func (r *reading) merge(db *conn.Conn) (next record, found bool, err error) {
	r.admit()
	if len(r.heap) == 0 {
		r.ended = true
		return next, false, nil
	}
	l := r.heap[0]
	if len(l.records) == 0 {
		if err := r.fill(db, l); err != nil {
			return next, false, err
		}
		r.settle(l)
		return next, false, nil
	}
	next = l.records[0]
	l.records = l.records[1:]
	r.along -= len(next.sealed)
	r.settle(l)
	return next, true, nil
}

// admit puts the lanes on the heap that may have the next record. All others come later
// in the order of sights.
func (r *reading) admit() {
	for ; r.admitted < len(r.order); r.admitted++ {
		s := r.order[r.admitted]
		if !r.matters(s) {
			continue
		}
		key := r.key(s)
		if len(r.heap) > 0 && r.sooner(r.heap[0].key, key) {
			return
		}
		r.push(&lane{sight: *s, key: key})
	}
}

// matters says whether any of a conversation's records may be wanted.
func (r *reading) matters(s *sight) bool {
	return s.last > r.after && s.first < r.before && r.filter.conversation(s.id)
}

// key is where a conversation's first wanted record is at the earliest.
func (r *reading) key(s *sight) int64 {
	if r.backwards {
		return min(s.last, r.before-1)
	}
	return max(s.first, r.after+1)
}

// settle puts the lane at the top where it belongs, or takes it out when it is done.
// One whose records are used up keeps its key: the next can't be nearer.
func (r *reading) settle(l *lane) {
	switch {
	case len(l.records) > 0:
		l.key = int64(l.records[0].entry.Ordinal)
	case l.low > l.high:
		r.heap[0] = r.heap[len(r.heap)-1]
		r.heap[len(r.heap)-1] = nil
		r.heap = r.heap[:len(r.heap)-1]
	}
	r.down()
}

// fill reads the lane's next block. Values are read along while they are not too many.
func (r *reading) fill(db *conn.Conn, l *lane) error {
	low, high := l.low, l.high
	upTo := noValues
	if r.values && r.along < sliceBytes {
		upTo = alongMax
	}
	r.work++
	records, err := r.block(db, l, upTo)
	if err != nil {
		return err
	}
	r.rows += int64(len(records))
	l.records = slices.DeleteFunc(records, func(x record) bool {
		o := int64(x.entry.Ordinal)
		return x.entry.N < low || x.entry.N > high || o <= r.after || o >= r.before
	})
	if r.backwards {
		slices.Reverse(l.records)
	}
	for i := range l.records {
		r.along += len(l.records[i].sealed)
	}
	return nil
}

// block reads a block, or a part of the last, and moves the lane's end past it.
func (r *reading) block(db *conn.Conn, l *lane, upTo int) ([]record, error) {
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
		records, err := l.back(db, l.last, l.n, min(peek, l.n-l.gone), upTo)
		if l.high = l.n - int64(len(records)); len(records) > 0 {
			slices.Reverse(records)
			return records, err
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
	return l.read(db, block, upTo)
}

// sooner says whether the reading comes to ordinal x before y.
func (r *reading) sooner(x, y int64) bool {
	if r.backwards {
		return x > y
	}
	return x < y
}

// push puts a lane on the heap.
func (r *reading) push(l *lane) {
	r.heap = append(r.heap, l)
	for i := len(r.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !r.sooner(r.heap[i].key, r.heap[parent].key) {
			return
		}
		r.heap[i], r.heap[parent] = r.heap[parent], r.heap[i]
		i = parent
	}
}

// down restores the heap's order after its top has changed.
func (r *reading) down() {
	for i := 0; ; {
		top := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(r.heap); c++ {
			if r.sooner(r.heap[c].key, r.heap[top].key) {
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
