package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"filippo.io/age"

	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/seal"
	"parley.im/parley/xmppd/panics"
)

// A Config says what is copied, where to, and how often.
type Config struct {
	Data, Keys string          // the installation's folders
	Spool      string          // a folder for what is on its way
	Accounts   func() []string // ids
	Settings   func() []string // files of the configuration, which hold no secrets

	Recipients  []age.Recipient
	Roots       func() []seal.Key // sign what is made; nil is nobody
	DataTargets []Target
	KeysTargets []Target
	Every       time.Duration // between increments, when something has changed
	FullAt      time.Duration // after midnight: when full pieces are made
	KeepData    time.Duration
	KeepKeys    time.Duration
	Stale       time.Duration // how old a target's newest copy may be

	// OnStale is told once when a target's newest copy is too old. It must not wait.
	OnStale func(k Kind, target string, age time.Duration)
	Program string           // which version makes the copies
	Now     func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil logs nothing
}

// A Keeper makes copies and brings them to their targets. It is safe for concurrent
// use. One process at a time has a spool.
type Keeper struct {
	cfg      Config
	spool    *spool
	couriers []*courier
	now      func() time.Time
	log      *slog.Logger

	making sync.Mutex // held while pieces are made, or removed from the spool; taken before mu
	chains map[string]*chain

	mu      sync.Mutex // guards what follows
	current map[Kind]*copied
	full    bool // something was lost: the next pieces must be full ones
	wake    chan struct{}
}

// A copied is the newest copy of a kind.
type copied struct {
	name     string
	text     []byte
	manifest *Manifest
	asOf     time.Time // what was kept before that is in it
}

// New prepares a keeper, which does nothing by itself before Run.
func New(cfg Config) (*Keeper, error) {
	k := &Keeper{
		cfg: cfg, now: cfg.Now, log: cfg.Log, chains: make(map[string]*chain), current: make(map[Kind]*copied),
		wake: make(chan struct{}, 1),
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if k.spool, err = openSpool(cfg.Spool); err != nil {
		return nil, fmt.Errorf("prepare the spool of copies: %w", err)
	}
	for kind, list := range map[Kind][]Target{Data: cfg.DataTargets, Keys: cfg.KeysTargets} {
		for _, t := range list {
			k.couriers = append(k.couriers, &courier{k: k, kind: kind, target: t, wake: make(chan struct{}, 1), fresh: k.now()})
		}
	}
	return k, nil
}

// watchEvery is how often the ages of copies are looked at.
const watchEvery = time.Second

// Run makes copies until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, c := range k.couriers {
		running.Go(func() { panics.Keep(ctx, k.log, "courier", c.run) })
	}
	running.Go(func() { panics.Keep(ctx, k.log, "watch", k.watch) })
	panics.Keep(ctx, k.log, "copies", k.makeAll)
}

// makeAll makes copies when it is time, and when it is woken.
func (k *Keeper) makeAll(ctx context.Context) {
	t := time.NewTicker(k.cfg.Every)
	defer t.Stop()
	for {
		if err := k.Make(ctx, false); err != nil && ctx.Err() == nil {
			k.log.Warn("not everything was copied", "err", err)
		}
		for _, c := range k.couriers {
			c.nudge()
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-k.wake:
		}
	}
}

// watch tells when a target's newest copy has become too old.
func (k *Keeper) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, c := range k.couriers {
			if age, tell := c.stale(); tell {
				k.log.Warn("the newest copy is too old", "target", c.target.Name(), "kind", string(c.kind),
					"age", age.Round(time.Second), "err", c.trouble())
				if k.cfg.OnStale != nil {
					k.cfg.OnStale(c.kind, c.target.Name(), age)
				}
			}
		}
	}
}

