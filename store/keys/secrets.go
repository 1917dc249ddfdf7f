package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// checkpointAfter is how many commits the write-ahead log may gather. Whoever makes
// a secret then waits for the checkpoint; nobody else does.
const checkpointAfter = 500

// place is where a wrapped secret stands.
func (id ID) place() *seal.Place {
	return &seal.Place{Kind: uint8(id.Owner), N: id.Number, Actor: id.Generation, Field: "secret"}
}

// A create is one caller's new secrets on their way into the file.
type create struct {
	ids  []ID
	keys []seal.Key
	done bool // guarded by Account.mu, as is err
	err  error
}

// Create makes secrets and answers them when they are on stable storage. Callers
// that come while a commit runs share the next one. A secret that exists is
// ErrConflict, and then none of the caller's is made.
func (a *Account) Create(_ context.Context, ids ...ID) ([]seal.Key, error) {
	c := &create{ids: ids, keys: make([]seal.Key, len(ids))}
	for i := range c.keys {
		c.keys[i] = seal.NewKey()
	}
	a.waiting.Lock()
	a.waiting.creates = append(a.waiting.creates, c)
	a.waiting.Unlock()

	// Whoever holds the file commits for all who wait; the others find it done.
	a.mu.Lock()
	defer a.mu.Unlock()
	if !c.done {
		a.waiting.Lock()
		group := a.waiting.creates
		a.waiting.creates = nil
		a.waiting.Unlock()
		a.commit(group)
	}
	if c.err != nil {
		return nil, fmt.Errorf("make a secret: %w", c.err)
	}
	return c.keys, nil
}

// commit keeps a group's secrets together, or each caller's alone if that fails.
func (a *Account) commit(group []*create) {
	err := a.insert(group)
	for _, c := range group {
		c.done, c.err = true, err
		if err != nil && len(group) > 1 {
			c.err = a.insert([]*create{c})
		}
	}
}

func (a *Account) insert(group []*create) error {
	db, err := a.connect()
	if err != nil {
		return reason(err)
	}
	current := a.current()
	err = db.InTx(func() error {
		for _, c := range group {
			for i, id := range c.ids {
				wrapped := a.boxes[current].Seal(nil, c.keys[i][:], id.place())
				if err := db.Exec(`INSERT INTO secret (owner, number, generation, version, wrapped)
					VALUES (?, ?, ?, ?, ?)`, int(id.Owner), id.Number, id.Generation, current, wrapped); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return reason(err)
	}
	if a.commits++; a.commits >= checkpointAfter {
		a.commits = 0
		if _, _, err := db.Checkpoint(conn.Truncate); err != nil {
			a.log.Warn("checkpoint of keys", "err", err)
		}
	}
	return nil
}

// reason gives what SQLite says the store's own words.
func reason(err error) error {
	switch {
	case conn.NoRoom(err):
		return fmt.Errorf("%w: %v", store.ErrFull, err)
	case conn.Exists(err):
		return fmt.Errorf("%w: %v", store.ErrConflict, err)
	}
	return err
}

// current is the version of the account key that wraps.
func (a *Account) current() int64 { return a.file.Keys[len(a.file.Keys)-1].Version }

// Get answers a secret; ErrNotFound if there is none (any more).
func (a *Account) Get(_ context.Context, id ID) (seal.Key, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return seal.Key{}, err
	}
	var version int64
	var wrapped []byte
	found, err := db.One(`SELECT version, wrapped
		FROM secret
		WHERE owner = ? AND number = ? AND generation = ?`, []any{int(id.Owner), id.Number, id.Generation},
		func(r conn.Row) { version, wrapped = r.Int(0), r.Blob(1) })
	switch {
	case err != nil:
		return seal.Key{}, err
	case !found:
		return seal.Key{}, store.ErrNotFound
	}
	return a.unwrap(id, version, wrapped)
}

func (a *Account) unwrap(id ID, version int64, wrapped []byte) (seal.Key, error) {
	box, ok := a.boxes[version]
	if !ok {
		return seal.Key{}, fmt.Errorf("a secret needs version %d of the account key, which is gone", version)
	}
	raw, err := box.Open(nil, wrapped, id.place())
	if err != nil {
		return seal.Key{}, fmt.Errorf("a wrapped secret: %w", store.ErrTampered)
	}
	defer clear(raw)
	return seal.KeyFrom(raw)
}

// All calls each with the ids of all secrets of one kind of owner, in their order.
func (a *Account) All(_ context.Context, owner Owner, each func(ID)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return err
	}
	return db.Query("SELECT number, generation FROM secret WHERE owner = ? ORDER BY number, generation", []any{int(owner)}, func(r conn.Row) error {
		each(ID{Owner: owner, Number: r.Int(0), Generation: r.Int(1)})
		return nil
	})
}

// Destroy destroys all generations of an owner's secrets. When it returns nil they
// are in the file no more, nor in its write-ahead log.
func (a *Account) Destroy(_ context.Context, owner Owner, numbers ...int64) error {
	return a.destroy(func(db *conn.Conn) error {
		for _, n := range numbers {
			if err := db.Exec("DELETE FROM secret WHERE owner = ? AND number = ?", int(owner), n); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sweep destroys the secrets that were made for nothing, since the program ended
// before the first record that they would have sealed.
func (a *Account) Sweep(_ context.Context, orphans []ID) error {
	if len(orphans) == 0 {
		return nil
	}
	return a.destroy(func(db *conn.Conn) error {
		for _, id := range orphans {
			if err := db.Exec("DELETE FROM secret WHERE owner = ? AND number = ? AND generation = ?",
				int(id.Owner), id.Number, id.Generation); err != nil {
				return err
			}
		}
		return nil
	})
}

var errBusy = errors.New("somebody else reads the file: its write-ahead log still holds what was destroyed")

func (a *Account) destroy(rows func(*conn.Conn) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	// A copy that was made before a migration holds what is to be destroyed, too.
	err := conn.DropCopies(a.dbPath(), time.Time{})
	if err == nil {
		err = a.truncated(rows)
	}
	if err != nil {
		return fmt.Errorf("destroy a secret: %w", err)
	}
	return nil
}

// truncated runs a transaction and then empties the write-ahead log, which would
// else keep what was overwritten in the file.
func (a *Account) truncated(do func(*conn.Conn) error) error {
	db, err := a.connect()
	if err != nil {
		return err
	}
	if err := db.InTx(func() error { return do(db) }); err != nil {
		return reason(err)
	}
	_, complete, err := db.Checkpoint(conn.Truncate)
	switch {
	case err != nil:
		return reason(err)
	case !complete:
		return errBusy
	}
	a.commits = 0
	return nil
}
