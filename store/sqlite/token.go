package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// The account's secret token is two rows of the table secret: the one in use, and in front
// of the one before it the 8 bytes of the time until when that is good, in milliseconds.
const (
	tokenSecret    = "token"
	previousSecret = "token previous"
	tokenSize      = 48
)

// Token is the account's secret token, made at the first call.
func (a *Account) Token(ctx context.Context) (store.Token, error) {
	_, err := a.secret(ctx, tokenSecret, tokenSize) // is not remembered: it may change
	var t store.Token
	if err == nil {
		t, err = a.token(ctx)
	}
	if err != nil {
		return store.Token{}, fmt.Errorf("secret token of the account: %w", err)
	}
	return t, nil
}

// token reads both rows at once: a rotation changes them together.
func (a *Account) token(ctx context.Context) (t store.Token, err error) {
	sealed := make(map[string][]byte)
	err = a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT name, sealed FROM secret WHERE name IN (?, ?)", []any{tokenSecret, previousSecret}, func(r conn.Row) error {
			sealed[r.Text(0)] = r.Blob(1)
			return nil
		})
	})
	if err != nil {
		return t, err
	}
	open := func(name string) (plain []byte) {
		if err == nil && sealed[name] != nil {
			if plain, err = a.cfg.Keys.Field().Open(nil, sealed[name], &seal.Place{Field: "secret " + name}); err != nil {
				err = store.ErrTampered
			}
		}
		return plain
	}
	t.Value = hex.EncodeToString(open(tokenSecret))
	if previous := open(previousSecret); len(previous) == 8+tokenSize {
		t.Until = fromMilli(int64(binary.BigEndian.Uint64(previous)))
		t.Previous = hex.EncodeToString(previous[8:])
	}
	if t.Previous = t.Old(a.now()); t.Previous == "" {
		t.Until = time.Time{}
	}
	return t, err
}

// RotateToken gives the account another token, and appends event, the JSON of a
// KindTokenRotated, in one transaction with it.
func (a *Account) RotateToken(ctx context.Context, until time.Time, event []byte) (store.Token, error) {
	err := a.rotateToken(ctx, until, event)
	if err != nil {
		return store.Token{}, fmt.Errorf("rotate the account's token: %w", err)
	}
	return a.Token(ctx)
}

func (a *Account) rotateToken(ctx context.Context, until time.Time, event []byte) error {
	if _, err := a.secret(ctx, tokenSecret, tokenSize); err != nil {
		return err
	}
	before, err := a.sealedSecret(ctx, tokenSecret)
	if err != nil {
		return err
	}
	field, place := a.cfg.Keys.Field(), &seal.Place{Field: "secret " + tokenSecret}
	old, err := field.Open(nil, before, place)
	if err != nil {
		return store.ErrTampered
	}
	j, err := a.Journal(ctx)
	if err != nil {
		return err
	}
	young := make([]byte, tokenSize)
	_, _ = rand.Read(young) // never fails
	previous := append(binary.BigEndian.AppendUint64(nil, uint64(until.UnixMilli())), old...)
	young = field.Seal(nil, young, place)
	previous = field.Seal(nil, previous, &seal.Place{Field: "secret " + previousSecret})
	b := &store.Batch{Ops: []store.Op{{Conversation: j, Kind: store.KindTokenRotated, At: a.now(), Data: event}}}
	return a.appendWith(b, func(db *conn.Conn) error {
		// Of two rotations at once one is refused: the old token would be good for nobody.
		if err := changed(db, "UPDATE secret SET sealed = ? WHERE name = ? AND sealed = ?", young, tokenSecret, before); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return store.ErrConflict
			}
			return err
		}
		if !until.After(a.now()) {
			return db.Exec("DELETE FROM secret WHERE name = ?", previousSecret)
		}
		return db.Exec("INSERT OR REPLACE INTO secret (name, sealed) VALUES (?, ?)", previousSecret, previous)
	})
}
