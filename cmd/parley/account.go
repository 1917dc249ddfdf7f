package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/auth"
	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/xmppd/contact"
)

// idleAfter is when an account's files are closed for a while.
const idleAfter = 5 * time.Minute

// An account is one customer of the installation.
type account struct {
	// Fixed.
	inst     *installation
	conf     conf.Account
	id       string
	domain   string
	disabled bool
	keep     time.Duration // how long what was said is kept; 0 is for ever
	dir      string
	keysDir  string
	done     chan struct{} // closed when the account is

	mu     sync.Mutex // guards what follows
	signIn auth.Config
	before *account // who still has the files; nil if nobody
	opened bool
	closed bool

	// Fixed once open has returned.
	keys   *keys.Account
	store  store.Account
	auth   *auth.Account
	bans   *contact.Bans  // nil without visitors
	people *people.People // nil where it never had any

	file     atomic.Pointer[tables] // how the configuration deals with visitors
	inForce  atomic.Pointer[tables] // ... and what holds, once the account is open
	settling sync.Mutex             // held while that changes
	remail   chan struct{}          // holds one value when others hear of what visitors leave

	kept atomic.Int64 // how long what was said is kept in fact, in nanoseconds: its customer may have asked for less
}

func (i *installation) newAccount(f *conf.File, c conf.Account, before *account) *account {
	a := &account{
		inst: i, conf: c, id: c.ID, domain: c.Domain, disabled: c.Disabled, keep: f.Keep(c),
		dir: dataDir(f, c.ID), keysDir: f.Keys, before: before, done: make(chan struct{}), remail: make(chan struct{}, 1),
	}
	a.file.Store(tablesOf(&a.conf))
	a.signIn = a.signInOptions(f)
	return a
}

// signInOptions are what the configuration says of how the account's agents sign in.
func (a *account) signInOptions(f *conf.File) auth.Config {
	c := auth.Config{
		Iterations: f.Auth.Iterations,
		DropSHA1:   !f.OffersSHA1(a.conf),
		NoBinding:  !f.Auth.ChannelBinding,
		Lockout:    auth.Lockout{Off: !f.Auth.Lockout, Failures: f.Auth.LockoutFailures, For: f.Auth.LockoutFor},
		Policy: auth.Policy{
			Off: !f.Auth.PasswordPolicy, MinLength: f.Auth.PasswordLength,
			MinDigitsOrSymbols: f.Auth.PasswordDigitsOrSymbols,
		},
		OnFailure: func(f auth.Failure) {
			if a.inst.onLoginFailed != nil {
				a.inst.onLoginFailed(a, f)
			}
		},
	}
	if f.Auth.PasswordDigitsOrSymbols == 0 {
		c.Policy.MinDigitsOrSymbols = -1 // where zero is the default
	}
	return c
}

// configure takes over how agents sign in from a configuration that was read again.
func (a *account) configure(f *conf.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.signIn = a.signInOptions(f)
	if a.opened {
		a.auth.Configure(a.signIn)
	}
}

// open opens the account's keys and store, and makes them when they are new. It may
// be called again and again.
func (a *account) open(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return fmt.Errorf("account %s: %w", a.id, store.ErrUnavailable)
	}
	if a.opened {
		return nil
	}
	if a.before != nil {
		select {
		case <-a.before.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		a.before = nil
	}
	if err := a.openAll(ctx); err != nil {
		return fmt.Errorf("open account %s: %w", a.id, errors.Join(err, a.closeAll()))
	}
	a.opened = true
	return nil
}

func (a *account) openAll(ctx context.Context) (err error) {
	if err := checkPair(a.dir, a.keysDir, a.id); err != nil {
		return err
	}
	root, other := a.inst.root.ofAccount()
	a.keys, err = keys.Open(ctx, keys.Config{
		Dir: a.keysDir, Account: a.id, Root: root, Other: other, Now: a.inst.now, Log: a.inst.log,
	})
	if err != nil {
		return err
	}
	st, err := sqlite.Open(ctx, sqlite.Config{
		Dir: a.dir, Account: a.id, Keys: a.keys, Sealed: a.conf.Sealed(), Retention: a.keep,
		Now: a.inst.now, Log: a.inst.log.With("account", a.id), Commits: a.inst.commits, Idle: idleAfter,
	})
	if err != nil {
		return err
	}
	a.store = st
	if a.auth, err = auth.New(ctx, st, a.domain, a.signIn, a.inst.now); err != nil {
		return err
	}
	if err := a.openPeople(ctx); err != nil {
		return err
	}
	if a.conf.Visitors {
		if a.bans, err = contact.OpenBans(ctx, st, a.inst.now); err != nil {
			return err
		}
	}
	if err := a.settle(ctx); err != nil {
		return err
	}
	return a.retain(ctx)
}

// openPeople opens who the account's visitors are; also where it has none any more.
func (a *account) openPeople(ctx context.Context) (err error) {
	if _, err := os.Stat(filepath.Join(a.dir, people.File)); !a.conf.Visitors && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	a.people, err = people.Open(ctx, people.Config{
		Dir: a.dir, Account: a.id, Keys: a.keys, Now: a.inst.now, Log: a.inst.log.With("account", a.id), Idle: idleAfter,
	})
	if err != nil || !a.people.Pending() {
		return err
	}
	// Nobody has taken the contacts up yet. What can't go now is tried again every hour.
	e := contact.Eraser{Store: a.store, People: a.people, Now: a.inst.now}
	if err := e.Resume(ctx); err != nil {
		a.inst.log.Error("a visitor is not erased yet", "account", a.id, "err", err)
	}
	return nil
}

// erasing says whether something of a visitor who was erased may be left. Who has not opened the account
// yet does not know.
func (a *account) erasing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.opened && a.people != nil && a.people.Pending()
}

// close closes the account for good. It may be called twice.
func (a *account) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	defer close(a.done)
	if err := a.closeAll(); err != nil {
		return fmt.Errorf("close account %s: %w", a.id, err)
	}
	return nil
}

func (a *account) closeAll() (err error) {
	if a.store != nil {
		err = a.store.Close()
	}
	if a.people != nil {
		err = errors.Join(err, a.people.Close())
	}
	if a.keys != nil {
		err = errors.Join(err, a.keys.Close())
	}
	return err
}
