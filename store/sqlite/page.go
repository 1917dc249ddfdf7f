package sqlite

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Page yields a part of what an agent may see.
func (a *Account) Page(ctx context.Context, p store.Page, yield func(*store.Entry) error) (complete bool, err error) {
	r, err := a.pageReading(ctx, &p, p.Max)
	if err == nil {
		r.values = true
		if p.Backwards {
			complete, err = a.pageBack(ctx, r, p.Max, yield)
		} else {
			complete, err = a.pull(ctx, r, p.Max, yield)
		}
	}
	if err != nil {
		return false, fmt.Errorf("read a page: %w", err)
	}
	return complete, nil
}

// pull yields up to max entries as the reading comes to them, and says whether they
// were all.
func (a *Account) pull(ctx context.Context, r *reading, max int, yield func(*store.Entry) error) (complete bool, err error) {
	for {
		rs, err := r.some(ctx, min(max, sliceRows-1)+1) // one more tells whether there is more
		if err != nil {
			return false, err
		}
		n := min(len(rs), max)
		if err := a.give(ctx, rs[:n], yield); err != nil {
			return false, err
		}
		if n < len(rs) || r.ended {
			return n == len(rs), nil
		}
		max -= n
	}
}

// pageBack yields the last max entries, in order. Values over what a slice may hold are
// fetched again when it is their turn.
func (a *Account) pageBack(ctx context.Context, r *reading, max int, yield func(*store.Entry) error) (complete bool, err error) {
	var found []record
	bytes := 0
	for !r.ended && len(found) <= max {
		rs, err := r.some(ctx, min(max-len(found), sliceRows-1)+1)
		if err != nil {
			return false, err
		}
		for i := range rs {
			if bytes += len(rs[i].sealed); bytes > sliceBytes {
				rs[i].sealed = nil
			}
		}
		found = append(found, rs...)
	}
	complete = len(found) <= max
	found = found[:min(len(found), max)]
	slices.Reverse(found)
	return complete, a.give(ctx, found, yield)
}

// pageReading is what p asks for. About so many entries are wanted; 0 is all.
func (a *Account) pageReading(ctx context.Context, p *store.Page, wanted int) (*reading, error) {
	r := &reading{a: a, agent: p.Agent, after: int64(p.After), before: int64(p.Before), backwards: p.Backwards,
		filter: filter{with: p.With, only: setOf(p.Only), except: setOf(p.Except)}}
	r.filter.start, r.filter.end = milliseconds(p.Start, p.End)
	if r.before == 0 {
		r.before = math.MaxInt64
	}
	if !p.Start.IsZero() || !p.End.IsZero() {
		low, high, err := a.within(ctx, r.filter.start, r.filter.end)
		if err != nil {
			return nil, err
		}
		r.after, r.before = max(r.after, low-1), min(r.before, high)
	}
	var v *view
	var err error
	switch {
	case p.With != 0:
		v, err = a.viewOf(ctx, p.Agent, p.With)
	case p.Only != nil && len(p.Only) <= freshMax:
		v, err = a.viewOf(ctx, p.Agent, p.Only...)
	default:
		v, err = a.view(ctx, p.Agent)
	}
	if err != nil {
		return nil, err
	}
	r.begin(v, wanted)
	return r, nil
}

// milliseconds are the bounds of a time as kept times are compared with them.
func milliseconds(from, to time.Time) (start, end int64) {
	start, end = math.MinInt64, math.MaxInt64
	if !from.IsZero() {
		start = from.UnixMilli()
		if from.After(from.Truncate(1e6)) { // kept times have milliseconds only
			start++
		}
	}
	if !to.IsZero() {
		end = to.UnixMilli()
	}
	return start, end
}

// setOf is nil for nil.
func setOf(ids []store.ConversationID) map[store.ConversationID]bool {
	if ids == nil {
		return nil
	}
	set := make(map[store.ConversationID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// Visible says whether the agent may see the record. One that was destroyed could be
// seen by whoever knows its archive id, as could a contact's by whoever saw that once: ids
// are each agent's own.
func (a *Account) Visible(ctx context.Context, agent store.AgentID, o store.Ordinal) (bool, error) {
	if o < 1 || o > a.Newest() {
		return false, nil
	}
	there, visible := false, false
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		there, err = db.One(`SELECT m.agent IS NOT NULL AND l.kind = +? OR c.shredded <> 0
			FROM log l
			LEFT JOIN conversation c ON c.id = l.conversation
			LEFT JOIN member m ON m.agent = +? AND m.conversation = l.conversation
				AND (c.nature = +? OR NOT m.hidden AND l.n >= m.first_n AND (m.last_n = 0 OR l.n <= m.last_n))
			WHERE l.ordinal = +?`, []any{int(store.KindMessage), int64(agent), int(store.Support), int64(o)},
			func(r conn.Row) { visible = r.Int(0) != 0 })
		return err
	})
	return visible || err == nil && !there, err
}

// Inbox yields up to max messages said to the agent by others that follow after. What
// she says to herself is for her other devices, too.
func (a *Account) Inbox(ctx context.Context, agent store.AgentID, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	v, err := a.view(ctx, agent)
	if err == nil {
		r := &reading{a: a, agent: agent, after: int64(after), before: math.MaxInt64, values: true,
			filter: filter{start: math.MinInt64, end: math.MaxInt64, toHer: agent, notes: v.notes}}
		r.begin(v, max)
		_, err = a.pull(ctx, r, max, yield)
	}
	if err != nil {
		return fmt.Errorf("read the inbox of agent %d: %w", agent, err)
	}
	return nil
}

// InboxNewest is the ordinal of the last record in any of the agent's conversations.
func (a *Account) InboxNewest(ctx context.Context, agent store.AgentID) (store.Ordinal, error) {
	v, err := a.view(ctx, agent)
	if err != nil || len(v.byLast) == 0 {
		return 0, err
	}
	return store.Ordinal(v.byLast[0].last), nil
}
