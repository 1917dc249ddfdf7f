package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// A courier brings copies to one target, in tries of its own.
type courier struct {
	k      *Keeper
	kind   Kind
	target Target
	wake   chan struct{}

	working sync.Mutex           // held while it is on its way, and guards what follows; taken before mu
	has     string               // the manifest that was brought last
	pruned  time.Time            // when what is too old was looked for
	files   map[fileKey]struct{} // that people have sent, and are there; nil is unknown

	mu      sync.Mutex       // guards what follows
	objects map[string]int64 // what is there, with its size; nil is unknown
	fresh   time.Time        // what happened before that is there
	failed  error            // of the last try
	told    bool             // that the copy is too old
}

// How long to wait after a try that failed, and how long a try may take: a peer that
// stands still is given up, one that is slow is not.
const (
	firstWait   = 2 * time.Second
	longestWait = time.Minute
	putPatience = 2 * time.Minute
	slowest     = 64 << 10 // bytes a second
	askPatience = 2 * time.Minute
)

// How often is looked for what is too old: keys are to be gone in time.
const (
	pruneData = 24 * time.Hour
	pruneKeys = time.Hour
)

func (c *courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run brings what there is whenever there is something new, until ctx ends.
func (c *courier) run(ctx context.Context) {
	wait := firstWait
	again := time.NewTimer(wait)
	defer again.Stop()
	again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-again.C:
		}
		if c.try(ctx) == nil {
			again.Stop()
			wait = firstWait
			continue
		}
		again.Reset(wait)
		wait = min(2*wait, longestWait)
	}
}

