package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// pairOfContact stands for a contact's conversation where agents would be a direct one's:
// nobody is agent 0.
func pairOfContact(id store.ConversationID) pair { return pair{0, store.AgentID(id)} }

// NewContact makes the conversation of a visitor's contact.
func (a *Account) NewContact(ctx context.Context) (store.Conversation, error) {
	a.used.Store(true)
	c, err := a.make(context.WithoutCancel(ctx), store.Support, pair{})
	if err != nil {
		return nil, fmt.Errorf("make a contact: %w", err)
	}
	return c, nil
}

// OpenContact opens the conversation of a contact.
func (a *Account) OpenContact(ctx context.Context, id store.ConversationID) (store.Conversation, error) {
	a.used.Store(true)
	c := a.open.id(id)
	var err error
	if c == nil {
		p := pairOfContact(id)
		c, err = a.open.once(p, func() (*conversation, error) { return a.load(context.WithoutCancel(ctx), store.Support, p) })
	}
	if err == nil && (c == nil || c.nature != store.Support) {
		err = store.ErrNotFound
	}
	if err == nil {
		err = a.freshen(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("open contact %d: %w", id, err)
	}
	return c, nil
}

// A contactRow is a row of the table contact.
type contactRow struct {
	store.Contact
	created    int64
	generation int64
	sealed     []byte
}

// contactColumns are what makes a row but for its data, which is read of those alone that
// are wanted.
const contactColumns = "conversation, address, version, state, live, owner, visitor, created, ended, outcome, generation"

func scanContact(r conn.Row) contactRow {
	return contactRow{
		Contact: store.Contact{
			ID: store.ConversationID(r.Int(0)), Address: r.Text(1), Version: r.Int(2), State: uint8(r.Int(3)), Live: r.Int(4) != 0,
			Owner: store.AgentID(r.Int(5)), Visitor: r.Text(6), Created: fromMilli(r.Int(7)), Ended: fromMilli(r.Int(8)), Outcome: r.Text(9),
		},
		created: r.Int(7), generation: r.Int(10),
	}
}

// contactPlace binds what is sealed of a contact to its row: to the version, and to all
// that stands there in clear.
func contactPlace(c *store.Contact) *seal.Place {
	b := []byte{0}
	if c.Live {
		b[0] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(toMilli(c.Ended)))
	for _, s := range [...]string{c.Address, c.Visitor, c.Outcome} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	sum := sha256.Sum256(b)
	return &seal.Place{Kind: c.State, N: c.Version, Actor: int64(c.Owner), At: toMilli(c.Created), Field: "contact " + string(sum[:])}
}

// unsealContact fills in Data.
func (a *Account) unsealContact(ctx context.Context, r *contactRow) (store.Contact, error) {
	c := r.Contact
	if r.generation == 0 {
		c.Data = r.sealed
		return c, nil
	}
	box, err := a.box(ctx, c.ID, r.generation)
	if err == nil {
		if c.Data, err = box.Open(nil, r.sealed, contactPlace(&c)); err == nil {
			return c, nil
		}
		a.log.Error("a contact was changed outside the server", "conversation", c.ID)
		err = store.ErrTampered
	}
	if !locked(err) {
		return c, err
	}
	c.Data, c.Locked, c.Tampered = nil, true, errors.Is(err, store.ErrTampered)
	return c, nil
}

// Contact is a contact as it is now.
func (a *Account) Contact(ctx context.Context, id store.ConversationID) (store.Contact, error) {
	c, err := a.contact(ctx, "conversation = ?", int64(id))
	if err != nil {
		return store.Contact{}, fmt.Errorf("contact %d: %w", id, err)
	}
	return c, nil
}

// ContactAt is the contact that has an address.
func (a *Account) ContactAt(ctx context.Context, address string) (store.Contact, error) {
	c, err := a.contact(ctx, "address = ?", address)
	if err != nil {
		return store.Contact{}, fmt.Errorf("contact at %q: %w", address, err)
	}
	return c, nil
}

func (a *Account) contact(ctx context.Context, which string, arg any) (store.Contact, error) {
	var row contactRow
	found := false
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		found, err = db.One("SELECT "+contactColumns+", data FROM contact WHERE "+which, []any{arg}, func(r conn.Row) {
			row = scanContact(r)
			row.sealed = r.Blob(11)
		})
		return err
	})
	if err != nil || !found {
		return store.Contact{}, orNotFound(err)
	}
	return a.unsealContact(ctx, &row)
}
