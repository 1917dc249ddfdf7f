package sqlite

import (
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A contactChange is a batch's change of a contact on its way to the writer.
type contactChange struct {
	*store.ContactChange
	c          *conversation
	generation int64
	sealed     []byte
	lost       bool // the contact was another one, in a transaction that is not decided
}

// contactOf seals what a batch makes of a contact, here, since the writer has more to do
// than all its callers; nil if the batch changes none.
func (a *Account) contactOf(b *store.Batch) (*contactChange, error) {
	ch := b.Contact
	if ch == nil {
		return nil, nil
	}
	c := a.open.id(ch.ID)
	switch {
	case c == nil || c.nature != store.Support:
		return nil, fmt.Errorf("change contact %d, which is not open: %w", ch.ID, store.ErrNotFound)
	case ch.Was < 0 || ch.Version <= ch.Was:
		return nil, fmt.Errorf("change contact %d from version %d to %d: %w", ch.ID, ch.Was, ch.Version, store.ErrConflict)
	case !ch.Live && ch.Ended.IsZero():
		return nil, fmt.Errorf("change contact %d: it is over, but not said since when: %w", ch.ID, store.ErrConflict)
	}
	a.freshenSoon(c)
	s := c.sealing.Load()
	switch {
	case s.box != nil:
		return &contactChange{ContactChange: ch, c: c, generation: s.generation, sealed: s.box.Seal(nil, ch.Data, contactPlace(&ch.Contact))}, nil
	case a.cfg.Sealed:
		return nil, fmt.Errorf("change a contact without a secret: %w", store.ErrUnavailable)
	}
	return &contactChange{ContactChange: ch, c: c, sealed: ch.Data}, nil
}

// reconsider forgets conflicts that were found in a transaction which failed: the change
// that came first was not kept, either.
func reconsider(items []item) {
	for i := range items {
		if it := &items[i]; it.contact != nil && it.contact.lost {
			it.contact.lost, it.err = false, nil
		}
	}
}

// change makes a contact what the item says, if it is still what that follows. All that may
// stand in the way is looked at before anything is written.
func (w *writer) change(it *item) error {
	ch := it.contact
	var old contactRow
	var state int64
	found, err := w.db.One("SELECT shredded FROM conversation WHERE id = ?", []any{int64(ch.ID)}, func(r conn.Row) { state = r.Int(0) })
	if err != nil {
		return err
	}
	if _, err := w.db.One("SELECT "+contactColumns+" FROM contact WHERE conversation = ?", []any{int64(ch.ID)},
		func(r conn.Row) { old = scanContact(r) }); err != nil {
		return err
	}
	taken := old.Version > 0 && (old.Address != ch.Address || old.created != toMilli(ch.Created))
	if old.Version == 0 {
		n, err := w.db.Number("SELECT 1 FROM contact WHERE address = ?", ch.Address)
		if err != nil {
			return err
		}
		taken = n != 0
	}
	switch {
	case !found || state == tombstone || state == gone:
		it.err = fmt.Errorf("change contact %d, which was shredded: %w", ch.ID, store.ErrNotFound)
	case old.Version != ch.Was:
		ch.lost = true
		it.err = fmt.Errorf("change version %d of contact %d, which has version %d: %w", ch.Was, ch.ID, old.Version, store.ErrConflict)
	case taken:
		ch.lost = true
		it.err = fmt.Errorf("change contact %d, whose address is another's: %w", ch.ID, store.ErrConflict)
	}
	if it.err != nil {
		return nil
	}
	if err := ch.write(w.db, &old); err != nil {
		return err
	}
	w.changes = append(w.changes, ch)
	return ch.admit(w.db)
}

const insertContact = `INSERT INTO contact (` + contactColumns + `, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// write writes the row. Columns that stay as they are stand in no statement, since each has
// an index.
func (ch *contactChange) write(db *conn.Conn, old *contactRow) error {
	id := int64(ch.ID)
	if ch.Was == 0 {
		if err := db.Exec(insertContact, id, ch.Address, ch.Version, int(ch.State), ch.Live, int64(ch.Owner), ch.Visitor,
			toMilli(ch.Created), toMilli(ch.Ended), ch.Outcome, ch.generation, ch.sealed); err != nil {
			return err
		}
		return db.Exec("UPDATE conversation SET shredded = ? WHERE id = ?", whole, id)
	}
	set, args := "version = ?, generation = ?, data = ?", []any{ch.Version, ch.generation, ch.sealed}
	for _, c := range [...]struct {
		column  string
		was, is any
	}{
		{"state", int(old.State), int(ch.State)}, {"live", old.Live, ch.Live}, {"owner", int64(old.Owner), int64(ch.Owner)},
		{"visitor", old.Visitor, ch.Visitor}, {"ended", toMilli(old.Ended), toMilli(ch.Ended)}, {"outcome", old.Outcome, ch.Outcome},
	} {
		if c.is != c.was {
			set, args = set+", "+c.column+" = ?", append(args, c.is)
		}
	}
	return db.Exec("UPDATE contact SET "+set+" WHERE conversation = ?", append(args, id)...)
}

// What was hidden from an agent is not shown again because she sees the rest. One who was
// deleted sees nothing.
const seeContact = `INSERT INTO member (agent, conversation, first_n, last_n, hidden)
SELECT id, ?1, ?2, 0, 0
FROM agent
WHERE id = ?3
ON CONFLICT (agent, conversation) DO UPDATE
SET first_n = iif(hidden, excluded.first_n, min(first_n, excluded.first_n)), last_n = 0, hidden = 0
WHERE hidden OR last_n <> 0 OR excluded.first_n < first_n`

const stopContact = `UPDATE member
SET last_n = ?
WHERE agent = ? AND conversation = ? AND last_n = 0 AND NOT hidden`

// A hidden row stays, so that what she has ids of is good for paging.
const hideContact = `UPDATE member
SET hidden = 1
WHERE agent = ? AND conversation = ? AND NOT hidden`

// admit writes who sees the conversation from here on.
func (ch *contactChange) admit(db *conn.Conn) error {
	id, n := int64(ch.ID), ch.c.header.n
	from := ch.From
	if from < 1 {
		from = n + 1
	}
	for _, agent := range ch.See {
		if err := db.Exec(seeContact, id, from, int64(agent)); err != nil {
			return err
		}
	}
	for _, agent := range ch.Stop {
		var err error
		if n == 0 { // there is nothing that she could see
			err = db.Exec(hideContact, int64(agent), id)
		} else {
			err = db.Exec(stopContact, n, int64(agent), id)
		}
		if err != nil {
			return err
		}
	}
	for _, agent := range ch.Hide {
		if err := db.Exec(hideContact, int64(agent), id); err != nil {
			return err
		}
	}
	return nil
}
