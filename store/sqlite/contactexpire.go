package sqlite

import (
	"context"
	"math"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A contact goes as a whole when its end has reached the limit, some of them at a time: so
// tombstones, and secrets, share a sync.

// An endedContact may have expired.
type endedContact struct {
	id    store.ConversationID
	ended int64
	held  time.Time
}

// contacts destroys those that ended before a time, and answers when the oldest of the
// others ended.
func (x *expiration) contacts(ctx context.Context, before int64) (oldest int64, err error) {
	for after := (endedContact{ended: math.MinInt64}); ; {
		some, err := x.endedContacts(ctx, after, before)
		if err != nil {
			return 0, err
		}
		var due []store.ConversationID
		for _, c := range some {
			if after = c; x.a.holds(c.held) {
				x.forecast.Held++
			} else {
				due = append(due, c.id)
			}
		}
		if len(due) > 0 {
			if err := x.shredContacts(ctx, due, before); err != nil {
				return 0, err
			}
		}
		if len(some) < expireGroup {
			break
		}
	}
	oldest = math.MaxInt64
	err = x.a.read(ctx, func(db *conn.Conn) error {
		_, err := db.One("SELECT ended FROM contact WHERE live = 0 AND ended >= ? ORDER BY ended", []any{before}, func(r conn.Row) { oldest = r.Int(0) })
		return err
	})
	return oldest, err
}

const selectEnded = `SELECT k.conversation, k.ended, c.held
FROM contact k INDEXED BY contact_ended
JOIN conversation c ON c.id = k.conversation
WHERE k.live = 0 AND k.ended >= +? AND k.ended < +? AND (k.ended > +? OR k.conversation > +?)
ORDER BY k.ended, k.conversation
LIMIT +?`

func (x *expiration) endedContacts(ctx context.Context, after endedContact, before int64) (some []endedContact, err error) {
	err = x.a.read(ctx, func(db *conn.Conn) error {
		account, err := heldUntil(db, 0)
		if err != nil {
			return err
		}
		return db.Query(selectEnded, []any{after.ended, before, after.ended, int64(after.id), expireGroup}, func(r conn.Row) error {
			c := endedContact{store.ConversationID(r.Int(0)), r.Int(1), fromMilli(r.Int(2))}
			if c.held.Before(account) {
				c.held = account
			}
			some = append(some, c)
			return nil
		})
	})
	return some, err
}

// shredContacts shreds contacts. One that was held meanwhile, or goes on again, stays.
func (x *expiration) shredContacts(ctx context.Context, due []store.ConversationID, before int64) error {
	began := time.Now()
	var begun []*conversation
	var what []store.Shredding
	if err := x.a.update(ctx, func(db *conn.Conn) error {
		begun, what = nil, nil
		for _, id := range due {
			held, err := heldUntil(db, id)
			if err != nil {
				return err
			}
			s := store.Shredding{Conversation: id}
			found, err := db.One(`SELECT c.n, c.generation > 0
				FROM contact k
				JOIN conversation c ON c.id = k.conversation
				WHERE k.conversation = ? AND k.live = 0 AND k.ended < ?`, []any{int64(id), before}, func(r conn.Row) {
				s.Records, s.Secrets = r.Int(0), int(r.Int(1))
			})
			if err != nil {
				return err
			}
			if !found || x.a.holds(held) {
				continue
			}
			c := &conversation{id: id, nature: store.Support}
			if c.seers, err = membersOf(db, id); err != nil {
				return err
			}
			if err := entomb(db, id); err != nil {
				return err
			}
			begun, what = append(begun, c), append(what, s)
		}
		return nil
	}); err != nil || len(begun) == 0 {
		return err
	}
	x.some = true
	x.a.views.changed(begun...)
	ids := make([]store.ConversationID, len(begun))
	for i, c := range begun {
		ids[i] = c.id
	}
	if err := x.a.finishShred(ctx, ids...); err != nil {
		return err
	}
	if x.done != nil {
		for _, s := range what {
			x.done(s)
		}
	}
	return rest(ctx, time.Since(began)/restFor)
}

// shreddedContact is what the journal tells of a contact whose last rows go.
func (a *Account) shreddedContact(db *conn.Conn, id store.ConversationID) ([]store.Op, error) {
	var records, generation int64
	found, err := db.One("SELECT n, generation FROM conversation WHERE id = ? AND nature = ? AND n > 0",
		[]any{int64(id), int(store.Support)}, func(r conn.Row) { records, generation = r.Int(0), r.Int(1) })
	if err != nil || !found {
		return nil, err
	}
	op, err := a.ofKey(store.KindKeyShredded, id, store.Support, generation, &records)
	return []store.Op{op}, err
}
