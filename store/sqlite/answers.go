package sqlite

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

func replyPlace(key []byte) *seal.Place {
	return &seal.Place{Field: "answer " + hex.EncodeToString(key)}
}

// ClaimAnswer keeps claim under key, durably, unless something is there already: then it
// gives that, and keeps nothing.
func (a *Account) ClaimAnswer(ctx context.Context, key [32]byte, claim []byte) (kept []byte, err error) {
	now := a.now()
	sealed := a.cfg.Keys.Field().Seal(nil, claim, replyPlace(key[:]))
	var old []byte
	err = a.update(ctx, func(db *conn.Conn) error {
		found, err := db.One("SELECT sealed FROM answer WHERE key = ?", []any{key[:]}, func(r conn.Row) { old = r.Blob(0) })
		if found || err != nil {
			return err
		}
		return db.Exec("INSERT INTO answer (key, made, sealed) VALUES (?, ?, ?)", key[:], now.UnixMilli(), sealed)
	})
	if err == nil && old != nil {
		if kept, err = a.cfg.Keys.Field().Open(nil, old, replyPlace(key[:])); err != nil {
			err = store.ErrTampered
		}
	}
	if err != nil {
		return nil, fmt.Errorf("claim an answer: %w", err)
	}
	return kept, nil
}

// KeepAnswer keeps another value under a key that was claimed, or with nil forgets it.
func (a *Account) KeepAnswer(ctx context.Context, key [32]byte, answer []byte) error {
	statement, args := "DELETE FROM answer WHERE key = ?", []any{key[:]}
	if answer != nil {
		statement = "UPDATE answer SET sealed = ? WHERE key = ?"
		args = []any{a.cfg.Keys.Field().Seal(nil, answer, replyPlace(key[:])), key[:]}
	}
	if err := a.update(ctx, func(db *conn.Conn) error { return db.Exec(statement, args...) }); err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	return nil
}

// ForgetAnswers forgets what was claimed before then.
func (a *Account) ForgetAnswers(ctx context.Context, before time.Time) error {
	if err := a.update(ctx, func(db *conn.Conn) error {
		return db.Exec("DELETE FROM answer WHERE made < ?", before.UnixMilli())
	}); err != nil {
		return fmt.Errorf("forget answers: %w", err)
	}
	return nil
}
