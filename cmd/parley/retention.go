package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
)

// It is looked for what has expired soon after the start, when agents are back, at its
// time, if that is known, and once an hour; but not more often than once a minute.
const (
	retentionLook = time.Hour
	retentionSoon = time.Minute
)

// A retention destroys what has expired, of all accounts, one after the other: also of
// those that are asleep or disabled.
type retention struct {
	inst *installation

	// Totals since the start, for /metrics.
	records, secrets, conversations, runs, failures atomic.Int64
	lastRun                                         atomic.Int64 // seconds
	slowest                                         atomic.Int64 // microseconds that a slice took
	waiting                                         atomic.Int64 // accounts whose clock is not trusted yet

	mu   sync.Mutex
	held map[string]int       // conversations kept by a hold, by account
	next map[*account]outlook // when an account has to be looked at
}

// An outlook is what is known of an account that is not to be woken for nothing.
type outlook struct {
	next time.Time // nothing expires before; zero if nothing does
	done bool      // it was looked at
}

func newRetention(i *installation) *retention {
	return &retention{inst: i, held: make(map[string]int), next: make(map[*account]outlook)}
}

// run looks from time to time, until ctx ends.
func (r *retention) run(ctx context.Context) {
	clock := newSteadiness(r.inst.now)
	t := time.NewTimer(retentionSoon)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now, trusted := clock.look()
		r.look(ctx, now, trusted)
		t.Reset(r.soonest(r.inst.now()))
	}
}

// soonest is how long it is until something expires that is known of.
func (r *retention) soonest(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	soonest := retentionLook
	for _, o := range r.next {
		if !o.next.IsZero() {
			soonest = min(soonest, max(o.next.Sub(now), retentionSoon))
		}
	}
	return soonest
}

// look goes through the accounts.
func (r *retention) look(ctx context.Context, now time.Time, trusted func(written time.Time) bool) {
	waiting := int64(0)
	accounts := r.inst.list()
	r.forget(accounts)
	for _, a := range accounts {
		if ctx.Err() != nil {
			return
		}
		wait, err := r.account(ctx, a, now, trusted)
		if err == nil {
			err = r.files(ctx, a, now, trusted)
		}
		switch {
		case wait:
			waiting++
		case err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable): // else it is closing
			r.failures.Add(1)
			r.inst.log.Error("what has expired is not destroyed yet", "account", a.id, "err", err, "wait", retentionLook)
		}
	}
	if was := r.waiting.Swap(waiting); was == 0 && waiting > 0 {
		r.inst.log.Info("nothing expires until the clock has been steady for a while", "accounts", waiting, "wait", steadyFor)
	}
	r.runs.Add(1)
	r.lastRun.Store(now.Unix())
}

// account destroys what has expired of one. It says whether that waits for a clock that
// can be trusted; what was begun is ended in any case.
func (r *retention) account(ctx context.Context, a *account, now time.Time, trusted func(time.Time) bool) (wait bool, err error) {
	r.mu.Lock()
	o := r.next[a]
	r.mu.Unlock()
	if o.done && !a.store.Unfinished() && !a.erasing() && (o.next.IsZero() || now.Before(o.next)) {
		return false, nil
	}
	if err := a.open(ctx); err != nil {
		return false, err
	}
	if a.erasing() {
		if err := a.eraser().Resume(ctx); err != nil {
			return false, err
		}
	}
	wait = !trusted(a.store.Written())
	e := store.Expiry{Now: now, Done: r.count}
	if wait {
		e.Now = time.Time{}
	}
	left, err := a.store.Expire(ctx, e)
	r.slowest.Store(max(r.slowest.Load(), left.Slowest.Microseconds()))
	if err == nil && !wait {
		err = a.forgetPeople(ctx, now)
	}
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[a.id] = left.Held
	if soon := now.Add(retentionLook); left.Held > 0 && soon.Before(left.Next) {
		left.Next = soon // the hold may have ended by then
	}
	r.next[a] = outlook{left.Next, !wait}
	if wait && a.keeps() == 0 {
		r.next[a], wait = outlook{done: true}, false
	}
	return wait, nil
}

// files destroys what agents have sent to no visitor, once no link to it holds any more.
func (r *retention) files(ctx context.Context, a *account, now time.Time, trusted func(time.Time) bool) error {
	if a.disabled {
		return nil
	}
	if err := a.open(ctx); err != nil || !trusted(a.store.Written()) {
		return err
	}
	return a.store.DropFiles(ctx, now.Add(-a.conf.Files.Links))
}

func (r *retention) count(s store.Shredding) {
	r.conversations.Add(1)
	r.secrets.Add(int64(s.Secrets))
	r.records.Add(s.Records)
}

// forget drops accounts that are no more.
func (r *retention) forget(accounts []*account) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ids := make(map[*account]bool), make(map[string]bool)
	for _, a := range accounts {
		known[a], ids[a.id] = true, true
	}
	for a := range r.next {
		if !known[a] {
			delete(r.next, a)
		}
	}
	for id := range r.held {
		if !ids[id] {
			delete(r.held, id)
		}
	}
}

// changed has an account looked at again at the next look: a hold has begun or ended.
func (r *retention) changed(a *account) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.next, a)
}

func (r *retention) heldConversations() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, held := range r.held {
		n += int64(held)
	}
	return n
}

// figures are what /metrics tells of it.
func (r *retention) figures() map[string]func() int64 {
	return map[string]func() int64{
		"parley_retention_records_destroyed_total": r.records.Load,
		"parley_retention_secrets_destroyed_total": r.secrets.Load,
		"parley_retention_portions_total":          r.conversations.Load,
		"parley_retention_runs_total":              r.runs.Load,
		"parley_retention_failures_total":          r.failures.Load,
		"parley_retention_last_run_seconds":        r.lastRun.Load,
		"parley_retention_slowest_microseconds":    r.slowest.Load,
		"parley_retention_clock_waits":             r.waiting.Load,
		"parley_retention_held_conversations":      r.heldConversations,
	}
}
