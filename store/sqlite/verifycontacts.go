package sqlite

import (
	"context"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// contacts opens all contacts, and compares them with their conversations: each has one.
func (v *verification) contacts(ctx context.Context) error {
	changed := tally{what: "contacts are not as they were written"}
	strange := tally{what: "contacts have no conversation"}
	for after := int64(0); ; {
		var some []contactRow
		if err := v.a.read(ctx, func(db *conn.Conn) error {
			return db.Query("SELECT "+contactColumns+`, data, EXISTS (SELECT 1 FROM conversation WHERE id = contact.conversation AND nature = +? AND shredded = 0)
				FROM contact
				WHERE conversation > ?
				ORDER BY conversation
				LIMIT +?`, []any{int(store.Support), after, sliceRows}, func(r conn.Row) error {
				row := scanContact(r)
				row.sealed, after = r.Blob(11), r.Int(0)
				some = append(some, row)
				if r.Int(12) == 0 {
					v.tell("contact", 0)
					strange.add(fmt.Sprintf("conversation %d", row.ID))
				}
				return nil
			})
		}); err != nil {
			return err
		}
		if len(some) == 0 {
			break
		}
		for i := range some {
			c, err := v.a.unsealContact(ctx, &some[i])
			if err != nil {
				return err
			}
			if c.Locked {
				there, err := v.contactThere(ctx, c.ID)
				if err != nil {
					return err
				}
				if there { // else it was destroyed meanwhile
					changed.add(fmt.Sprintf("conversation %d", c.ID))
					v.tell("contact", 0)
				}
			}
		}
	}
	changed.tell(v)
	strange.tell(v)
	return v.withoutContact(ctx)
}

func (v *verification) contactThere(ctx context.Context, id store.ConversationID) (there bool, err error) {
	err = v.a.read(ctx, func(db *conn.Conn) (err error) {
		n, err := db.Number("SELECT 1 FROM contact WHERE conversation = ?", int64(id))
		there = n != 0
		return err
	})
	return there, err
}

// withoutContact looks for conversations whose contact was taken away.
func (v *verification) withoutContact(ctx context.Context) error {
	missing := tally{what: "conversations of visitors have no contact"}
	for after, rows := int64(0), verifyRows; rows == verifyRows; {
		rows = 0
		if err := v.a.read(ctx, func(db *conn.Conn) error {
			return db.Query(`SELECT id, EXISTS (SELECT 1 FROM contact WHERE conversation = c.id)
				FROM conversation c
				WHERE nature = +? AND a = 0 AND b > ? AND shredded = 0
				ORDER BY b
				LIMIT +?`, []any{int(store.Support), after, verifyRows}, func(r conn.Row) error {
				rows, after = rows+1, r.Int(0)
				if r.Int(1) == 0 {
					v.tell("contact", 0)
					missing.add(fmt.Sprintf("conversation %d", r.Int(0)))
				}
				return nil
			})
		}); err != nil {
			return err
		}
	}
	missing.tell(v)
	return nil
}
