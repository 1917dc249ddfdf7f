package sqlite

import (
	"context"
	"errors"
	"time"

	"parley.im/parley/store/sqlite/conn"
)

// leftoverRows is how many rows are looked at in one transaction.
const leftoverRows = 512

// leftovers deletes what repeats what was destroyed: answers of receivers, who may say
// again what they were sent, and retries of events that are no more. Sessions that
// nobody resumed in time go, too; they hold what was on its way.
func (x *expiration) leftovers(ctx context.Context) error {
	if !x.a.untidy.Load() && !x.some {
		return nil
	}
	now := x.a.now().UnixMilli()
	if err := x.a.update(ctx, func(db *conn.Conn) error {
		return db.Exec("DELETE FROM resume WHERE expires < ?", now)
	}); err != nil {
		return err
	}
	for _, l := range []leftover{{
		from: "attempt", key: "seq", but: "length(l.answer) > 0",
		do: "UPDATE attempt SET answer = x'', generation = 0 WHERE endpoint = ? AND seq = ?",
	}, {
		from: "retry", key: "ordinal", but: "1",
		do: "DELETE FROM retry WHERE endpoint = ? AND ordinal = ?",
	}} {
		if err := x.sweep(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// A leftover is a table whose rows belong to records by their ordinals.
type leftover struct{ from, key, but, do string }

// sweep goes through a table, some rows at a time, and does away with what belongs to no
// record any more.
func (x *expiration) sweep(ctx context.Context, l leftover) error {
	type row struct {
		endpoint string
		key      int64
		lost     bool
	}
	at := row{}
	for {
		var rows []row
		if err := x.a.read(ctx, func(db *conn.Conn) error {
			return db.Query("SELECT endpoint, "+l.key+", "+l.but+" AND NOT EXISTS (SELECT 1 FROM log WHERE ordinal = l.ordinal) FROM "+l.from+` l
				WHERE (endpoint, `+l.key+`) > (?, ?)
				ORDER BY endpoint, `+l.key+`
				LIMIT +?`, []any{at.endpoint, at.key, leftoverRows}, func(r conn.Row) error {
				rows = append(rows, row{r.Text(0), r.Int(1), r.Int(2) != 0})
				return nil
			})
		}); err != nil || len(rows) == 0 {
			return err
		}
		at = rows[len(rows)-1]
		var lost []row
		for _, r := range rows {
			if r.lost {
				lost = append(lost, r)
			}
		}
		if len(lost) == 0 {
			continue
		}
		var busy time.Duration
		if err := x.a.update(ctx, func(db *conn.Conn) error {
			began := time.Now()
			for _, r := range lost {
				if err := db.Exec(l.do, r.endpoint, r.key); err != nil {
					return err
				}
			}
			busy = time.Since(began)
			return nil
		}); err != nil {
			return err
		}
		if err := rest(ctx, busy); err != nil {
			return err
		}
	}
}

// vacuumAbove is how many free pages are left for what comes.
const vacuumAbove = 1024

// clean gives room back where there is much of it, and empties the write-ahead log, which
// would else hold what was overwritten in the file.
func (x *expiration) clean(ctx context.Context) error {
	if !x.a.untidy.Load() && !x.some {
		return nil
	}
	for {
		var free, pages int64
		if err := x.a.read(ctx, func(db *conn.Conn) (err error) {
			if pages, err = db.Number("PRAGMA page_count"); err == nil {
				free, err = db.Number("PRAGMA freelist_count")
			}
			return err
		}); err != nil {
			return err
		}
		if free < vacuumAbove || free < pages/4 {
			break
		}
		var busy time.Duration
		if err := x.a.update(ctx, func(db *conn.Conn) error {
			began := time.Now()
			defer func() { busy = time.Since(began) }()
			return db.Exec("PRAGMA incremental_vacuum(64)")
		}); err != nil {
			return err
		}
		if err := rest(ctx, busy); err != nil {
			return err
		}
	}
	if err := x.emptyLog(ctx); err != nil {
		return err
	}
	x.a.untidy.Store(false)
	return nil
}

// copyTakes is how long somebody may read the file while the write-ahead log is to be
// emptied: a copy does, and takes seconds. The next try of all would be in an hour.
const copyTakes = 30 * time.Second

func (x *expiration) emptyLog(ctx context.Context) error {
	const again = 50 * time.Millisecond
	for tries := copyTakes / again; ; tries-- {
		err := x.a.checkpoint(conn.Truncate)
		if tries == 0 || !errors.Is(err, errRead) {
			return err
		}
		if err := rest(ctx, again/restFor); err != nil {
			return err
		}
	}
}
