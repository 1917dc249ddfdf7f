package sqlite

import (
	"context"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A logScan looks at the log itself, row by row, since a transcript sees only what its
// header leads to.
type logScan struct {
	v       *verification
	headers map[store.ConversationID]*headed
	newest  int64
	gone    int64 // records that were destroyed, when it began
	rows    int64
	spans   map[int64]span

	strange, repeated, unplaced, unspanned tally
}

// A headed conversation is its header and how many rows it has.
type headed struct {
	n, cleared int64
	shredded   int64
	rows       int64
}

// verifyRows is how many rows are looked at on one state of the file.
const verifyRows = 2048

// log compares the log's rows with headers, places, spans, and their number with what was
// ever written.
func (v *verification) log(ctx context.Context) error {
	s := &logScan{v: v, headers: make(map[store.ConversationID]*headed), spans: make(map[int64]span),
		strange:   tally{what: "records belong to no conversation that there is"},
		repeated:  tally{what: "conversations have other numbers of records than their headers say"},
		unplaced:  tally{what: "places of records are not where the records are"},
		unspanned: tally{what: "records have other times than were noted when they were written"},
	}
	if err := v.a.read(ctx, s.begin); err != nil {
		return err
	}
	for at := int64(0); at < s.newest; {
		if err := v.a.read(ctx, func(db *conn.Conn) (err error) {
			at, err = s.some(db, at)
			return err
		}); err != nil {
			return err
		}
	}
	return s.end(ctx)
}

func (s *logScan) begin(db *conn.Conn) (err error) {
	if s.newest, err = db.Number(`SELECT max(coalesce((SELECT max(ordinal) FROM log), 0),
		coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'newest'), 0))`); err != nil {
		return err
	}
	if s.gone, err = destroyed(db); err != nil {
		return err
	}
	if err := db.Query("SELECT first, earliest, latest FROM span", nil, func(r conn.Row) error {
		s.spans[r.Int(0)] = span{first: r.Int(0), earliest: r.Int(1), latest: r.Int(2)}
		return nil
	}); err != nil {
		return err
	}
	return db.Query("SELECT id, n, cleared, shredded FROM conversation", nil, func(r conn.Row) error {
		s.headers[store.ConversationID(r.Int(0))] = &headed{n: r.Int(1), cleared: r.Int(2), shredded: r.Int(3)}
		return nil
	})
}

func destroyed(db *conn.Conn) (int64, error) {
	return db.Number("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'destroyed'")
}

// some looks at some rows and answers the last ordinal it came to.
func (s *logScan) some(db *conn.Conn, after int64) (at int64, err error) {
	at = s.newest
	rows := 0
	err = db.Query(`SELECT l.ordinal, l.conversation, l.n, l.at, p.ordinal
		FROM log l
		LEFT JOIN place p ON l.n % 16 = 0 AND p.conversation = l.conversation AND p.block = l.n / 16
		WHERE l.ordinal > ? AND l.ordinal <= ?
		ORDER BY l.ordinal
		LIMIT +?`, []any{after, s.newest, verifyRows}, func(r conn.Row) error {
		if rows++; rows == verifyRows {
			at = r.Int(0)
		}
		s.row(r)
		return nil
	})
	return at, err
}

func (s *logScan) row(r conn.Row) {
	ordinal, id, n := r.Int(0), store.ConversationID(r.Int(1)), r.Int(2)
	s.rows++
	if h := s.headers[id]; h == nil || h.shredded == gone || h.shredded == whole && (n < 1 || n > h.n) {
		s.strange.add(fmt.Sprintf("record %d, as number %d of conversation %d", ordinal, n, id))
	} else {
		h.rows++
	}
	if n%blockSize == 0 && r.Int(4) != ordinal {
		s.unplaced.add(fmt.Sprintf("number %d of conversation %d", n, id))
	}
	first := (ordinal-1)/spanSize*spanSize + 1
	if span, ok := s.spans[first]; ok && (r.Int(3) < span.earliest || r.Int(3) > span.latest) {
		s.unspanned.add(fmt.Sprintf("record %d, of conversation %d", ordinal, id))
	}
}

// end compares the numbers. What was destroyed while it looked makes them differ, and
// then they tell nothing.
func (s *logScan) end(ctx context.Context) error {
	var now int64
	if err := s.v.a.read(ctx, func(db *conn.Conn) (err error) {
		now, err = destroyed(db)
		return err
	}); err != nil {
		return err
	}
	s.strange.tell(s.v)
	s.unplaced.tell(s.v)
	s.unspanned.tell(s.v)
	if now != s.gone {
		return nil
	}
	for id, h := range s.headers {
		if h.shredded == whole && h.rows != h.n-h.cleared {
			s.repeated.add(fmt.Sprintf("conversation %d has %d instead of %d", id, h.rows, h.n-h.cleared))
		}
	}
	s.repeated.tell(s.v)
	if missing := s.newest - s.gone - s.rows; missing != 0 {
		s.v.say("of %d records that were ever written %d were destroyed in order, and %d are there instead of %d",
			s.newest, s.gone, s.rows, s.newest-s.gone)
	}
	return nil
}
