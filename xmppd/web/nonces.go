package web

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

const (
	// noncesTurn is when the older half of a key's nonces is forgotten: whatever is in it is too
	// old to be good again, unless the clock was set back; what is gone sees to that.
	noncesTurn = 2 * signatureWindow
	noncesMax  = 100_000 // in a half; whoever sends more forgets sooner
	// markStep is how exactly the store knows of which times a key's signatures were taken, in
	// seconds. As long as that a client may have to wait after a restart.
	markStep    = 5
	markSetting = "api.signed_until." // and the key's id
	keysTracked = 10_000
)

// nonces are those of signed requests that were taken, by key.
type nonces struct {
	mu   sync.Mutex // guards what follows
	keys map[string]*keyNonces
}

// keyNonces are one key's. Of the times whose nonces are forgotten no signature is good any more:
// so nothing is taken twice, however full or restarted the server is, and whichever way its clock
// jumps. Other times stay good: a clock that was a day ahead for a while locks nobody out
// when it is right again.
type keyNonces struct {
	mu         sync.Mutex // guards what follows; may wait for the store
	loaded     bool
	gone       spans // signatures of these times may have been taken, and are not remembered
	marks      spans // what the store knows: no signature of other times was taken
	young, old half
	turned     time.Time
}

type half struct {
	taken map[[16]byte]struct{}
	span  // of their times
}

// of is where a key's nonces are.
func (n *nonces) of(key string) *keyNonces {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := n.keys[key]
	if k == nil {
		if n.keys == nil || len(n.keys) >= keysTracked {
			n.keys = make(map[string]*keyNonces) // the store's marks stand in for what is forgotten
		}
		k = new(keyNonces)
		n.keys[key] = k
	}
	return k
}

// first says whether a signature that was made at that time is taken for the first time, and
// remembers it.
func (a *API) first(ctx context.Context, c *caller, at int64, nonce string) error {
	k := a.nonces.of(c.key)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx, c, a.started.Unix()); err != nil {
		return err
	}
	k.turn(a.now())
	if gone, ok := k.gone.at(at); ok {
		return Refuse(SignAnew, "a request signed then may have been taken already").
			hint("the server was started, or has forgotten, since: sign it anew").
			after(time.Duration(max(1, gone.to-a.now().Unix()+1)) * time.Second)
	}
	hash := sha256.Sum256([]byte(nonce))
	name := [16]byte(hash[:16])
	if k.young.has(name) || k.old.has(name) {
		return unknownError("signature: it was taken already")
	}
	if _, known := k.marks.at(at); !known {
		marks := k.marks.with(span{at, (at/markStep + 1) * markStep})
		if err := c.Store.SetSetting(ctx, markSetting+c.key, marks.String()); err != nil {
			return err
		}
		k.marks = marks
	}
	k.young.take(name, at)
	return nil
}

func (h *half) has(name [16]byte) bool {
	_, ok := h.taken[name]
	return ok
}

func (h *half) take(name [16]byte, at int64) {
	if len(h.taken) == 0 {
		h.taken, h.span = make(map[[16]byte]struct{}), span{at, at}
	}
	h.taken[name] = struct{}{}
	h.from, h.to = min(h.from, at), max(h.to, at)
}

// load reads of which times signatures were taken before this run. Those from just before the
// start are none of the store's, if it was brought back from a copy.
func (k *keyNonces) load(ctx context.Context, c *caller, started int64) error {
	if k.loaded {
		return nil
	}
	text, err := c.Store.Setting(ctx, markSetting+c.key)
	if err != nil && !isMissing(err) {
		return err
	}
	if k.marks, err = parseSpans(text); err != nil {
		return fmt.Errorf("signatures of key %s: %w", c.key, err)
	}
	k.gone = k.marks.with(span{started - int64(noncesTurn/time.Second), started})
	k.loaded = true
	return nil
}

// turn forgets the older half when it is time, or too large, and when the clock has gone back: no
// half holds times of two clocks.
func (k *keyNonces) turn(now time.Time) {
	switch age := now.Sub(k.turned); {
	case k.turned.IsZero():
		k.turned = now
	case age > noncesTurn || age < 0 || len(k.young.taken) >= noncesMax:
		if len(k.old.taken) > 0 {
			k.gone = k.gone.with(k.old.span)
		}
		k.old, k.young = k.young, half{}
		k.turned = now
	}
}
