package sqlite

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
)

// A Config says which account's files to open, and how.
type Config struct {
	Dir     string // data/accounts/<id>
	Account string
	// Keys are the account's secrets, in another folder. They stay open when the
	// account closes, and are closed by whoever opened them, afterwards.
	Keys *keys.Account
	// Sealed says whether records are encrypted. Credentials, tokens and what a
	// session leaves behind are sealed in any case.
	Sealed bool
	// Retention is how long records are kept; 0 is for ever. A conversation's secret
	// is replaced after a quarter of it at the latest.
	Retention time.Duration
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil logs nothing
	// Commits holds a value for each commit in flight: one channel for all accounts
	// of a process bounds how many sync at a time. It may be nil.
	Commits chan struct{}
	// Idle is after how much time without use files are closed and caches emptied,
	// until they are needed again; 0 is never.
	Idle time.Duration
}

// An Account is an account's store. It implements store.Account.
type Account struct {
	// Fixed once the account is open.
	cfg     Config
	path    string
	now     func() time.Time
	log     *slog.Logger
	ids     *archiveIDs
	marker  *marker
	journal *conversation
	ledger  *ledger

	keeps atomic.Int64 // how long records are kept: nanoseconds, 0 is for ever

	queue   queue
	decided chan *group // from the writer to the dispatcher
	free    chan *group // and back
	pool    pool
	keeper  keeper
	tasks   sync.WaitGroup // what Append and Shred started beside themselves
	loops   sync.WaitGroup

	// gate is held for reading through each transaction, and for writing while the
	// write-ahead log begins anew.
	gate sync.RWMutex

	anchoring sync.Mutex            // held while the anchor is compared and moved
	anchored  atomic.Int64          // the newest ordinal that it was moved for
	ledgered  atomic.Int64          // and the ledger's version
	noticed   atomic.Pointer[error] // what was found at the start and put right

	expiring sync.Mutex  // held through Expire
	untidy   atomic.Bool // something was destroyed since the last Expire, or may have been
	written  time.Time   // of the last record, before the account was opened

	newest           atomic.Int64
	earliest         atomic.Int64 // time since the last complete span
	nextConversation atomic.Int64 // the last id that was given
	nextAgent        atomic.Int64
	trouble          atomic.Pointer[error] // what Err answers
	onGroup          atomic.Pointer[func()]
	used             atomic.Bool // since the keeper last looked

	open       registry
	directory  directory
	boxes      boxes
	agents     boxes
	spans      spans
	views      views
	deliveries deliveries
	later      later
	secrets    secrets
	watchers   watchers

	closing sync.Once
	closed  error
}

var _ store.Account = (*Account)(nil)

// Newest is the ordinal of the last record committed.
func (a *Account) Newest() store.Ordinal { return store.Ordinal(a.newest.Load()) }

// Written is the time of the last record that was there when the account was opened.
func (a *Account) Written() time.Time { return a.written }

// Err is nil while the account takes writes.
func (a *Account) Err() error {
	if err := a.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Journal is the conversation of what belongs to no conversation of people.
func (a *Account) Journal(ctx context.Context) (store.Conversation, error) {
	if err := a.freshen(ctx, a.journal); err != nil {
		return nil, err
	}
	return a.journal, nil
}

// Close ends the account's goroutines after what was appended is decided. It may be
// called twice.
func (a *Account) Close() error {
	a.closing.Do(func() { a.closed = a.shut() })
	return a.closed
}