// Make makes the next pieces of all accounts, each one's data first, then its people and its keys,
// and a copy of them; full ones, where it is time or asked for. What fails for one
// account keeps nothing from the others.
func (k *Keeper) Make(ctx context.Context, full bool) error {
	k.making.Lock()
	defer k.making.Unlock()
	now := k.now()
	begun := now.UTC().Truncate(time.Millisecond)
	full = full || k.lacks()
	next := make(map[Kind]*Manifest)
	for _, kind := range []Kind{Data, Keys} {
		next[kind] = &Manifest{Format: manifestFormat, Kind: kind, Time: begun, Program: k.cfg.Program}
	}
	var errs []error
	whole := map[Kind]bool{Data: true, Keys: true}
	sources := k.sources()
	for _, src := range sources {
		target := Data
		if src.kind == Keys {
			target = Keys
		}
		c, err := k.extend(ctx, src, begun, full)
		if err != nil {
			errs = append(errs, fmt.Errorf("copy the %s of account %s: %w", src.kind, src.account, err))
			whole[target] = false
		}
		if c != nil {
			m := next[target]
			m.Chains = append(m.Chains, Chain{c.Kind, c.Account, c.Schema, c.asOf, c.Pieces})
		}
	}
	errs = append(errs, k.forget(sources))
	k.mu.Lock()
	defer k.mu.Unlock()
	if errors.Join(errs...) == nil {
		k.full = false
	}
	return errors.Join(append(errs, k.publish(next, whole, now))...)
}

// sources are what is copied, in the order in which it is.
func (k *Keeper) sources() []source {
	list := []source{{kind: settings, account: string(settings), audits: k.cfg.Data, below: "data/"}}
	for i, path := range k.cfg.Settings() {
		name := "parley.toml"
		if i > 0 {
			name = "accounts.d/" + filepath.Base(path)
		}
		list[0].files = append(list[0].files, onDisk{name, path})
	}
	for _, id := range k.cfg.Accounts() {
		dir := filepath.Join(k.cfg.Data, "accounts", id)
		if isMissing(stat(filepath.Join(dir, "data.db"))) && k.chains[string(Data)+"-"+id] == nil {
			continue // nobody has opened it yet
		}
		list = append(list,
			source{kind: Data, account: id, db: filepath.Join(dir, "data.db"), audits: dir})
		if db := filepath.Join(dir, people.File); !isMissing(stat(db)) || k.chains[string(People)+"-"+id] != nil {
			list = append(list, source{kind: People, account: id, db: db})
		}
		list = append(list,
			source{kind: Keys, account: id, db: filepath.Join(k.cfg.Keys, id+".db"), steady: true,
				files: []onDisk{{id + ".key", filepath.Join(k.cfg.Keys, id+".key")},
					{keys.ChangeFile, filepath.Join(k.cfg.Keys, keys.ChangeFile)}}}) // in this order: see store/keys/change.go
	}
	return list
}

func stat(path string) error {
	_, err := os.Stat(path)
	return err
}

// extend makes a source's next piece and answers its chain, which in case of an error
// is the one there was.
func (k *Keeper) extend(ctx context.Context, src source, now time.Time, full bool) (*chain, error) {
	key := string(src.kind) + "-" + src.account
	c := k.chains[key]
	if c == nil {
		var err error
		if c, err = k.spool.load(src.kind, src.account); err != nil {
			k.log.Warn("a full copy is made", "account", src.account, "err", err)
		}
	}
	if c != nil && k.due(c.Begun, now) {
		full = true
	}
	m := &maker{ctx: ctx, src: src, spool: k.spool, recipients: k.cfg.Recipients, now: now}
	next, err := m.extend(c, full)
	if err != nil {
		return c, err
	}
	k.chains[key] = next
	return next, nil
}

// due says whether the hour of full copies has come since then.
func (k *Keeper) due(since, now time.Time) bool {
	local := since.In(time.Local)
	hour := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.Local).Add(k.cfg.FullAt)
	if !hour.After(since) {
		hour = hour.AddDate(0, 0, 1)
	}
	return !now.Before(hour)
}

