package im

import (
	"slices"

	"parley.im/parley/store"
)

// A Delivery knows what has reached one agent of what was said to her. It holds
// the ordinals that are on their way to sessions, and a cursor below which
// everything has arrived. What is neither on its way nor below the cursor waits
// in the log (the backlog) until a session takes it.
//
// "Arrived" means acknowledged by a session with stream management (XEP-0198 §4),
// or written to the connection of one without.
//
// It is not safe for concurrent use; the agent's lock guards it.
type Delivery struct {
	cursor  store.Ordinal // all up to here has arrived
	newest  store.Ordinal // all up to here is known: arrived, on its way or backlog
	backlog bool          // between drained and newest, something may wait in the log
	drained store.Ordinal // with backlog: the log has been read up to here
	flight  []flight      // ascending, each > cursor
	seen    []span        // ascending, apart: shown by an archive query
}

type flight struct {
	ordinal store.Ordinal
	holders int  // sessions that have it in a queue
	arrived bool // at one of them at least
}

// span is a range of ordinals, both ends included.
type span struct{ from, to store.Ordinal }

// maxSpans bounds what archive queries leave behind; past it, a message may be
// offered again with the same stanza-id.
const maxSpans = 64

// NewDelivery continues from what the store kept. newest is the last record that
// the agent may see; what lies between it and the cursor is backlog.
func NewDelivery(kept store.Delivery, newest store.Ordinal) *Delivery {
	d := &Delivery{cursor: kept.Cursor, newest: max(newest, kept.Cursor), drained: kept.Cursor}
	d.backlog = d.newest > d.cursor
	for _, o := range kept.Acked {
		d.flight = append(d.flight, flight{ordinal: o, arrived: true})
	}
	d.advance()
	return d
}

// Sent says that a new record is on its way to so many sessions; with none it
// joins the backlog.
func (d *Delivery) Sent(o store.Ordinal, holders int) {
	if o <= d.newest {
		return // it was counted as backlog when the agent was loaded
	}
	if holders == 0 {
		if !d.backlog {
			d.backlog, d.drained = true, o-1
		}
		d.newest = o
		return
	}
	d.newest = o
	d.flight = append(d.flight, flight{ordinal: o, holders: holders})
}

// Held says that one session has o in its queue: a record drained from the
// backlog, or taken over from before a restart.
func (d *Delivery) Held(o store.Ordinal) {
	d.newest = max(d.newest, o)
	if o <= d.cursor {
		return
	}
	i, found := d.find(o)
	if !found {
		d.flight = slices.Insert(d.flight, i, flight{ordinal: o})
	}
	d.flight[i].holders++
}

// Arrived says that a session has received o.
func (d *Delivery) Arrived(o store.Ordinal) {
	if i, found := d.find(o); found {
		d.flight[i].holders--
		d.flight[i].arrived = true
		d.advance()
	}
}

// Lost says that a session ended with o in its queue. When nobody else has it,
// it is backlog again.
func (d *Delivery) Lost(o store.Ordinal) {
	i, found := d.find(o)
	if !found {
		return
	}
	d.flight[i].holders--
	if d.flight[i].holders > 0 || d.flight[i].arrived {
		return
	}
	d.flight = slices.Delete(d.flight, i, i+1)
	if !d.backlog {
		d.backlog, d.drained = true, o-1
	}
	d.drained = min(d.drained, o-1)
	d.advance()
}

// Seen says that everything said to the agent between from and to (both
// included) was shown to her by an archive query; it is not offered again
// (XEP-0313, business rules for user archives).
func (d *Delivery) Seen(from, to store.Ordinal) {
	if !d.backlog || to < from || to <= d.drained {
		return
	}
	s := span{from, to}
	var kept []span
	for _, o := range d.seen {
		if o.to < s.from-1 || o.from > s.to+1 {
			kept = append(kept, o)
			continue
		}
		s = span{min(s.from, o.from), max(s.to, o.to)}
	}
	i, _ := slices.BinarySearchFunc(kept, s.from, func(o span, f store.Ordinal) int { return int(o.from - f) })
	d.seen = slices.Insert(kept, i, s)
	if len(d.seen) > maxSpans {
		d.seen = d.seen[1:]
	}
	d.advance()
}

// Backlog says whether something may wait in the log, and after which ordinal to
// look.
func (d *Delivery) Backlog() (after store.Ordinal, waiting bool) { return d.drained, d.backlog }

// Wanted says whether a record read from the backlog is still to be sent.
func (d *Delivery) Wanted(o store.Ordinal) bool {
	if o <= d.cursor {
		return false
	}
	for _, s := range d.seen {
		if s.from <= o && o <= s.to {
			return false
		}
	}
	_, found := d.find(o)
	return !found
}

// Drained says that the log has been read after from and up to to. When that is
// all there is, the backlog is gone and Drained reports true. What was lost
// meanwhile before from is read another time.
func (d *Delivery) Drained(from, to store.Ordinal) (done bool) {
	if d.backlog && from <= d.drained {
		d.drained = max(d.drained, to)
		d.advance()
	}
	return !d.backlog
}

// Kept is what the store should remember.
func (d *Delivery) Kept() store.Delivery {
	k := store.Delivery{Cursor: d.cursor}
	for _, f := range d.flight {
		if f.arrived {
			k.Acked = append(k.Acked, f.ordinal)
		}
	}
	return k
}

// Newest is the highest ordinal known.
func (d *Delivery) Newest() store.Ordinal { return d.newest }

func (d *Delivery) find(o store.Ordinal) (int, bool) {
	// Most often it is the first one.
	if len(d.flight) > 0 && d.flight[0].ordinal == o {
		return 0, true
	}
	return slices.BinarySearchFunc(d.flight, o, func(f flight, o store.Ordinal) int { return int(f.ordinal - o) })
}

// advance moves the cursor as far as everything has arrived.
func (d *Delivery) advance() {
	for d.backlog && len(d.seen) > 0 && d.seen[0].from <= d.drained+1 {
		d.drained = max(d.drained, d.seen[0].to)
		d.seen = d.seen[1:]
	}
	if d.backlog && d.drained >= d.newest {
		d.backlog, d.seen = false, nil
	}
	limit := d.newest
	if d.backlog {
		limit = d.drained
	}
	n := 0
	for n < len(d.flight) && d.flight[n].arrived && d.flight[n].ordinal <= limit {
		n++
	}
	if n < len(d.flight) && d.flight[n].ordinal <= limit {
		limit = d.flight[n].ordinal - 1
	}
	d.flight = slices.Delete(d.flight, 0, n)
	d.cursor = max(d.cursor, limit)
	if len(d.flight) == 0 {
		d.flight = nil
	}
}
