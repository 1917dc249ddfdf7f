package web

import (
	"context"
	"strconv"
	"sync"
	"time"
)

const (
	noncesFor = 2 * signatureWindow // as long as a signature can be good
	noncesMax = 500_000             // of all accounts: what 800 signed requests a second leave
	// aheadStep is how exactly is kept until when signatures were taken.
	aheadStep   = 60
	aheadSaying = "api.signed_until"
)

// nonces are those of signed requests that were taken, in two halves: what was taken
// longer ago than a signature is good is forgotten half by half. They are in memory only:
// signatures from before the program's start are refused, and those that were made ahead
// of time are kept out by a mark in the store.
type nonces struct {
	mu       sync.Mutex // guards what follows
	young    map[string]bool
	old      map[string]bool
	turned   time.Time
	untilOf  map[string]int64 // by account: the latest time of a signature that was taken
	restored map[string]int64 // ... before this run
}

// first says whether a signature is taken for the first time, and remembers it.
func (a *API) first(ctx context.Context, c *caller, at time.Time, nonce string) error {
	if at.Before(a.started.Truncate(time.Second)) {
		return unknownError("signature: it is older than the server's run")
	}
	n := &a.nonces
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.restore(ctx, c); err != nil {
		return err
	}
	if at.Unix() <= n.restored[c.ID] {
		return unknownError("signature: it may have been taken before the server's start")
	}
	now := a.now()
	if now.Sub(n.turned) > noncesFor || len(n.young) >= noncesMax/2 {
		n.young, n.old, n.turned = make(map[string]bool), n.young, now
	}
	name := c.key + " " + nonce
	if n.young[name] || n.old[name] {
		return unknownError("signature: it was taken already")
	}
	if at.After(now) && at.Unix() > n.untilOf[c.ID] {
		until := (at.Unix()/aheadStep + 1) * aheadStep
		if err := c.Store.SetSetting(ctx, aheadSaying, strconv.FormatInt(until, 10)); err != nil {
			return err
		}
		n.untilOf[c.ID] = until
	}
	n.young[name] = true
	return nil
}

// restore reads until when signatures were taken before this run.
func (n *nonces) restore(ctx context.Context, c *caller) error {
	if n.restored == nil {
		n.restored, n.untilOf = make(map[string]int64), make(map[string]int64)
	}
	if _, known := n.restored[c.ID]; known {
		return nil
	}
	text, err := c.Store.Setting(ctx, aheadSaying)
	if err != nil && !isMissing(err) {
		return err
	}
	until, _ := strconv.ParseInt(text, 10, 64)
	n.restored[c.ID] = until
	return nil
}
