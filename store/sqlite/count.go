package sqlite

import (
	"context"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Count is the number of entries that p would yield without Max. Where all records of
// a conversation count, that is a matter of their numbers.
func (a *Account) Count(ctx context.Context, p store.Page) (int, error) {
	count, err := a.count(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("count entries: %w", err)
	}
	return count, nil
}

// count counts what p asks for. Of a time, it counts by numbers where all records are of
// that time, and one by one before and behind.
func (a *Account) count(ctx context.Context, p store.Page) (count int, err error) {
	p.Backwards = false
	parts := []store.Page{p}
	if !p.Start.IsZero() || !p.End.IsZero() {
		start, end := milliseconds(p.Start, p.End)
		low, high, err := a.inside(ctx, start, end)
		if err != nil {
			return 0, err
		}
		if low < high {
			parts = []store.Page{p, p, p}
			parts[0].Before = earlier(p.Before, store.Ordinal(low))
			parts[1].After, parts[1].Before = max(p.After, store.Ordinal(low-1)), earlier(p.Before, store.Ordinal(high))
			parts[1].Start, parts[1].End = time.Time{}, time.Time{}
			parts[2].After = max(p.After, store.Ordinal(high-1))
		}
	}
	for i := range parts {
		n, err := a.countPart(ctx, &parts[i])
		if err != nil {
			return 0, err
		}
		count += n
	}
	return count, nil
}

// earlier is the lower of two bounds, of which 0 is none.
func earlier(x, y store.Ordinal) store.Ordinal {
	if x == 0 {
		return y
	}
	return min(x, y)
}

func (a *Account) countPart(ctx context.Context, p *store.Page) (count int, err error) {
	r, err := a.pageReading(ctx, p, 0)
	if err != nil {
		return 0, err
	}
	if p.Start.IsZero() && p.End.IsZero() {
		if count, err = r.countWhole(ctx); err != nil {
			return 0, err
		}
	}
	for !r.ended {
		rs, err := r.some(ctx, sliceRows)
		if err != nil {
			return 0, err
		}
		count += len(rs)
	}
	return count, nil
}

// countWhole counts the conversations that have nothing but messages, and leaves the
// others to be merged.
func (r *reading) countWhole(ctx context.Context) (count int, err error) {
	var rest []*sight
	for _, s := range r.order {
		switch {
		case !r.matters(s):
			continue
		case s.others > 0:
			rest = append(rest, s)
			continue
		}
		low, high := s.low, s.high
		if r.after >= s.first || r.before <= s.last {
			if err := r.a.read(ctx, func(db *conn.Conn) (err error) {
				low, high, err = s.between(db, r.after, r.before)
				return err
			}); err != nil {
				return 0, err
			}
		}
		count += int(max(high-low+1, 0))
	}
	r.order, r.looking = rest, false
	return count, nil
}

// between finds which of the records are between two ordinals, by their n.
func (s *sight) between(db *conn.Conn, after, before int64) (low, high int64, err error) {
	low, high = s.low, s.high
	if after >= s.first {
		if low, err = s.firstAfter(db, after, low, high); err != nil {
			return 0, 0, err
		}
	}
	if before <= s.last {
		next, err := s.firstAfter(db, before-1, low, high)
		if err != nil {
			return 0, 0, err
		}
		high = next - 1
	}
	return low, high, nil
}