// forget drops the chains of accounts that are gone.
func (k *Keeper) forget(sources []source) error {
	for _, kind := range []Kind{Data, People, Keys} {
		accounts, err := k.spool.accounts(kind)
		if err != nil {
			return err
		}
		for _, id := range accounts {
			if slices.ContainsFunc(sources, func(s source) bool { return s.kind == kind && s.account == id }) {
				continue
			}
			delete(k.chains, string(kind)+"-"+id)
			if err := k.spool.forget(kind, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish makes copies of manifests, if they say anything new, and lets couriers have
// them. Data and keys get theirs together: a restore compares their times. How old they are is
// counted from now, which unlike a manifest's time holds the processor's own, so that a clock
// that goes back hides no old copy. k.mu is held.
func (k *Keeper) publish(next map[Kind]*Manifest, whole map[Kind]bool, now time.Time) error {
	var roots []seal.Key
	if k.cfg.Roots != nil {
		roots = k.cfg.Roots()
	}
	same := true
	for kind, m := range next {
		old := k.current[kind]
		same = same && old != nil && sameChains(old.manifest, m)
	}
	for kind, m := range next {
		old := k.current[kind]
		c := &copied{manifest: m, asOf: now}
		if old != nil {
			if !whole[kind] {
				c.asOf = old.asOf
			}
			m.Time = after(m.Time, old.manifest.Time)
		} else if !whole[kind] {
			c.asOf = time.Time{}
		}
		if same {
			c.name, c.text, c.manifest = old.name, old.text, old.manifest
		} else {
			var err error
			if c.name, c.text, err = m.encode(roots); err != nil {
				return err
			}
		}
		k.current[kind] = c
	}
	return nil
}

func sameChains(a, b *Manifest) bool {
	return slices.EqualFunc(a.Chains, b.Chains, func(x, y Chain) bool {
		return x.Kind == y.Kind && x.Account == y.Account && slices.Equal(x.Pieces, y.Pieces)
	})
}

// latest is the newest copy of a kind; nil if there is none yet.
func (k *Keeper) latest(kind Kind) *copied {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current[kind]
}

// lost says that a target lacks what the spool has no more: full pieces follow.
func (k *Keeper) lost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.full = true
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// lacks says whether full pieces are to follow.
func (k *Keeper) lacks() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.full
}

// tidy removes from the spool what every target has, or needs no more. While pieces are
// made it leaves that for later.
func (k *Keeper) tidy() error {
	if !k.making.TryLock() {
		return nil
	}
	defer k.making.Unlock()
	waiting := make(map[string]bool)
	for _, c := range k.couriers {
		latest := k.latest(c.kind)
		if latest == nil {
			return nil
		}
		for _, ch := range latest.manifest.Chains {
			for _, p := range ch.Pieces {
				if !c.holds(p) {
					waiting[p.Name] = true
				}
			}
		}
	}
	return k.spool.tidy(func(name string) bool { return waiting[name] })
}

// An Age says how old the newest copy on a target is.
type Age struct {
	Target string
	Kind   Kind
	Age    time.Duration
	Err    error // what the last try came to
}

// Ages are those of all targets: for how long what happens has not been there yet.
func (k *Keeper) Ages() []Age {
	list := make([]Age, len(k.couriers))
	for i, c := range k.couriers {
		list[i] = Age{c.target.Name(), c.kind, c.age(), c.trouble()}
	}
	return list
}

// Now makes copies and brings them to all targets. It answers what each target's came
// to; err is about the making.
func (k *Keeper) Now(ctx context.Context, full bool) (ages []Age, err error) {
	// The second time full pieces are made, where a target lacks what it had.
	for tries := 0; tries == 0 || tries == 1 && k.lacks(); tries++ {
		err = k.Make(ctx, full)
		var running sync.WaitGroup
		for _, c := range k.couriers {
			running.Go(func() { _ = c.try(ctx) }) // Ages tell what it came to
		}
		running.Wait()
	}
	return k.Ages(), err
}
