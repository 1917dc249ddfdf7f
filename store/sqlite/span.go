package sqlite

import (
	"context"
	"math"
	"sync"

	"parley.im/parley/store/sqlite/conn"
)

// spanSize is how many ordinals share a row with their earliest and latest time.
// Records are written in the order of their commits, which is nearly, but never
// surely, that of their times.
const spanSize = 1024

// A span is the times of the ordinals from first to first+spanSize-1.
type span struct {
	first            int64
	earliest, latest int64
	some             bool
}

func (s *span) add(at int64) {
	if !s.some {
		s.earliest, s.latest, s.some = at, at, true
	}
	s.earliest, s.latest = min(s.earliest, at), max(s.latest, at)
}

// spans keeps those that are complete; they never change.
type spans struct {
	mu  sync.Mutex
	all []span
}

// within finds between which ordinals (from low up to, not including, high) all
// records of a time must be.
func (a *Account) within(ctx context.Context, start, end int64) (low, high int64, err error) {
	// First the span that is not complete: if it becomes so meanwhile, it is among the
	// others.
	earliest := a.earliest.Load()
	all, err := a.completeSpans(ctx)
	if err != nil {
		return 0, 0, err
	}
	low, high = 1, math.MaxInt64
	for i := 0; i < len(all) && all[i].latest < start; i++ {
		low = all[i].first + spanSize
	}
	if earliest <= end {
		return low, high, nil
	}
	high = 1
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].earliest <= end {
			high = all[i].first + spanSize
			break
		}
	}
	return low, high, nil
}

// inside finds ordinals (from low up to, not including, high) all of whose records are of
// a time, as many as there are side by side.
func (a *Account) inside(ctx context.Context, start, end int64) (low, high int64, err error) {
	all, err := a.completeSpans(ctx)
	if err != nil {
		return 0, 0, err
	}
	from := int64(0) // of the run so far; 0 is none
	for _, s := range all {
		switch {
		case s.earliest < start || s.latest > end:
			from = 0
			continue
		case from == 0:
			from = s.first
		}
		if s.first+spanSize-from > high-low {
			low, high = from, s.first+spanSize
		}
	}
	return low, high, nil
}

// publish lets readers know the times of the span that is not complete.
func (w *writer) publish() {
	w.a.newest.Store(w.newest)
	if !w.span.some {
		w.a.earliest.Store(math.MaxInt64)
		return
	}
	w.a.earliest.Store(w.span.earliest)
}

// completeSpans reads what was added since it was read last.
func (a *Account) completeSpans(ctx context.Context) ([]span, error) {
	a.spans.mu.Lock()
	all := a.spans.all
	a.spans.mu.Unlock()
	last := int64(-1)
	if len(all) > 0 {
		last = all[len(all)-1].first
	}
	if a.newest.Load() < last+2*spanSize && last > 0 {
		return all, nil
	}
	all = all[:len(all):len(all)]
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT first, earliest, latest FROM span WHERE first > ? ORDER BY first", []any{last},
			func(r conn.Row) error {
				all = append(all, span{first: r.Int(0), earliest: r.Int(1), latest: r.Int(2), some: true})
				return nil
			})
	})
	if err != nil {
		return nil, err
	}
	a.spans.mu.Lock()
	defer a.spans.mu.Unlock()
	if len(all) > len(a.spans.all) {
		a.spans.all = all
	}
	return all, nil
}

func (s *spans) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}
