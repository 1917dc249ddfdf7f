package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// Verify opens the accounts that were restored into a folder and reads all that they
// hold. It answers an error for each conversation that is not as it was written.
func Verify(ctx context.Context, dir string, r *Report, root seal.Key, log *slog.Logger) error {
	var faults []error
	for _, a := range r.Accounts {
		if err := verify(ctx, dir, a.ID, root, log); err != nil {
			faults = append(faults, fmt.Errorf("account %s: %w", a.ID, err))
		}
	}
	if err := verifyAudit(filepath.Join(dir, "data"), "", log); err != nil {
		faults = append(faults, fmt.Errorf("the installation: %w", err))
	}
	return errors.Join(faults...)
}

// verifyAudit goes through the chain of an audit log, if there is one.
func verifyAudit(dir, account string, log *slog.Logger) (err error) {
	if !audit.Exists(dir) {
		return nil
	}
	l, err := audit.Open(audit.Config{Dir: dir, Account: account, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	r, err := l.Verify(nil)
	if err == nil && len(r.Faults) > 0 {
		err = fmt.Errorf("audit log: %s: %w", strings.Join(r.Faults, "; "), store.ErrTampered)
	}
	return err
}

func verify(ctx context.Context, dir, id string, root seal.Key, log *slog.Logger) (err error) {
	if err := verifyAudit(filepath.Join(dir, "data", "accounts", id), id, log); err != nil {
		return err
	}
	in := filepath.Join(dir, "keys")
	roots, err := keys.OpenRoots(in, root)
	if err != nil {
		return err
	}
	k, err := keys.Open(ctx, keys.Config{Dir: in, Account: id, Root: root, Other: roots.Other, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	st, err := sqlite.Open(ctx, sqlite.Config{
		Dir: filepath.Join(dir, "data", "accounts", id), Account: id, Keys: k, Sealed: true, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return errors.Join(st.Verify(ctx, true), verifyPeople(ctx, filepath.Join(dir, "data", "accounts", id), id, k, log))
}

// verifyPeople goes through an account's people, if it has any.
func verifyPeople(ctx context.Context, dir, id string, k *keys.Account, log *slog.Logger) error {
	if isMissing(stat(filepath.Join(dir, people.File))) {
		return nil
	}
	p, err := people.Open(ctx, people.Config{Dir: dir, Account: id, Keys: k, Log: log})
	if err != nil {
		return err
	}
	return errors.Join(p.Verify(ctx, true), p.Close())
}
