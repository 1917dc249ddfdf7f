package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

func apiKeyPlace(id string) *seal.Place { return &seal.Place{Field: "api key " + id} }

// APIKeys lists the account's keys, oldest first.
func (a *Account) APIKeys(ctx context.Context) (all []store.APIKey, err error) {
	err = a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT id, made, sealed FROM api_key ORDER BY made, id", nil, func(r conn.Row) error {
			k, err := a.openAPIKey(r)
			all = append(all, k)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return all, nil
}

// APIKey is one key by its id.
func (a *Account) APIKey(ctx context.Context, id string) (k store.APIKey, err error) {
	found := false
	err = a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT id, made, sealed FROM api_key WHERE id = ?", []any{id}, func(r conn.Row) (err error) {
			found = true
			k, err = a.openAPIKey(r)
			return err
		})
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.APIKey{}, fmt.Errorf("API key %q: %w", id, err)
	}
	return k, nil
}

func (a *Account) openAPIKey(r conn.Row) (store.APIKey, error) {
	k := store.APIKey{ID: r.Text(0), Created: fromMilli(r.Int(1))}
	text, err := a.cfg.Keys.Field().Open(nil, r.Blob(2), apiKeyPlace(k.ID))
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return store.APIKey{}, fmt.Errorf("API key %q: %w", k.ID, store.ErrTampered)
	}
	return k, nil
}

// AddAPIKey adds a key; one of the same id answers ErrConflict, one too many ErrTooMany.
func (a *Account) AddAPIKey(ctx context.Context, k store.APIKey) error {
	text, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("add API key %q: %w", k.ID, err)
	}
	sealed := a.cfg.Keys.Field().Seal(nil, text, apiKeyPlace(k.ID))
	err = a.update(ctx, func(db *conn.Conn) error {
		if err := roomIn(db, "api_key", store.MaxAPIKeys); err != nil {
			return err
		}
		err := db.Exec("INSERT INTO api_key (id, made, sealed) VALUES (?, ?, ?)", k.ID, k.Created.UnixMilli(), sealed)
		if conn.Exists(err) {
			return store.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add API key %q: %w", k.ID, err)
	}
	return nil
}

// DeleteAPIKey deletes a key.
func (a *Account) DeleteAPIKey(ctx context.Context, id string) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		return changed(db, "DELETE FROM api_key WHERE id = ?", id)
	})
	if err != nil {
		return fmt.Errorf("delete API key %q: %w", id, err)
	}
	return nil
}
