package sqlite

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"parley.im/parley/store"
)

// For how long, and for how many records at most, a client may send again what it
// does not know to be kept.
const (
	repeatFor = 10 * 60 * 1000 // milliseconds
	repeatMax = 1 << 20
)

// A marker computes by what a record would be known if it came again.
type marker struct {
	macs sync.Pool // of *marking
}

// A marking is a marker's working memory.
type marking struct {
	mac hash.Hash
	buf []byte
}

func newMarker(key []byte) *marker {
	return &marker{macs: sync.Pool{New: func() any {
		return &marking{mac: hmac.New(sha256.New, key)}
	}}}
}

// of is 8 bytes of HMAC(account's index key, sender ‖ conversation ‖ id ‖ digest of the
// content), each with its length before it. 0 is nothing.
func (m *marker) of(op *store.Op) int64 {
	if op.RepeatID == "" {
		return 0
	}
	digest := sha256.Sum256(op.Content)
	w := m.macs.Get().(*marking)
	defer m.macs.Put(w)
	b := binary.BigEndian.AppendUint64(append(w.buf[:0], 8), uint64(op.Actor))
	b = binary.BigEndian.AppendUint64(append(b, 8), uint64(op.Conversation.ID()))
	b = binary.BigEndian.AppendUint32(b, uint32(len(op.RepeatID)))
	b = append(b, op.RepeatID...)
	b = append(append(b, sha256.Size), digest[:]...)
	w.mac.Reset()
	w.mac.Write(b)
	w.buf = w.mac.Sum(b)
	mark := int64(binary.BigEndian.Uint64(w.buf[len(b):]))
	if mark == 0 {
		return 1 // 0 is taken
	}
	return mark
}

// seen is the first copy of a record.
type seen struct {
	ordinal, n, at int64
}

// repeats remembers the records of the last ten minutes. It is the writer's.
type repeats struct {
	by    map[int64]seen
	order []marked // oldest first, from head on
	head  int
}

type marked struct {
	mark, ordinal int64
}

func (r *repeats) find(mark, now int64) (seen, bool) {
	s, ok := r.by[mark]
	return s, ok && s.at > now-repeatFor
}

func (r *repeats) add(mark int64, s seen) {
	if r.by == nil {
		r.by = make(map[int64]seen)
	}
	r.by[mark] = s
	r.order = append(r.order, marked{mark, s.ordinal})
}

// undo forgets the n records that were added last.
func (r *repeats) undo(n int) {
	keep := len(r.order) - n
	for _, m := range r.order[keep:] {
		delete(r.by, m.mark)
	}
	r.order = r.order[:keep]
}

// expire forgets what is too old, or too much.
func (r *repeats) expire(now int64) {
	for ; r.head < len(r.order); r.head++ {
		m := r.order[r.head]
		s := r.by[m.mark]
		if s.ordinal != m.ordinal {
			continue // it came again later, and has a later place
		}
		if s.at > now-repeatFor && len(r.order)-r.head <= repeatMax {
			break
		}
		delete(r.by, m.mark)
	}
	switch {
	case r.head == len(r.order):
		r.by, r.order, r.head = nil, nil, 0
	case r.head > len(r.order)/2:
		r.order = r.order[:copy(r.order, r.order[r.head:])]
		r.head = 0
	}
}
