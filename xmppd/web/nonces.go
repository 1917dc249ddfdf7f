package web

import (
	"context"
	"crypto/sha256"
	"strconv"
	"sync"
	"time"
)

const (
	// noncesTurn is when the older half of a key's nonces is forgotten: whatever is in it is too
	// old to be good again, unless the clock was set back; the floor sees to that.
	noncesTurn = 2 * signatureWindow
	noncesMax  = 100_000 // in a half; whoever sends more forgets sooner
	// markStep is how exactly the store knows until when a key's signatures were taken, in
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

// keyNonces are one key's. What is forgotten raises the floor, and a signature that is not
// above the floor is refused: so nothing is taken twice, however full, restarted or wrong by
// the clock the server is.
type keyNonces struct {
	mu         sync.Mutex // guards what follows; may wait for the store
	loaded     bool
	floor      int64 // Unix seconds
	mark       int64 // what the store knows: no signature above it was taken
	young, old half
	turned     time.Time
}

type half struct {
	taken  map[[16]byte]struct{}
	latest int64 // of their times
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
	if at <= k.floor {
		r := Refuse(SignAnew, "a request signed then may have been taken already").
			hint("the server was started, or has forgotten, since: sign it anew")
		r.RetryAfter = time.Duration(k.floor-a.now().Unix()+1) * time.Second
		return r
	}
	k.turn(a.now())
	hash := sha256.Sum256([]byte(nonce))
	name := [16]byte(hash[:16])
	if k.young.has(name) || k.old.has(name) {
		return unknownError("signature: it was taken already")
	}
	if at > k.mark {
		mark := (at/markStep + 1) * markStep
		if err := c.Store.SetSetting(ctx, markSetting+c.key, strconv.FormatInt(mark, 10)); err != nil {
			return err
		}
		k.mark = mark
	}
	k.young.taken[name] = struct{}{}
	k.young.latest = max(k.young.latest, at)
	return nil
}

func (h *half) has(name [16]byte) bool {
	_, ok := h.taken[name]
	return ok
}

// load reads until when signatures were taken before this run.
func (k *keyNonces) load(ctx context.Context, c *caller, started int64) error {
	if k.loaded {
		return nil
	}
	text, err := c.Store.Setting(ctx, markSetting+c.key)
	if err != nil && !isMissing(err) {
		return err
	}
	k.mark, _ = strconv.ParseInt(text, 10, 64)
	k.floor, k.loaded = max(k.mark, started), true
	k.young.taken = make(map[[16]byte]struct{})
	return nil
}

// turn forgets the older half when it is time, or too large.
func (k *keyNonces) turn(now time.Time) {
	switch age := now.Sub(k.turned); {
	case k.turned.IsZero():
		k.turned = now
	case age > noncesTurn || age < 0 || len(k.young.taken) >= noncesMax:
		k.floor = max(k.floor, k.old.latest)
		k.old, k.young = k.young, half{taken: make(map[[16]byte]struct{})}
		k.turned = now
	}
}