// try brings what there is, and keeps what it came to.
func (c *courier) try(ctx context.Context) error {
	c.working.Lock()
	defer c.working.Unlock()
	err := c.deliver(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	before := c.trouble()
	c.mu.Lock()
	c.failed = err
	if err != nil && !errors.Is(err, errUnread) {
		c.objects, c.files = nil, nil // who knows what is there
	}
	c.mu.Unlock()
	switch {
	case err != nil && before == nil:
		c.k.log.Warn("a copy is not where it should be", "target", c.target.Name(), "kind", string(c.kind), "err", err)
	case err == nil && before != nil:
		c.k.log.Info("copies reach the target again", "target", c.target.Name(), "kind", string(c.kind))
	}
	if err := c.k.tidy(); err != nil {
		c.k.log.Warn("the spool of copies is not tidied", "err", err)
	}
	return err
}

// deliver brings the newest copy: its pieces, and then its manifest.
func (c *courier) deliver(ctx context.Context) error {
	if err := c.learn(ctx); err != nil {
		return err
	}
	for {
		latest := c.k.latest(c.kind)
		if latest == nil {
			return nil
		}
		if c.has == latest.name && c.holds(Piece{Name: latest.name, Size: int64(len(latest.text))}) {
			if err := c.stillThere(ctx, latest); err != nil {
				c.has = "" // the next try brings it again
				return err
			}
		} else if err := c.bring(ctx, latest); err != nil {
			if c.k.latest(c.kind) != latest && isMissing(err) {
				continue // there is a newer one, and this one's pieces are gone
			}
			return err
		}
		c.delivered(latest)
		files := c.bringFiles(ctx, latest)
		if now := c.k.latest(c.kind); files != nil || now.name == latest.name {
			// A target that has no room for files gets some by this.
			return errors.Join(files, c.prune(ctx, latest))
		}
	}
}

// learn asks the target once what it has.
func (c *courier) learn(ctx context.Context) error {
	c.mu.Lock()
	known := c.objects != nil
	c.mu.Unlock()
	if known {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, askPatience)
	defer stop()
	objects := make(map[string]int64)
	var newest time.Time
	for _, kind := range []string{string(Data), string(Keys), string(People), string(settings), "manifests"} {
		err := c.target.List(ctx, kind+"/", func(name string, size int64) {
			objects[name] = size
			if t, ok := manifestTime(name); ok && t.After(newest) {
				newest = t
			}
		})
		if err != nil {
			return fmt.Errorf("list what is there: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.objects = objects; c.has == "" && !newest.IsZero() && newest.Before(c.fresh) {
		c.fresh = newest // as an earlier run of the program left it
	}
	return nil
}

// holds says whether the target is known to have a piece.
func (c *courier) holds(p Piece) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	size, ok := c.objects[p.Name]
	return ok && size == p.Size
}

// stillThere asks for the newest manifest when there is nothing to bring, so that a
// target which has gone, or was emptied, is noticed.
func (c *courier) stillThere(ctx context.Context, latest *copied) error {
	ctx, stop := context.WithTimeout(ctx, askPatience)
	defer stop()
	r, err := c.target.Get(ctx, latest.name)
	if err != nil {
		return fmt.Errorf("look for the newest copy: %w", err)
	}
	defer r.Close()
	text, err := limited(r, int64(len(latest.text)))
	if err == nil && !bytes.Equal(text, latest.text) {
		err = errManifest
	}
	if err != nil {
		return fmt.Errorf("look for the newest copy: %s: %w", latest.name, err)
	}
	return nil
}

func (c *courier) bring(ctx context.Context, latest *copied) error {
	for _, ch := range latest.manifest.Chains {
		for _, p := range ch.Pieces {
			if c.holds(p) {
				continue
			}
			if err := c.bringPiece(ctx, p); err != nil {
				return err
			}
		}
	}
	return c.put(ctx, latest.name, bytes.NewReader(latest.text), int64(len(latest.text)))
}

func (c *courier) bringPiece(ctx context.Context, p Piece) error {
	f, err := os.Open(c.k.spool.piece(p.Name))
	if err != nil {
		if isMissing(err) {
			c.k.lost()
		}
		return err
	}
	defer f.Close()
	return c.put(ctx, p.Name, f, p.Size)
}

func (c *courier) put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := c.send(ctx, name, r, size); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects[name] = size
	return nil
}

func (c *courier) send(ctx context.Context, name string, r io.Reader, size int64) error {
	ctx, stop := context.WithTimeoutCause(ctx, putPatience+time.Duration(size/slowest)*time.Second, errSlow)
	defer stop()
	if err := c.target.Put(ctx, name, r, size); err != nil {
		if context.Cause(ctx) == errSlow {
			err = errSlow
		}
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

var errSlow = errors.New("the target is too slow")

func (c *courier) delivered(latest *copied) {
	c.has = latest.name
	c.mu.Lock()
	defer c.mu.Unlock()
	if latest.asOf.After(c.fresh) {
		c.fresh, c.told = latest.asOf, false
	}
}

// prune deletes what is too old: chains that the newest copy does not have, and the
// manifests of such. A chain of keys goes by its beginning, since all that it began with
// is in it until its end; one of data by its last piece.
func (c *courier) prune(ctx context.Context, latest *copied) error {
	every, keep := pruneData, c.k.cfg.KeepData
	if c.kind == Keys {
		every, keep = pruneKeys, c.k.cfg.KeepKeys
	}
	now := c.k.now()
	if now.Sub(c.pruned).Abs() < every {
		return nil
	}
	for _, name := range c.tooOld(latest, now.Add(-keep)) {
		ask, stop := context.WithTimeout(ctx, askPatience)
		err := c.target.Delete(ask, name)
		stop()
		if err != nil {
			return fmt.Errorf("delete what is too old: %s: %w", name, err)
		}
		c.mu.Lock()
		delete(c.objects, name)
		c.mu.Unlock()
	}
	if c.kind == Data {
		if err := c.pruneFiles(ctx, now); err != nil {
			return err
		}
	}
	c.pruned = now
	return nil
}

// chainLife is how long manifests may name a chain: until the next night, and a little.
const chainLife = 25 * time.Hour

// tooOld names what can go, manifests first, so that none is left without its pieces.
func (c *courier) tooOld(latest *copied, before time.Time) []string {
	live := make(map[string]bool)
	for _, ch := range latest.manifest.Chains {
		p, _ := parsePieceName(ch.Pieces[0].Name)
		live[p.chain] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := make(map[string]time.Time)
	for name := range c.objects {
		p, ok := parsePieceName(name)
		switch {
		case !ok:
		case c.kind == Keys:
			ends[p.chain] = p.begun
		default:
			ends[p.chain] = latestOf(ends[p.chain], p.time, p.begun.Add(chainLife))
		}
	}
	manifestsBefore := before
	if c.kind == Keys {
		// Nobody needs old ones: a restore takes the newest keys there are.
		manifestsBefore = before.Add(chainLife)
	}
	var manifests, pieces []string
	for name := range c.objects {
		if p, ok := parsePieceName(name); ok && !live[p.chain] && ends[p.chain].Before(before) {
			pieces = append(pieces, name)
		}
		if t, ok := manifestTime(name); ok && name != latest.name && t.Before(manifestsBefore) {
			manifests = append(manifests, name)
		}
	}
	return append(manifests, pieces...)
}

func latestOf(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

func (c *courier) age() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.k.now().Sub(c.fresh), 0)
}

func (c *courier) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// stale says, once, that the newest copy is too old.
func (c *courier) stale() (age time.Duration, tell bool) {
	age = c.age()
	c.mu.Lock()
	defer c.mu.Unlock()
	tell = age > c.k.cfg.Stale && !c.told
	c.told = c.told || tell
	return age, tell
}
