package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
)

// A rootKey is the installation's root key and what becomes of it: see store/keys/change.go.
type rootKey struct {
	dir string // of the keys

	mu      sync.Mutex // guards what follows
	roots   *keys.Roots
	running bool // account keys are being wrapped anew
	done    int  // of so many
	total   int
	failed  error
}

// ofAccount is the root key that wraps an account's key, and the other one that may have
// wrapped it before.
func (k *rootKey) ofAccount() (root, other seal.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	root, other = k.roots.Root, k.roots.Other
	if k.roots.Is == keys.Old {
		root, other = other, root
	}
	return root, other
}

// configured is what the configuration names.
func (k *rootKey) configured() (root seal.Key, is keys.Role) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roots.Root, k.roots.Is
}

// both are the root key and, while it is replaced, the other one.
func (k *rootKey) both() []seal.Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roots.Both()
}

// change begins to replace it by another.
func (k *rootKey) change(next seal.Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roots.Change(k.dir, next)
}

// rewrapKeys wraps all account keys by the root key that is to stay, and then forgets the
// old one if the configuration names the new one. Whatever it leaves, both root keys open
// all, and the next call goes on. One account's fault keeps nothing from the others.
func (i *installation) rewrapKeys(ctx context.Context) error {
	target, begun := i.root.begin()
	if !begun {
		return nil
	}
	return i.rewrapBy(ctx, target)
}

// begin says by which root key all are to be wrapped, unless somebody is at it, or there
// is nothing to do.
func (k *rootKey) begin() (target seal.Key, begun bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running || k.roots.Is == keys.Only {
		return target, false
	}
	k.running, k.done, k.total, k.failed = true, 0, 0, nil
	return k.roots.Target(), true
}

// rewrapBy is what follows on begin.
func (i *installation) rewrapBy(ctx context.Context, target seal.Key) error {
	k := i.root
	ids, err := keys.Accounts(k.dir)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		k.mu.Lock()
		k.total = len(ids)
		k.mu.Unlock()
		if failed := i.rewrapKey(ctx, id, target); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		k.mu.Lock()
		k.done++
		k.mu.Unlock()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && k.roots.Is == keys.New {
		err = k.roots.End(k.dir)
	}
	k.running, k.failed = false, err
	return err
}

func (i *installation) rewrapKey(ctx context.Context, id string, target seal.Key) error {
	i.mu.Lock()
	a := i.accounts[id]
	i.mu.Unlock()
	if a == nil { // nobody opens it
		i.root.mu.Lock()
		defer i.root.mu.Unlock()
		return keys.RewrapClosed(i.root.dir, id, i.root.roots)
	}
	if err := a.open(ctx); err != nil {
		return err
	}
	return a.keys.Rewrap(target)
}

// careForRoot goes on with what was begun, and says what the operator has to do.
func (s *server) careForRoot(ctx context.Context) {
	root, is := s.inst.root.configured()
	if !s.passing && keys.CopyConfirmed(s.inst.root.dir, root).IsZero() {
		s.log.Warn("nobody has confirmed that there is a copy of the root key, and without it nothing could be read again: see 'parley key confirm-copy'")
	}
	if is == keys.Only {
		return
	}
	switch err := s.inst.rewrapKeys(ctx); {
	case err != nil && ctx.Err() != nil: // the next start goes on
	case err != nil:
		s.log.Error("not all keys are wrapped by the new root key; both are needed", "err", err)
	case is == keys.New:
		s.log.Info("the root key is replaced: the old one opens nothing any more")
	default:
		s.log.Warn("the root key is replaced, but root_key names the old one: let it name the new one, and start again")
	}
}

// rootText is what 'parley key status' says of a root key's replacement.
func (k *keysInfo) rootText() string {
	switch {
	case k.Root == "":
		return "in use, the only one"
	case k.Running:
		return fmt.Sprintf("being replaced: %d of %d accounts are done", k.Done, k.Total)
	case k.Failed != "":
		return "being replaced, cut short: " + line(k.Failed)
	case k.Root == "old":
		return "replaced, but root_key names the old one: let it name the new one, and start the server again"
	}
	return "being replaced: it is ended by the next start"
}
