package sqlite

import (
	"context"
	"fmt"
	"math"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Contacts lists contacts, the newest first. It goes along the one index that promises the
// fewest rows; what else is asked for is looked at row by row.
func (a *Account) Contacts(ctx context.Context, q store.ContactQuery) ([]store.Contact, error) {
	rows, err := a.contactRows(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("list contacts: %w", err)
	}
	list := make([]store.Contact, len(rows))
	for i := range rows {
		if list[i], err = a.unsealContact(ctx, &rows[i]); err != nil {
			return nil, fmt.Errorf("list contacts: contact %d: %w", rows[i].ID, err)
		}
	}
	return list, nil
}

const (
	contactLook  = 512 // rows are looked at on one state of the file
	contactProbe = 256 // rows are counted of an index to compare it with others
)

func (a *Account) contactRows(ctx context.Context, q *store.ContactQuery) (found []contactRow, err error) {
	var l *listing
	for l == nil || !l.ended && len(found) < q.Max {
		if err := a.read(ctx, func(db *conn.Conn) (err error) {
			if l == nil {
				if l, err = beginListing(db, q); err != nil {
					return err
				}
			}
			bytes := 0
			for looked := 0; looked < contactLook && bytes < sliceBytes && !l.ended && len(found) < q.Max; looked++ {
				r, err := l.next(db)
				if err != nil {
					return err
				}
				if r == nil || !wantsContact(q, &r.Contact) {
					continue
				}
				if _, err := db.One("SELECT data FROM contact WHERE conversation = ?", []any{int64(r.ID)}, func(row conn.Row) { r.sealed = row.Blob(0) }); err != nil {
					return err
				}
				found = append(found, *r)
				bytes += len(r.sealed)
			}
			l.rest()
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// wantsContact says whether q asks for a contact; its time and place are seen to.
func wantsContact(q *store.ContactQuery, c *store.Contact) bool {
	return (!q.Live || c.Live) && (len(q.States) == 0 || slices.Contains(q.States, c.State)) && (q.Owner == 0 || c.Owner == q.Owner) &&
		(q.Visitor == "" || c.Visitor == q.Visitor) && (q.Outcome == "" || c.Outcome == q.Outcome)
}

// A walk goes along an index, from a place on.
type walk struct {
	index, where string
	value        any // of where; nil if it has none
	at           listed
	rows         []contactRow // read ahead
	ended        bool
}

// A listed place is behind the contact that was made at that time and has that id.
type listed struct {
	created int64
	id      store.ConversationID
}

// A listing is some walks at the same time, which have no contact in common.
type listing struct {
	walks []*walk
	at    listed // the last that was looked at
	since int64
	max   int
	ended bool
}

// contactWays are the indexes that q could go along, those that promise less first.
func contactWays(q *store.ContactQuery) (ways [][]*walk) {
	way := func(index, where string, value any) {
		ways = append(ways, []*walk{{index: index, where: where, value: value}})
	}
	if q.Visitor != "" {
		way("contact_visitor", "visitor = +?", q.Visitor)
	}
	if q.Live {
		way("contact_live", "live = 1", nil)
	}
	if q.Owner != 0 {
		way("contact_owner", "owner = +?", int64(q.Owner))
	}
	if q.Outcome != "" {
		way("contact_outcome", "outcome = +?", q.Outcome)
	}
	if len(q.States) > 0 {
		var states []*walk
		for _, s := range slices.Compact(slices.Sorted(slices.Values(q.States))) {
			states = append(states, &walk{index: "contact_state", where: "state = +?", value: int64(s)})
		}
		ways = append(ways, states)
	}
	if len(ways) == 0 {
		way("contact_created", "1", nil)
	}
	return ways
}

// beginListing chooses the way.
func beginListing(db *conn.Conn, q *store.ContactQuery) (*listing, error) {
	l := &listing{max: q.Max, at: listed{id: math.MaxInt64}}
	l.since, l.at.created = milliseconds(q.Since, q.Until)
	if q.Before != 0 {
		before, found, err := placeOf(db, q.Before)
		if err != nil {
			return nil, err
		}
		if !found {
			l.ended = true
		}
		if before.created <= l.at.created {
			l.at = before
		}
	}
	ways := contactWays(q)
	fewest := math.MaxInt
	for _, way := range ways {
		rows := 0
		for _, w := range way {
			w.at = l.at
			if len(ways) == 1 || l.ended {
				continue
			}
			n, err := w.count(db, l.since)
			if err != nil {
				return nil, err
			}
			rows += n
		}
		if rows = min(rows, contactProbe); rows < fewest {
			l.walks, fewest = way, rows
		}
	}
	return l, nil
}

// placeOf is where a contact stands in lists. Of one that was destroyed meanwhile it is
// where the next older one by id begins.
func placeOf(db *conn.Conn, id store.ConversationID) (at listed, found bool, err error) {
	found, err = db.One("SELECT created, conversation FROM contact WHERE conversation <= ? ORDER BY conversation DESC", []any{int64(id)}, func(r conn.Row) {
		at = listed{r.Int(0), store.ConversationID(r.Int(1))}
		if at.id != id {
			at.id++
		}
	})
	return at, found, err
}

// count counts the walk's rows, up to contactProbe.
func (w *walk) count(db *conn.Conn, since int64) (int, error) {
	n, err := db.Number("SELECT count(*) FROM (SELECT 1 "+w.from()+" LIMIT +?)", w.args(nil, since, contactProbe)...)
	return int(n), err
}

// read is how rows are read along the walk.
func (w *walk) read() string {
	return "SELECT " + contactColumns + " " + w.from() + " ORDER BY created DESC, conversation DESC LIMIT +?"
}

func (w *walk) from() string {
	return "FROM contact INDEXED BY " + w.index + " WHERE " + w.where +
		" AND created >= +? AND created <= +? AND (created < +? OR conversation < +?)"
}

func (w *walk) args(args []any, since int64, limit int) []any {
	if w.value != nil {
		args = append(args, w.value)
	}
	return append(args, since, w.at.created, w.at.created, int64(w.at.id), limit)
}

// next is the next contact of all walks; nil when they have ended.
func (l *listing) next(db *conn.Conn) (*contactRow, error) {
	var first *walk
	for _, w := range l.walks {
		if len(w.rows) == 0 && !w.ended {
			if err := w.fill(db, l.since, min(l.max, contactLook)); err != nil {
				return nil, err
			}
		}
		if len(w.rows) > 0 && (first == nil || newer(&w.rows[0], &first.rows[0])) {
			first = w
		}
	}
	if first == nil {
		l.ended = true
		return nil, nil
	}
	r := &first.rows[0]
	first.rows = first.rows[1:]
	l.at = listed{r.created, r.ID}
	first.at = l.at
	return r, nil
}

// rest forgets what was read ahead. By the next time a contact may be in another walk; it
// does not come twice, since all go on from where the listing is.
func (l *listing) rest() {
	for _, w := range l.walks {
		if len(w.rows) > 0 {
			w.rows, w.ended = nil, false
		}
		w.at = l.at
	}
}

func (w *walk) fill(db *conn.Conn, since int64, limit int) error {
	err := db.Query(w.read(), w.args(nil, since, limit), func(r conn.Row) error {
		w.rows = append(w.rows, scanContact(r))
		return nil
	})
	w.ended = len(w.rows) < limit
	return err
}

func newer(x, y *contactRow) bool {
	return x.created > y.created || x.created == y.created && x.ID > y.ID
}
