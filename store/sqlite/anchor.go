package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// anchorEvery is how often the key database is told how far the log has come. It is told
// after the commit, so that no crash leaves it ahead of the log.
const anchorEvery = time.Minute

// anchor tells it, unless that disagrees with what it was told before: then the evidence
// stays.
func (a *Account) anchor(ctx context.Context) error {
	newest, ledger := a.newest.Load(), a.ledger.version.Load()
	if newest == a.anchored.Load() && ledger == a.ledgered.Load() {
		return nil
	}
	a.anchoring.Lock()
	defer a.anchoring.Unlock()
	switch faults, err := a.rolledBack(ctx); {
	case err != nil:
		return err
	case len(faults) > 0:
		a.anchored.Store(newest) // it has been said
		a.ledgered.Store(ledger)
		return nil
	}
	return a.setAnchor(ctx, newest, ledger)
}

func (a *Account) setAnchor(ctx context.Context, newest, ledger int64) error {
	var hash []byte
	if err := a.read(ctx, func(db *conn.Conn) (err error) {
		hash, err = recordHash(db, newest)
		return err
	}); err != nil {
		return err
	}
	if err := a.cfg.Keys.SetAnchor(keys.Anchor{Ordinal: newest, Hash: hash, At: a.now().UTC(), Ledger: ledger}); err != nil {
		return err
	}
	a.anchored.Store(newest)
	a.ledgered.Store(ledger)
	return nil
}

// Accept takes the log, and the rows of the ledger's tables, as they are from here on,
// though they are older than what was known of them.
func (a *Account) Accept(ctx context.Context) error {
	a.anchoring.Lock()
	defer a.anchoring.Unlock()
	a.noticed.Store(nil)
	err := a.update(ctx, a.acceptLedger)
	if err == nil {
		err = a.setAnchor(ctx, a.newest.Load(), a.ledger.version.Load())
	}
	if err != nil {
		return fmt.Errorf("accept the log of account %q: %w", a.cfg.Account, err)
	}
	return nil
}

// rolledBack says whether the log or the ledger is older than what the key database knows
// of it, or has gone on from an older state.
func (a *Account) rolledBack(ctx context.Context) (faults []error, err error) {
	fault, err := a.olderLog(ctx)
	if fault != nil {
		faults = append(faults, fault)
	}
	if a.ledger.broken.Load() {
		faults = append(faults, fmt.Errorf("agents, webhooks, keys and settings were put back to an older state, with what is known of them: %w", store.ErrTampered))
	}
	return faults, err
}

func (a *Account) olderLog(ctx context.Context) (fault, err error) {
	anchor, err := a.cfg.Keys.Anchor()
	switch {
	case errors.Is(err, store.ErrTampered):
		return err, nil
	case err != nil || anchor.Ordinal == 0:
		return nil, err
	case anchor.Ordinal > a.newest.Load():
		return fmt.Errorf("the log ends with record %d, but it had record %d on %s: it was put back to an older state: %w",
			a.newest.Load(), anchor.Ordinal, anchor.At.Format(time.DateTime), store.ErrTampered), nil
	}
	var hash []byte
	if err := a.read(ctx, func(db *conn.Conn) (err error) {
		hash, err = recordHash(db, anchor.Ordinal)
		return err
	}); err != nil {
		return nil, err
	}
	if len(hash) > 0 && len(anchor.Hash) > 0 && !bytes.Equal(hash, anchor.Hash) {
		return fmt.Errorf("record %d is another one than on %s: the log was changed, or was put back to an older state and went on from there: %w",
			anchor.Ordinal, anchor.At.Format(time.DateTime), store.ErrTampered), nil
	}
	return nil, nil
}

// recordHash is what an anchor knows of a record; nothing if it is gone.
func recordHash(db *conn.Conn, ordinal int64) (hash []byte, err error) {
	_, err = db.One("SELECT conversation, n, sealed FROM log WHERE ordinal = ?", []any{ordinal}, func(r conn.Row) {
		b := binary.BigEndian.AppendUint64(nil, uint64(ordinal))
		b = binary.BigEndian.AppendUint64(b, uint64(r.Int(0)))
		b = binary.BigEndian.AppendUint64(b, uint64(r.Int(1)))
		sum := sha256.Sum256(append(b, r.Blob(2)...))
		hash = sum[:]
	})
	return hash, err
}

// notice says at the start what is not as it was left.
func (a *Account) notice(ctx context.Context) error {
	faults, err := a.rolledBack(ctx)
	for _, fault := range faults {
		a.log.Error("the store was changed outside the server: see 'parley verify'", "err", fault)
	}
	a.anchored.Store(a.newest.Load())
	return err
}
