package sqlite

import (
	"context"
	"fmt"
	"math"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Page yields a part of what an agent may see.
func (a *Account) Page(ctx context.Context, p store.Page, yield func(*store.Entry) error) (complete bool, err error) {
	r, err := a.pageReading(ctx, p, p.Backwards, p.Max)
	if err != nil {
		return false, fmt.Errorf("read a page: %w", err)
	}
	if p.Backwards {
		complete, err = a.pageBack(ctx, r, p.Max, yield)
	} else {
		complete, err = a.pull(ctx, r, p.Max, yield)
	}
	if err != nil {
		return false, fmt.Errorf("read a page: %w", err)
	}
	return complete, nil
}

// pull yields up to max entries as the reading comes to them, and says whether they
// were all.
func (a *Account) pull(ctx context.Context, r *reading, max int, yield func(*store.Entry) error) (complete bool, err error) {
	var slice []store.Ordinal
	for {
		o, err := r.next(ctx)
		if err != nil {
			return false, err
		}
		if o == 0 || max <= 0 || len(slice) == sliceRows {
			if err := a.Entries(ctx, slice, yield); err != nil {
				return false, err
			}
			slice = slice[:0]
		}
		if o == 0 || max <= 0 {
			return o == 0, nil
		}
		slice = append(slice, store.Ordinal(o))
		max--
	}
}

// pageBack yields the last max entries, in order.
func (a *Account) pageBack(ctx context.Context, r *reading, max int, yield func(*store.Entry) error) (complete bool, err error) {
	var found []store.Ordinal
	for {
		o, err := r.next(ctx)
		if err != nil {
			return false, err
		}
		if o == 0 || len(found) >= max {
			slices.Reverse(found)
			return o == 0, a.Entries(ctx, found, yield)
		}
		found = append(found, store.Ordinal(o))
	}
}

// Count is the number of entries that p would yield without Max. Where all records of
// a conversation count, that is a matter of their numbers.
func (a *Account) Count(ctx context.Context, p store.Page) (int, error) {
	count, err := a.count(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("count entries: %w", err)
	}
	return count, nil
}

func (a *Account) count(ctx context.Context, p store.Page) (int, error) {
	r, err := a.pageReading(ctx, p, false, 0)
	if err != nil {
		return 0, err
	}
	count := 0
	if p.Start.IsZero() && p.End.IsZero() {
		rest := r.heap[:0]
		for _, l := range r.heap {
			if l.others > 0 {
				rest = append(rest, l)
				continue
			}
			if err := a.read(ctx, func(db *conn.Conn) error { return r.narrow(db, l) }); err != nil {
				return 0, err
			}
			count += int(max(l.high-l.low+1, 0))
		}
		r.heap = rest
		r.heapify()
	}
	for {
		o, err := r.next(ctx)
		if err != nil || o == 0 {
			return count, err
		}
		count++
	}
}

// pageReading is what p asks for. About so many entries are wanted; 0 is all.
func (a *Account) pageReading(ctx context.Context, p store.Page, backwards bool, wanted int) (*reading, error) {
	after, before := int64(p.After), int64(p.Before)
	if before == 0 {
		before = math.MaxInt64
	}
	start, end := int64(math.MinInt64), int64(math.MaxInt64)
	if !p.Start.IsZero() {
		start = p.Start.UnixMilli()
		if p.Start.After(p.Start.Truncate(1e6)) { // kept times have milliseconds only
			start++
		}
	}
	if !p.End.IsZero() {
		end = p.End.UnixMilli()
	}
	if !p.Start.IsZero() || !p.End.IsZero() {
		low, high, err := a.within(ctx, start, end)
		if err != nil {
			return nil, err
		}
		after, before = max(after, low-1), min(before, high)
	}
	lanes, err := a.lanes(ctx, &p, after)
	if err != nil {
		return nil, err
	}
	r := &reading{a: a, after: after, before: before, backwards: backwards, lanes: lanes}
	r.accept = func(_ *lane, m *mark) bool {
		return m.kind == store.KindMessage && m.at >= start && m.at <= end
	}
	return r.start(wanted), nil
}

// lanes are the conversations that a page is from and that have records after an
// ordinal.
func (a *Account) lanes(ctx context.Context, p *store.Page, after int64) ([]*lane, error) {
	query := `SELECT c.id, m.first_n, m.last_n, c.n, c.first, c.last, c.others, c.a = c.b
		FROM member m
		JOIN conversation c ON c.id = m.conversation
		WHERE m.agent = ? AND NOT m.hidden AND c.shredded = 0 AND c.last > ? AND c.nature = ?`
	args := []any{int64(p.Agent), after, int(store.Direct)}
	if p.With != 0 {
		query += " AND m.conversation = ?"
		args = append(args, int64(p.With))
	}
	only, except := setOf(p.Only), setOf(p.Except)
	var lanes []*lane
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(query, args, func(r conn.Row) error {
			id := store.ConversationID(r.Int(0))
			if p.Only != nil && !only[id] || except[id] {
				return nil
			}
			l := &lane{chain: chain{id, r.Int(3), r.Int(5)},
				low: r.Int(1), high: r.Int(3), first: r.Int(4), others: r.Int(6), self: r.Int(7) != 0}
			if to := r.Int(2); to != 0 {
				l.high = min(l.high, to)
			}
			lanes = append(lanes, l)
			return nil
		})
	})
	return lanes, err
}

func setOf(ids []store.ConversationID) map[store.ConversationID]bool {
	set := make(map[store.ConversationID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// Visible says whether the agent may see the record. One that was destroyed could be
// seen by whoever knows its archive id.
func (a *Account) Visible(ctx context.Context, agent store.AgentID, o store.Ordinal) (bool, error) {
	if o < 1 || o > a.Newest() {
		return false, nil
	}
	there, visible := false, false
	err := a.read(ctx, func(db *conn.Conn) error {
		_, err := db.One(`SELECT m.agent IS NOT NULL AND l.kind = ?
			FROM log l
			LEFT JOIN member m ON m.agent = ? AND m.conversation = l.conversation
				AND NOT m.hidden AND l.n >= m.first_n AND (m.last_n = 0 OR l.n <= m.last_n)
			WHERE l.ordinal = ?`, []any{int(store.KindMessage), int64(agent), int64(o)},
			func(r conn.Row) { there, visible = true, r.Int(0) != 0 })
		return err
	})
	return visible || err == nil && !there, err
}

// Inbox yields up to max messages said to the agent by others that follow after. What
// she says to herself is for her other devices, too.
func (a *Account) Inbox(ctx context.Context, agent store.AgentID, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	lanes, err := a.lanes(ctx, &store.Page{Agent: agent}, int64(after))
	if err == nil {
		r := &reading{a: a, after: int64(after), before: math.MaxInt64, lanes: lanes}
		r.accept = func(l *lane, m *mark) bool {
			return m.kind == store.KindMessage && (m.actor != agent || l.self)
		}
		_, err = a.pull(ctx, r.start(max), max, yield)
	}
	if err != nil {
		return fmt.Errorf("read the inbox of agent %d: %w", agent, err)
	}
	return nil
}

// InboxNewest is the ordinal of the last record in any of the agent's conversations.
func (a *Account) InboxNewest(ctx context.Context, agent store.AgentID) (store.Ordinal, error) {
	var last int64
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		last, err = db.Number(`SELECT max(c.last)
			FROM member m
			JOIN conversation c ON c.id = m.conversation
			WHERE m.agent = ? AND NOT m.hidden AND c.shredded = 0`, int64(agent))
		return err
	})
	return store.Ordinal(last), err
}
