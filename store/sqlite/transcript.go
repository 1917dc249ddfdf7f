package sqlite

import (
	"context"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Conversations lists up to max of the account's that follow after, also those that
// were shredded.
func (a *Account) Conversations(ctx context.Context, after store.ConversationID, max int) ([]store.Summary, error) {
	all, err := a.summaries(ctx, "id > ? ORDER BY id LIMIT ?", int64(after), max)
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	return all, nil
}

// Conversation is one of the account's, also if it was shredded.
func (a *Account) Conversation(ctx context.Context, id store.ConversationID) (store.Summary, error) {
	all, err := a.summaries(ctx, "id = ?", int64(id))
	if err == nil && len(all) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Summary{}, fmt.Errorf("conversation %d: %w", id, err)
	}
	return all[0], nil
}

func (a *Account) summaries(ctx context.Context, which string, args ...any) (all []store.Summary, err error) {
	err = a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT id, nature, a, b, n, first, last, shredded, gone, held FROM conversation WHERE "+which, args, func(r conn.Row) error {
			s := store.Summary{ID: store.ConversationID(r.Int(0)), Nature: store.Nature(r.Int(1)), Records: r.Int(4) - r.Int(8),
				Gone: r.Int(8), Held: fromMilli(r.Int(9)), First: store.Ordinal(r.Int(5)), Last: store.Ordinal(r.Int(6)), Shredded: r.Int(7) != 0}
			p := pair{store.AgentID(r.Int(2)), store.AgentID(r.Int(3))}
			_ = p.each(func(id store.AgentID) error {
				s.Agents = append(s.Agents, id)
				return nil
			})
			all = append(all, s)
			return nil
		})
	})
	return all, err
}

// Transcript yields a conversation's records in order. After the last it answers
// ErrTampered if any of them is not what was written, or is missing; those that don't
// open are yielded locked.
func (a *Account) Transcript(ctx context.Context, id store.ConversationID, yield func(*store.Entry) error) error {
	t, err := a.transcript(ctx, id)
	if err != nil {
		return fmt.Errorf("transcript of conversation %d: %w", id, err)
	}
	if err := t.run(ctx, yield); err != nil {
		return fmt.Errorf("transcript of conversation %d: %w", id, err)
	}
	return nil
}

// Records yields up to max of a conversation's records that follow number after, those
// that don't open locked. It compares nothing with the header, as Transcript does.
func (a *Account) Records(ctx context.Context, id store.ConversationID, after int64, max int, yield func(*store.Entry) error) error {
	t, err := a.transcript(ctx, id)
	if err != nil {
		return fmt.Errorf("records of conversation %d: %w", id, err)
	}
	given := 0
	if after < t.gone { // those before it were destroyed
		after = t.gone
	}
	for block := blockOf(after + 1); block <= t.blocks() && given < max; block++ {
		err := t.block(ctx, block, func(e *store.Entry) error {
			if e.N <= after || given == max {
				return nil
			}
			given++
			return yield(e)
		})
		if err != nil {
			return fmt.Errorf("records of conversation %d: %w", id, err)
		}
	}
	return nil
}

// run yields all that is left of the conversation. If more of it is destroyed meanwhile
// there is nothing to compare it with.
func (t *transcript) run(ctx context.Context, yield func(*store.Entry) error) error {
	for block := blockOf(t.gone + 1); block <= t.blocks(); block++ {
		if err := t.block(ctx, block, yield); err != nil {
			return err
		}
	}
	fault := t.fault()
	if fault == nil {
		return nil
	}
	left := t.gone
	if err := t.a.read(ctx, func(db *conn.Conn) (err error) {
		left, err = t.left(db, t.gone+1)
		return err
	}); err != nil {
		return err
	}
	if left > t.gone+1 {
		return nil
	}
	return fault
}

// A transcript is a conversation while it is read and compared with its header.
type transcript struct {
	chain // as the header knows it
	a     *Account
	known [32]byte // the header's hash
	hash  [32]byte // of what was read
	read  int64    // how many were
	wrong []int64  // n of records that don't open
}

// tellWrong is how many records an error names.
const tellWrong = 8

func (a *Account) transcript(ctx context.Context, id store.ConversationID) (*transcript, error) {
	t := &transcript{a: a, chain: chain{id: id}}
	found := false
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		found, err = db.One(`SELECT n, last, hash, gone, base
			FROM conversation
			WHERE id = ? AND shredded = 0`, []any{int64(id)}, func(r conn.Row) {
			t.n, t.last, t.gone = r.Int(0), r.Int(1), r.Int(3)
			copy(t.known[:], r.Blob(2))
			copy(t.hash[:], r.Blob(4))
		})
		return err
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return t, err
}

// block yields a block's records. Those that were appended since the header was read
// are left for another time.
func (t *transcript) block(ctx context.Context, block int64, yield func(*store.Entry) error) error {
	var rs []record
	if err := t.a.read(ctx, func(db *conn.Conn) (err error) {
		rs, err = t.chain.read(db, block, allValues)
		return err
	}); err != nil {
		return err
	}
	for i := range rs {
		t.hash = chained(t.hash, rs[i].sealed)
		t.read++
	}
	return t.a.give(ctx, rs, func(e *store.Entry) error {
		if e.Locked {
			t.wrong = append(t.wrong, e.N)
		}
		return yield(e)
	})
}

// fault says what is not as it was written.
func (t *transcript) fault() error {
	switch {
	case t.read < t.n-t.gone:
		return fmt.Errorf("%d of %d records are missing: %w", t.n-t.gone-t.read, t.n-t.gone, store.ErrTampered)
	case len(t.wrong) > tellWrong:
		return fmt.Errorf("%d records don't open, record %d is the first: %w", len(t.wrong), t.wrong[0], store.ErrTampered)
	case len(t.wrong) > 0:
		return fmt.Errorf("records %d don't open: %w", t.wrong, store.ErrTampered)
	case t.hash != t.known:
		return fmt.Errorf("its records are not those that its header knows: %w", store.ErrTampered)
	}
	return nil
}
