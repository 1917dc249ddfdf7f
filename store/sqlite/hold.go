package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// holdSetting is the name of the setting that says until when the account is held.
const holdSetting = "hold"

// Hold keeps anything of a conversation, or of the whole account (0), from being
// destroyed until then. It is durable when Hold returns; what was begun before goes on.
func (a *Account) Hold(ctx context.Context, id store.ConversationID, until time.Time) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		if id != 0 {
			return changed(db, "UPDATE conversation SET held = ? WHERE id = ? AND shredded = 0", toMilli(until), int64(id))
		}
		return db.Exec("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", holdSetting, strconv.FormatInt(toMilli(until), 10))
	})
	if err != nil {
		return fmt.Errorf("hold conversation %d: %w", id, err)
	}
	return nil
}

// Held says until when a conversation, or the whole account (0), is held.
func (a *Account) Held(ctx context.Context, id store.ConversationID) (until time.Time, err error) {
	err = a.read(ctx, func(db *conn.Conn) (err error) {
		until, err = heldUntil(db, id)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("hold of conversation %d: %w", id, err)
	}
	return until, nil
}

// heldUntil is the later of the account's and the conversation's own hold.
func heldUntil(db *conn.Conn, id store.ConversationID) (time.Time, error) {
	var text string
	if _, err := db.One("SELECT value FROM setting WHERE name = ?", []any{holdSetting}, func(r conn.Row) { text = r.Text(0) }); err != nil {
		return time.Time{}, err
	}
	held, err := strconv.ParseInt(text, 10, 64)
	if text != "" && err != nil {
		return time.Time{}, fmt.Errorf("setting %q: %w", holdSetting, store.ErrTampered)
	}
	own, err := db.Number("SELECT held FROM conversation WHERE id = ?", int64(id))
	return fromMilli(max(held, own)), err
}

// holds says whether a hold until then is one now.
func (a *Account) holds(until time.Time) bool { return until.After(a.now()) }

func orHeld(err error, until time.Time) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("it is held until %s: %w", until.Format(time.DateTime), store.ErrConflict)
}
