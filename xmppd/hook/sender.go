package hook

import (
	"context"
	"sync"
	"sync/atomic"

	"parley.im/parley/xmppd/panics"
)

// A Sender delivers webhooks for any number of accounts.
type Sender struct {
	c     Config
	guard *guard
	pace  *pace

	// Stats are counted from the process's start.
	Stats Stats

	mu      sync.Mutex               // guards what follows
	reloads map[string]chan struct{} // by account; each holds one signal
}

// Stats are figures for monitoring.
type Stats struct {
	Attempts   atomic.Int64 // to deliver an event
	Failures   atomic.Int64 // of these
	Unreadable atomic.Int64 // events that were not sent, since their records are not what was written
}

// New makes a sender. It does nothing before Run.
func New(c Config) *Sender {
	c = c.withDefaults()
	return &Sender{c: c, guard: newGuard(&c), pace: newPace(), reloads: make(map[string]chan struct{})}
}

// Run delivers the account's events until ctx ends, then gives requests in
// flight a last moment, keeps what came of them and returns. What is unfinished
// is sent after the next start. It may run once at a time for each account.
func (s *Sender) Run(ctx context.Context, a Account) {
	f := &feed{
		s:       s,
		account: &a,
		log:     s.c.Log.With("account", a.ID),
		tail:    &tail{store: a.Store},
		workers: make(map[string]*worker),

		patience: make(map[string]*panics.Patience),
	}
	f.run(ctx, s.reload(a.ID))
}

// Reload tells the account's Run that endpoints were added, changed or removed, or that
// the account has another token.
// It does not wait, and it is kept if Run has not begun.
func (s *Sender) Reload(accountID string) {
	select {
	case s.reload(accountID) <- struct{}{}:
	default: // one is waiting already
	}
}

func (s *Sender) reload(accountID string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.reloads[accountID]
	if ch == nil {
		ch = make(chan struct{}, 1)
		s.reloads[accountID] = ch
	}
	return ch
}
