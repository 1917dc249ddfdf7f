package sqlite

import (
	"context"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// shredBlocks is how many blocks of records are deleted in one transaction, so that
// nobody waits for more than a few milliseconds.
const shredBlocks = 6

// The states of a conversation's row.
const (
	whole     = 0
	tombstone = 1 // decided: it will be shredded, if need be after the next start
	gone      = 2
	unborn    = 3 // a contact without a row of its own yet: as a tombstone, after the next start
)

// Shred destroys a conversation: it marks it as such, destroys its secret durably, and
// then deletes its records.
func (a *Account) Shred(ctx context.Context, id store.ConversationID) error {
	if err := a.shred(ctx, id); err != nil {
		return fmt.Errorf("shred conversation %d: %w", id, err)
	}
	return nil
}

func (a *Account) shred(ctx context.Context, id store.ConversationID) error {
	if id == a.journal.id {
		return fmt.Errorf("the journal stays: %w", store.ErrConflict)
	}
	var state int64
	c := &conversation{id: id}
	err := a.update(ctx, func(db *conn.Conn) error {
		found, err := db.One("SELECT shredded, a, b, nature FROM conversation WHERE id = ?", []any{int64(id)}, func(r conn.Row) {
			state, c.a, c.b, c.nature = r.Int(0), store.AgentID(r.Int(1)), store.AgentID(r.Int(2)), store.Nature(r.Int(3))
		})
		if err != nil || !found {
			return orNotFound(err)
		}
		if held, err := heldUntil(db, id); err != nil || a.holds(held) {
			return orHeld(err, held)
		}
		if c.nature == store.Support {
			if c.seers, err = membersOf(db, id); err != nil {
				return err
			}
		}
		return entomb(db, id)
	})
	a.views.changed(c)
	if err != nil || state == gone {
		return err
	}
	return a.finishShred(ctx, id)
}

// entomb writes a tombstone. Nobody sees the conversation from here on.
func entomb(db *conn.Conn, id store.ConversationID) error {
	if err := db.Exec("UPDATE conversation SET shredded = ? WHERE id = ? AND shredded <> ?", tombstone, int64(id), gone); err != nil {
		return err
	}
	for _, statement := range []string{"DELETE FROM member WHERE conversation = ?", "DELETE FROM contact WHERE conversation = ?"} {
		if err := db.Exec(statement, int64(id)); err != nil {
			return err
		}
	}
	return nil
}

// finishShred does what tombstones say. It can be done again at any point.
func (a *Account) finishShred(ctx context.Context, ids ...store.ConversationID) error {
	// Nobody gets to begin what the next start would have to end: a caller who leaves
	// does not stop it.
	ctx = context.WithoutCancel(ctx)
	numbers := make([]int64, len(ids))
	for i, id := range ids {
		if c := a.open.id(id); c != nil {
			c.shredded.Store(true) // records appended until now go with the others
		}
		numbers[i] = int64(id)
	}
	if err := a.cfg.Keys.Destroy(ctx, keys.OfConversation, numbers...); err != nil {
		return err
	}
	for _, n := range numbers {
		a.boxes.forget(n)
	}
	a.untidy.Store(true)
	if err := conn.DropCopies(a.path, time.Time{}); err != nil { // they may be there in clear
		return err
	}
	files, err := a.filesOf(ctx, ids...)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := a.deleteRows(ctx, id); err != nil {
			return err
		}
	}
	return a.removeFiles(files)
}

// deleteRows deletes a conversation's records, in slices. With the last the journal tells
// of a contact, as it does of what expires otherwise.
func (a *Account) deleteRows(ctx context.Context, id store.ConversationID) error {
	for more := true; more; {
		var told []store.Op
		if err := a.updateAnd(ctx, func(db *conn.Conn) (err error) {
			if told, err = a.shreddedContact(db, id); err != nil {
				return err
			}
			if more, err = deleteSlice(db, id); more {
				told = nil
			}
			return err
		}, func(w *writer) error { return w.tellAll(told) }); err != nil {
			return err
		}
	}
	return nil
}

// deleteSlice deletes some of a conversation's records, oldest first, and says whether
// there may be more. With the last goes what else there is of the conversation.
func deleteSlice(db *conn.Conn, id store.ConversationID) (more bool, err error) {
	if err := keepNewest(db); err != nil {
		return false, err
	}
	c := chain{id: id, dying: true}
	if _, err := db.One("SELECT n, last, cleared FROM conversation WHERE id = ?", []any{int64(id)},
		func(r conn.Row) { c.n, c.last, c.gone = r.Int(0), r.Int(1), r.Int(2) }); err != nil {
		return false, err
	}
	var blocks []int64
	if err := db.Query("SELECT block FROM place WHERE conversation = ? ORDER BY block LIMIT +?", []any{int64(id), shredBlocks},
		func(r conn.Row) error {
			blocks = append(blocks, r.Int(0))
			return nil
		}); err != nil {
		return false, err
	}
	if len(blocks) == shredBlocks {
		return true, c.delete(db, blocks)
	}
	if c.n%blockSize != 0 {
		blocks = append(blocks, c.blocks())
	}
	if err := c.delete(db, blocks); err != nil {
		return false, err
	}
	return false, forget(db, id)
}

// keepNewest keeps the newest ordinal, since none is used again even if its record is
// deleted.
func keepNewest(db *conn.Conn) error {
	return db.Exec(`INSERT OR REPLACE INTO meta (name, value)
		SELECT 'newest', last
		FROM (SELECT max(ordinal) AS last FROM log)
		WHERE last > (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'newest')`)
}

// delete deletes the records of blocks.
func (c *chain) delete(db *conn.Conn, blocks []int64) error {
	for _, block := range blocks {
		if err := c.deleteUpTo(db, block, block*blockSize); err != nil {
			return err
		}
	}
	return nil
}

// deleteUpTo deletes the records of a block up to one of them.
func (c *chain) deleteUpTo(db *conn.Conn, block, n int64) error {
	records, err := c.read(db, block, noValues)
	if err != nil {
		return err
	}
	deleted := 0
	for i := range records {
		if records[i].entry.N > n {
			break
		}
		if err := db.Exec("DELETE FROM log WHERE ordinal = ?", int64(records[i].entry.Ordinal)); err != nil {
			return err
		}
		deleted++
	}
	if n == block*blockSize {
		if err := db.Exec("DELETE FROM place WHERE conversation = ? AND block = ?", int64(c.id), block); err != nil {
			return err
		}
	}
	return db.Exec("UPDATE meta SET value = CAST(value AS INTEGER) + ? WHERE name = 'destroyed'", deleted)
}

// forget ends a shredding. The conversation's row stays.
func forget(db *conn.Conn, id store.ConversationID) error {
	for _, statement := range []string{
		"DELETE FROM member WHERE conversation = ?",
		"DELETE FROM generation WHERE conversation = ?",
		"DELETE FROM file WHERE conversation = ?",
		fmt.Sprintf("UPDATE conversation SET shredded = %d WHERE id = ?", gone),
	} {
		if err := db.Exec(statement, int64(id)); err != nil {
			return err
		}
	}
	return db.Exec("PRAGMA incremental_vacuum(256)")
}
