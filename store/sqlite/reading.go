package sqlite

import (
	"context"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A reading goes through what an agent may see by ordinal, in either direction, and
// costs about what it yields, not what there is. Where hers is much of the log it looks
// through the log itself. Else it merges her conversations.
type reading struct {
	a             *Account
	agent         store.AgentID
	filter        filter
	after, before int64 // exclusive ordinals; they move while the log is looked through
	backwards     bool
	values        bool // sealed values are wanted, too
	order         []*sight
	ended         bool
	work          int   // about how often the file was read, since the caller set it to 0
	rows          int64 // of the log that were looked at so far

	// Looking through the log.
	looking bool
	found   int64 // of the rows
	ready   []record
	enough  int // of these

	// Merging.
	admitted int // how many of order had their turn
	heap     []*lane
	along    int // bytes of values that the lanes hold
}

// A filter is what of it is wanted.
type filter struct {
	with         store.ConversationID
	only, except map[store.ConversationID]bool // a nil only is all
	start, end   int64                         // times, inclusive
	toHer        store.AgentID                 // not what this agent said to others
	notes        store.ConversationID          // hers with herself
}

func (f *filter) conversation(id store.ConversationID) bool {
	return (f.with == 0 || f.with == id) && (f.only == nil || f.only[id]) && !f.except[id]
}

func (f *filter) record(r *record) bool {
	e := &r.entry
	return e.Kind == store.KindMessage && r.at >= f.start && r.at <= f.end &&
		(f.toHer == 0 || e.Actor != f.toHer || e.Conversation == f.notes) && f.conversation(e.Conversation)
}

// What it costs to get on, in rows of the log that could be looked at instead. To open a
// lane is to find a block and to read it.
const (
	openCost  = 300
	mergeCost = 16 // for a record of an open lane
)

// begin chooses how to go. About so many records are wanted; 0 is all.
func (r *reading) begin(v *view, wanted int) {
	r.order = v.byFirst
	if r.backwards {
		r.order = v.byLast
	}
	if len(r.order) == 0 {
		r.ended = true
		return
	}
	low, high := v.byFirst[0].first, v.byLast[0].last
	r.after, r.before = max(r.after, low-1), min(r.before, high+1)
	some := min(int64(wanted), v.records)
	if some == 0 {
		some = v.records
	}
	r.choose(some, (high-low+1)/v.records) // as if they were spread evenly, and all of them wanted
}

// choose decides whether to look through the log for so many records, each of which is
// expected within so many rows.
func (r *reading) choose(wanted, rows int64) {
	look := min(wanted*rows, r.before-r.after)
	r.looking = r.merging(wanted, look) >= look
}

// merging is about what it costs to merge so many records, which are expected within so
// many rows of the log, as far as that matters: it stops where these cost less.
func (r *reading) merging(records, rows int64) (cost int64) {
	end := r.after + rows
	if r.backwards {
		end = r.before - rows
	}
	cost = records * mergeCost
	for i := 0; i < len(r.order) && cost < rows; i++ {
		switch s := r.order[i]; {
		case !r.matters(s):
		case r.sooner(end, r.key(s)):
			return cost
		default:
			cost += openCost
		}
	}
	return cost
}

// step gets one record, or one step nearer to it, or ends.
func (r *reading) step(db *conn.Conn) (next record, found bool, err error) {
	switch {
	case len(r.ready) > 0:
		next, found = r.ready[0], true
		r.ready = r.ready[1:]
	case r.after+1 >= r.before:
		r.ended = true
	case r.looking:
		err = r.look(db)
	default:
		next, found, err = r.merge(db)
	}
	return next, found && r.filter.record(&next), err
}

// workMax is how much of it is done on one state of the file, so that nobody waits for
// long for the end of that.
const workMax = 16

// some reads up to so many records, fewer if they are large or take long to find. At the
// end of all it sets r.ended.
func (r *reading) some(ctx context.Context, wanted int) (rs []record, err error) {
	err = r.a.read(ctx, func(db *conn.Conn) error {
		bytes := 0
		for r.work = 0; !r.ended && len(rs) < wanted && bytes < sliceBytes && r.work < workMax; {
			r.enough = wanted - len(rs)
			next, found, err := r.step(db)
			if err != nil {
				return err
			}
			if found {
				rs = append(rs, next)
				bytes += len(next.sealed)
			}
		}
		return nil
	})
	return rs, err
}

// Looking goes through so many rows of the log at a time, which is as much work as so
// many steps of merging.
const (
	lookRows = 2048
	lookWork = 8
)

const lookThrough = "SELECT " + columns + `
FROM log l
CROSS JOIN member m ON m.agent = +? AND m.conversation = l.conversation AND NOT m.hidden
	AND l.n >= m.first_n AND (m.last_n = 0 OR l.n <= m.last_n)
WHERE l.ordinal > ? AND l.ordinal < ? AND l.kind = +? AND l.at BETWEEN ? AND ? AND (? = 0 OR l.conversation = +?)
ORDER BY l.ordinal`

// look looks through a part of the log.
func (r *reading) look(db *conn.Conn) error {
	query, after, before := lookThrough, r.after, min(r.before, r.after+lookRows+1)
	if r.backwards {
		query, after, before = lookThrough+" DESC", max(r.after, r.before-lookRows-1), r.before
	}
	upTo := noValues
	if r.values {
		upTo = alongMax
	}
	bytes := 0
	f := &r.filter
	args := []any{upTo, int64(r.agent), after, before, int(store.KindMessage), f.start, f.end, int64(f.with), int64(f.with)}
	err := db.Query(query, args, func(row conn.Row) error {
		x := scan(row)
		r.ready = append(r.ready, x)
		if bytes += len(x.sealed); len(r.ready) >= r.enough || bytes >= sliceBytes {
			// The next part begins here.
			after, before = int64(x.entry.Ordinal)-1, int64(x.entry.Ordinal)+1
			return errEnough
		}
		return nil
	})
	rows := before - r.after - 1
	if r.backwards {
		rows = r.before - after - 1
		r.before = after + 1
	} else {
		r.after = before - 1
	}
	r.work += lookWork
	r.rows += rows
	r.found += int64(len(r.ready))
	if missing := r.enough - len(r.ready); missing > 0 { // now it is known better how they lie
		r.choose(int64(missing), r.rows/(r.found+1))
	}
	return notEnough(err)
}
