package keys

import (
	"context"
	"fmt"
	"time"

	"parley.im/parley/store/sqlite/conn"
)

// rewrapSlice is how many secrets are wrapped anew in one transaction, so that those
// who need a secret meanwhile wait for a few milliseconds at most.
const rewrapSlice = 256

// Made is when the account key in use was made.
func (a *Account) Made() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.Keys[len(a.file.Keys)-1].Made
}

// A Progress is how far the secrets are wrapped by the newest account key.
type Progress struct {
	Version  int64     // of the account key
	Made     time.Time // and when it was made
	Secrets  int64
	Left     int64 // of these, those that an older key wraps
	Rotating bool
}

// Progress tells how far a rotation has come.
func (a *Account) Progress() (p Progress, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return p, err
	}
	last := a.file.Keys[len(a.file.Keys)-1]
	p = Progress{Version: last.Version, Made: last.Made, Rotating: len(a.file.Keys) > 1}
	if p.Secrets, err = db.Number("SELECT count(*) FROM secret"); err == nil && p.Rotating {
		p.Left, err = db.Number("SELECT count(*) FROM secret WHERE version <> ?", last.Version)
	}
	return p, err
}

// Rotate makes a new account key, wraps all secrets with it, and destroys the old
// one. If it is cut short the next call goes on where it ended.
func (a *Account) Rotate(ctx context.Context) error {
	if err := a.rotate(ctx); err != nil {
		return fmt.Errorf("rotate the key of account %q: %w", a.account, err)
	}
	return nil
}

func (a *Account) rotate(ctx context.Context) error {
	if err := a.begin(); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more, err := a.rewrap(); err != nil || !more {
			if err != nil {
				return err
			}
			return a.finish()
		}
	}
}

// begin puts a new version beside the old one, unless a rotation is under way.
func (a *Account) begin() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.file.Keys) > 1 {
		return nil
	}
	v := newVersion(&a.root, a.account, a.current()+1, a.now())
	box, err := v.unwrap(a.account, a.root)
	if err != nil {
		return err
	}
	next := *a.file
	next.Keys = append(append([]version(nil), next.Keys...), v)
	if err := next.write(a.keyPath()); err != nil {
		return err
	}
	a.file, a.boxes[v.Version] = &next, box
	return nil
}

// rewrap wraps one slice of secrets with the current key, and says whether there
// may be more.
func (a *Account) rewrap() (more bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return false, err
	}
	type old struct {
		id      ID
		version int64
		wrapped []byte
	}
	var slice []old
	current := a.current()
	if err := db.Query(`SELECT owner, number, generation, version, wrapped
		FROM secret
		WHERE version <> ?
		LIMIT +?`, []any{current, rewrapSlice}, func(r conn.Row) error {
		slice = append(slice, old{ID{Owner(r.Int(0)), r.Int(1), r.Int(2)}, r.Int(3), r.Blob(4)})
		return nil
	}); err != nil {
		return false, err
	}
	return len(slice) == rewrapSlice, db.InTx(func() error {
		for _, o := range slice {
			k, err := a.unwrap(o.id, o.version, o.wrapped)
			if err != nil {
				return err
			}
			wrapped := a.boxes[current].Seal(nil, k[:], o.id.place())
			k.Wipe()
			if err := db.Exec(`UPDATE secret
				SET version = ?, wrapped = ?
				WHERE owner = ? AND number = ? AND generation = ?`,
				current, wrapped, int(o.id.Owner), o.id.Number, o.id.Generation); err != nil {
				return err
			}
		}
		return nil
	})
}

// finish destroys the old key, when nothing needs it any more and no log holds what
// it wrapped.
func (a *Account) finish() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.truncated(func(*conn.Conn) error { return nil }); err != nil {
		return err
	}
	last := a.file.Keys[len(a.file.Keys)-1]
	next := *a.file
	next.Keys = []version{last}
	if err := next.write(a.keyPath()); err != nil {
		return err
	}
	for v := range a.boxes {
		if v != last.Version {
			delete(a.boxes, v)
		}
	}
	a.file = &next
	return nil
}
