package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// What readers fetch at a time at most: they hold a connection for so long, and
// memory for so much.
const (
	sliceRows  = 256
	sliceBytes = 1 << 20
)

// A record is a row of the log as it stands there.
type record struct {
	entry      store.Entry
	at         int64
	prev       int64 // the ordinal of the conversation's record before it
	generation int64
	sealed     []byte // nil if it was left for later
}

// columns are what makes a record. Its one argument is how large a sealed value may be to
// be read along: rows are looked at that nobody may want in the end.
const columns = `l.ordinal, l.conversation, l.n, l.at, l.kind, l.actor, l.prev, l.generation,
	iif(length(l.sealed) <= ?, l.sealed, NULL)`

// Sizes for columns, beside others.
const (
	noValues  = -1
	allValues = math.MaxInt
)

func scan(r conn.Row) record {
	return record{
		entry: store.Entry{
			Ordinal:      store.Ordinal(r.Int(0)),
			Conversation: store.ConversationID(r.Int(1)),
			N:            r.Int(2),
			At:           time.UnixMilli(r.Int(3)).UTC(),
			Kind:         store.Kind(r.Int(4)),
			Actor:        store.AgentID(r.Int(5)),
		},
		at:         r.Int(3),
		prev:       r.Int(6),
		generation: r.Int(7),
		sealed:     r.Blob(8),
	}
}

// unsealed fills in the entry's Data, with buf's memory. A record whose secret is
// gone stays locked, as does one that was changed: that is logged, and told to those
// who read transcripts, but stops nobody from reading on.
func (a *Account) unsealed(ctx context.Context, r *record, buf []byte) ([]byte, error) {
	e := &r.entry
	if r.generation == 0 {
		e.Data, e.Clear = r.sealed, true
		return buf, nil
	}
	box, err := a.box(ctx, e.Conversation, r.generation)
	if err == nil {
		place := seal.Place{Kind: uint8(e.Kind), N: e.N, Actor: int64(e.Actor), At: r.at}
		if buf, err = box.Open(buf[:0], r.sealed, &place); err == nil {
			e.Data = buf
			return buf, nil
		}
		a.log.Error("a record was changed outside the server", "ordinal", e.Ordinal, "conversation", e.Conversation)
		err = store.ErrTampered
	}
	if !locked(err) {
		return nil, err
	}
	e.Locked, e.Tampered = true, errors.Is(err, store.ErrTampered)
	return nil, nil
}

// give unseals records and yields their entries. Those that were read without their
// sealed values get them now, unless they are gone meanwhile.
func (a *Account) give(ctx context.Context, rs []record, yield func(*store.Entry) error) error {
	var buf []byte
	for i := range rs {
		err := ctx.Err()
		if err == nil && rs[i].sealed == nil {
			err = a.fetchValues(ctx, rs[i:min(i+sliceRows, len(rs))])
		}
		if err != nil {
			return err
		}
		if rs[i].sealed == nil {
			continue
		}
		if buf, err = a.unsealed(ctx, &rs[i], buf); err != nil {
			return err
		}
		if err := yield(&rs[i].entry); err != nil {
			return err
		}
		rs[i].sealed = nil // it may be large
	}
	return nil
}

// fetchValues reads the sealed values that records lack, at least the first, and as many
// as are enough to hold.
func (a *Account) fetchValues(ctx context.Context, rs []record) error {
	return a.read(ctx, func(db *conn.Conn) error {
		bytes := 0
		for i := 0; i < len(rs) && bytes < sliceBytes; i++ {
			if rs[i].sealed != nil {
				continue
			}
			if _, err := db.One("SELECT sealed FROM log WHERE ordinal = ?", []any{int64(rs[i].entry.Ordinal)},
				func(r conn.Row) { rs[i].sealed = r.Blob(0) }); err != nil {
				return err
			}
			bytes += len(rs[i].sealed)
		}
		return nil
	})
}

// Read yields up to max entries of the whole log that follow after.
func (a *Account) Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	for max > 0 {
		rs, more, err := a.slice(ctx, int64(after), min(max, sliceRows))
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if err := a.give(ctx, rs, yield); err != nil || !more {
			return err
		}
		after = rs[len(rs)-1].entry.Ordinal
		max -= len(rs)
	}
	return nil
}

// slice fetches records until there are no more, or they are enough to hold.
func (a *Account) slice(ctx context.Context, after int64, limit int) (rs []record, more bool, err error) {
	err = a.read(ctx, func(db *conn.Conn) error {
		bytes := 0
		err := db.Query("SELECT "+columns+" FROM log l WHERE ordinal > ? ORDER BY ordinal LIMIT +?",
			[]any{allValues, after, limit}, func(r conn.Row) error {
				rs = append(rs, scan(r))
				bytes += len(rs[len(rs)-1].sealed)
				if bytes >= sliceBytes {
					return errEnough
				}
				return nil
			})
		more = err == errEnough || len(rs) == limit
		return notEnough(err)
	})
	return rs, more, err
}

// happenedRows is how much of the log is looked through at a time: a few milliseconds.
const happenedRows = 1 << 14

// Happened yields the journal's entries that follow after, up to and with to.
func (a *Account) Happened(ctx context.Context, after, to store.Ordinal, yield func(*store.Entry) error) error {
	for after < to {
		end := min(after+happenedRows, to)
		var rs []record
		err := a.read(ctx, func(db *conn.Conn) error {
			return db.Query("SELECT "+columns+" FROM log l WHERE ordinal > ? AND ordinal <= ? AND +conversation = ? ORDER BY ordinal",
				[]any{noValues, int64(after), int64(end), int64(a.journal.id)}, func(r conn.Row) error {
					rs = append(rs, scan(r))
					return nil
				})
		})
		if err == nil {
			err = a.give(ctx, rs, yield)
		}
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		after = end
	}
	return nil
}

// Entries reads single records by their ordinals, in that order. What is not there
// is left out.
func (a *Account) Entries(ctx context.Context, ordinals []store.Ordinal, yield func(*store.Entry) error) error {
	for len(ordinals) > 0 {
		rs, n, err := a.fetch(ctx, ordinals)
		if err != nil {
			return fmt.Errorf("read records: %w", err)
		}
		if err := a.give(ctx, rs, yield); err != nil {
			return err
		}
		ordinals = ordinals[n:]
	}
	return nil
}

// fetch reads the first n of the ordinals, as many as are enough to hold.
func (a *Account) fetch(ctx context.Context, ordinals []store.Ordinal) (rs []record, n int, err error) {
	err = a.read(ctx, func(db *conn.Conn) error {
		bytes := 0
		for n < len(ordinals) && n < sliceRows && bytes < sliceBytes {
			if _, err := db.One("SELECT "+columns+" FROM log l WHERE ordinal = ?", []any{allValues, int64(ordinals[n])}, func(r conn.Row) {
				rs = append(rs, scan(r))
				bytes += len(rs[len(rs)-1].sealed)
			}); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return rs, n, err
}

// errEnough ends a query whose further rows are not wanted.
var errEnough = errors.New("enough")

func notEnough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
