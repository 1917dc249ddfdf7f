package sqlite

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// secrets keeps the account's secrets that were asked for; there are a few.
type secrets struct {
	mu  sync.Mutex
	all map[string][]byte
}

func secretPlace(name string) *seal.Place { return &seal.Place{Field: "secret " + name} }

// Secret is the account's secret of that name, made at the first call.
func (a *Account) Secret(ctx context.Context, name string, size int) ([]byte, error) {
	a.secrets.mu.Lock()
	known, ok := a.secrets.all[name]
	a.secrets.mu.Unlock()
	if ok {
		return slices.Clone(known), nil
	}
	plain, err := a.secret(ctx, name, size)
	if err != nil {
		return nil, fmt.Errorf("secret %q of the account: %w", name, err)
	}
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	if a.secrets.all == nil {
		a.secrets.all = make(map[string][]byte)
	}
	a.secrets.all[name] = plain
	return slices.Clone(plain), nil
}

func (a *Account) secret(ctx context.Context, name string, size int) ([]byte, error) {
	place := secretPlace(name)
	sealed, err := a.sealedSecret(ctx, name)
	if err != nil {
		return nil, err
	}
	if sealed == nil {
		made := make([]byte, size)
		_, _ = rand.Read(made) // never fails
		made = a.cfg.Keys.Field().Seal(nil, made, place)
		if err := a.update(ctx, func(db *conn.Conn) error {
			return db.Exec("INSERT OR IGNORE INTO secret (name, sealed) VALUES (?, ?)", name, made)
		}); err != nil {
			return nil, err
		}
		// Somebody else's may have been first.
		if sealed, err = a.sealedSecret(ctx, name); err != nil {
			return nil, err
		}
	}
	plain, err := a.cfg.Keys.Field().Open(nil, sealed, place)
	if err != nil {
		return nil, store.ErrTampered
	}
	return plain, nil
}

func (a *Account) sealedSecret(ctx context.Context, name string) (sealed []byte, err error) {
	err = a.read(ctx, func(db *conn.Conn) error {
		_, err := db.One("SELECT sealed FROM secret WHERE name = ?", []any{name}, func(r conn.Row) { sealed = r.Blob(0) })
		return err
	})
	return sealed, err
}

// Setting is a plain value that the running server has learned.
func (a *Account) Setting(ctx context.Context, name string) (value string, err error) {
	found := false
	err = a.read(ctx, func(db *conn.Conn) (err error) {
		found, err = db.One("SELECT value FROM setting WHERE name = ?", []any{name}, func(r conn.Row) { value = r.Text(0) })
		return err
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("setting %q: %w", name, err)
	}
	return value, nil
}

// SetSetting keeps a setting.
func (a *Account) SetSetting(ctx context.Context, name, value string) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		return db.Exec("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)
	})
	if err != nil {
		return fmt.Errorf("keep setting %q: %w", name, err)
	}
	return nil
}
