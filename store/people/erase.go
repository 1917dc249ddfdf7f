package people

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// Erase destroys what is known of a visitor: it writes a tombstone, deletes the row and by what
// they are found, and destroys the secret, durably. It is for visitors without a row as well, of
// whom nobody has said who they are. Done is the end of it.
func (p *People) Erase(ctx context.Context, id string) error {
	ctx = context.WithoutCancel(ctx)
	err := p.use(func(db *conn.Conn) error {
		now := p.cfg.Now().UnixMilli()
		_, err := p.drop(ctx, db, id, "SELECT number FROM person WHERE id = ?", []any{id}, func() error {
			return db.Exec("INSERT INTO erased (id, at, done) VALUES (?, ?, 0) ON CONFLICT (id) DO UPDATE SET at = excluded.at, done = 0", id, now)
		})
		return errors.Join(err, p.count(db))
	})
	if err != nil {
		return fmt.Errorf("erase visitor %s: %w", id, err)
	}
	return nil
}

// drop deletes the person that which finds, if there is one, and does also what else is of the same
// transaction: the row goes first, durably, and then the secret.
func (p *People) drop(ctx context.Context, db *conn.Conn, id, which string, args []any, also func() error) (found bool, err error) {
	number := int64(0)
	err = db.InTx(func() (err error) {
		if found, err = db.One(which, args, func(r conn.Row) { number = r.Int(0) }); err != nil {
			return err
		}
		if found {
			if err := db.Exec("DELETE FROM person WHERE number = ?", number); err != nil { // and marks
				return err
			}
		}
		return also()
	})
	if err != nil || !found {
		return false, err
	}
	if err := p.cfg.Keys.Destroy(ctx, keys.OfPerson, number); err != nil {
		return true, err
	}
	// What copies of before a migration hold is sealed with what is destroyed now; hashes are not.
	if err := conn.DropCopies(p.path, time.Time{}); err != nil {
		return true, err
	}
	_, complete, err := db.Checkpoint(conn.Truncate)
	if err == nil && !complete {
		p.cfg.Log.Warn("somebody reads the file of people: its write-ahead log holds on to hashes of who was erased", "id", id)
	}
	return true, err
}

// How far an erasure has come. The numbers are part of the format on disk.
const (
	begun    = 0
	toldOf   = 1 // nothing is left that was found, and that was told
	finished = 2
)

// Told says that nothing was found any more of an erased visitor, and that this was told.
func (p *People) Told(id string) error {
	return p.use(func(db *conn.Conn) error {
		return db.Exec("UPDATE erased SET done = ? WHERE id = ? AND done = ?", toldOf, id, begun)
	})
}

// Done says that nothing of an erased visitor can come any more.
func (p *People) Done(id string) error {
	return p.use(func(db *conn.Conn) error {
		if err := db.Exec("UPDATE erased SET done = ? WHERE id = ?", finished, id); err != nil {
			return err
		}
		return p.count(db)
	})
}

// An Erasure is one that is not done.
type Erasure struct {
	ID   string
	At   time.Time
	Told bool
}

// Unfinished are the visitors who were erased, and of whom something may be left.
func (p *People) Unfinished() (list []Erasure, err error) {
	err = p.use(func(db *conn.Conn) error {
		return db.Query("SELECT id, at, done FROM erased WHERE done < +?", []any{finished}, func(r conn.Row) error {
			list = append(list, Erasure{r.Text(0), time.UnixMilli(r.Int(1)).UTC(), r.Int(2) == toldOf})
			return nil
		})
	})
	return list, err
}

// Pending says whether there are any, without a look at the file.
func (p *People) Pending() bool { return p.pending.Load() > 0 }

func (p *People) count(db *conn.Conn) error {
	n, err := db.Number("SELECT count(*) FROM erased WHERE done < ?", finished)
	p.pending.Store(n)
	return err
}

// Erased says when a visitor was erased; zero is never.
func (p *People) Erased(id string) (at time.Time, err error) {
	err = p.use(func(db *conn.Conn) error {
		_, err := db.One("SELECT at FROM erased WHERE id = ?", []any{id}, func(r conn.Row) { at = time.UnixMilli(r.Int(0)).UTC() })
		return err
	})
	return at, err
}

// Unseen are people who came last before then, by when that was: those that follow one of them (the zero value is the
// first), up to max. Of each there is ID and Seen.
func (p *People) Unseen(before time.Time, after Person, max int) (list []Person, err error) {
	seen := int64(math.MinInt64)
	if after.ID != "" {
		seen = after.Seen.UnixMilli()
	}
	err = p.use(func(db *conn.Conn) error {
		return db.Query("SELECT id, seen FROM person WHERE seen < ? AND (seen, id) > (?, ?) ORDER BY seen, id LIMIT +?",
			[]any{before.UnixMilli(), seen, after.ID, max}, func(r conn.Row) error {
				list = append(list, Person{ID: r.Text(0), Seen: time.UnixMilli(r.Int(1)).UTC()})
				return nil
			})
	})
	return list, err
}

// Forget destroys what is known of somebody, unless they have come again since then: nothing that
// they said is kept any more. They are new when they come again.
func (p *People) Forget(ctx context.Context, id string, before time.Time) (forgotten bool, err error) {
	ctx = context.WithoutCancel(ctx)
	err = p.use(func(db *conn.Conn) (err error) {
		forgotten, err = p.drop(ctx, db, id, "SELECT number FROM person WHERE id = ? AND seen < ?", []any{id, before.UnixMilli()}, func() error { return nil })
		return err
	})
	if err != nil {
		return false, fmt.Errorf("forget visitor %s: %w", id, err)
	}
	return forgotten, nil
}
