package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

//go:embed migrations
var migrations embed.FS

// Open opens an account's files, and makes them when there are none.
func Open(ctx context.Context, cfg Config) (*Account, error) {
	a, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open account %q: %w", cfg.Account, err)
	}
	return a, nil
}

func open(ctx context.Context, cfg Config) (*Account, error) {
	a := newAccount(cfg)
	if err := conn.MakeDir(cfg.Dir); err != nil {
		return nil, err
	}
	if err := apart(cfg.Dir, cfg.Keys.Dir()); err != nil {
		return nil, err
	}
	w := &writer{a: a}
	if err := w.prepare(); err != nil {
		w.rest()
		return nil, fmt.Errorf("%s: %w", a.path, err)
	}
	a.loops.Go(func() { a.writeLoop(w) })
	a.loops.Go(a.dispatchLoop)
	a.loops.Go(a.keepLoop)
	if err := a.ready(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func newAccount(cfg Config) *Account {
	a := &Account{cfg: cfg, path: filepath.Join(cfg.Dir, "data.db"), now: cfg.Now, log: cfg.Log}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.untidy.Store(true)
	a.Retain(cfg.Retention)
	a.queue.wake = make(chan struct{}, 1)
	a.decided, a.free = make(chan *group, pipeline), make(chan *group, pipeline)
	for range pipeline {
		a.free <- new(group)
	}
	a.pool.slots = make(chan struct{}, readers)
	a.keeper.long, a.keeper.shorter, a.keeper.stop = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	return a
}

// apart refuses keys that lie beside the data, or in a folder of it: whoever copies the
// one must not get the other with it (VIV-11).
func apart(data, keys string) error {
	d, err := resolve(data)
	if err != nil {
		return err
	}
	k, err := resolve(keys)
	if err != nil {
		return err
	}
	if k == d || strings.HasPrefix(k, d+string(filepath.Separator)) {
		return fmt.Errorf("the keys are in the data's folder %s: they must be kept apart", data)
	}
	return nil
}

func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// prepare opens the file, brings it up to date, and fills what the writer knows.
func (w *writer) prepare() error {
	db, err := conn.Open(conn.Config{Path: w.a.path, Create: true, Cache: writerCache})
	if err != nil {
		return err
	}
	w.db = db
	if err := db.Migrate(migrations, "migrations"); err != nil {
		return err
	}
	if err := conn.DropCopies(w.a.path, w.a.now().Add(-conn.CopiesFor)); err != nil {
		return err
	}
	if err := db.InTx(func() error { return w.a.belong(db) }); err != nil {
		return err
	}
	if err := w.a.openLedger(db); err != nil {
		return err
	}
	if err := w.remember(); err != nil {
		return err
	}
	w.publish()
	return w.a.lastIDs(db)
}

// belong makes sure that the file is this account's, and that the keys are its own:
// new data with old keys would take all of them for orphans.
func (a *Account) belong(db *conn.Conn) error {
	meta := make(map[string]string)
	if err := db.Query("SELECT name, value FROM meta", nil, func(r conn.Row) error {
		meta[r.Text(0)] = r.Text(1)
		return nil
	}); err != nil {
		return err
	}
	switch {
	case meta["account"] == "":
		used := false
		for _, owner := range []keys.Owner{keys.OfConversation, keys.OfAgent} {
			if err := a.cfg.Keys.All(context.Background(), owner, func(keys.ID) { used = true }); err != nil {
				return err
			}
		}
		if used {
			return fmt.Errorf("it is new, but %s holds keys of older data: is this the right folder?", a.cfg.Keys.Dir())
		}
		if err := db.Exec("INSERT INTO meta (name, value) VALUES ('account', ?), ('pair', ?)",
			a.cfg.Account, a.cfg.Keys.Pair()); err != nil {
			return err
		}
	case meta["account"] != a.cfg.Account:
		return fmt.Errorf("it is account %q's, not %q's", meta["account"], a.cfg.Account)
	case meta["pair"] != a.cfg.Keys.Pair():
		return fmt.Errorf("the keys in %s are not those that belong to it", a.cfg.Keys.Dir())
	}
	return nil
}

// remember finds the newest ordinal, and reads the log's tail: the times since the last
// complete span, and what may come again.
func (w *writer) remember() (err error) {
	w.newest, err = w.db.Number(`SELECT max(
		coalesce((SELECT max(ordinal) FROM log), 0),
		coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'newest'), 0))`)
	if err != nil {
		return err
	}
	last, err := w.db.Number("SELECT at FROM log ORDER BY ordinal DESC LIMIT 1")
	if err != nil {
		return err
	}
	w.a.written = fromMilli(last)
	if err := w.db.Query("SELECT at FROM log WHERE ordinal > ?", []any{w.newest - w.newest%spanSize}, func(r conn.Row) error {
		w.span.add(r.Int(0))
		return nil
	}); err != nil {
		return err
	}
	return w.recall()
}

// recall fills the repeats with the last ten minutes'. Records are not quite in the
// order of their own times, so it stops only where as many as a span are older.
func (w *writer) recall() error {
	since := w.a.now().UnixMilli() - repeatFor
	older := 0
	var marks []int64
	var all []seen
	err := w.db.Query("SELECT ordinal, n, at, repeat FROM log ORDER BY ordinal DESC LIMIT +?", []any{repeatMax}, func(r conn.Row) error {
		if r.Int(2) <= since {
			if older++; older > spanSize {
				return errEnough
			}
			return nil
		}
		older = 0
		if mark := r.Int(3); mark != 0 {
			marks = append(marks, mark)
			all = append(all, seen{ordinal: r.Int(0), n: r.Int(1), at: r.Int(2)})
		}
		return nil
	})
	for i := len(marks) - 1; i >= 0; i-- {
		w.repeats.add(marks[i], all[i])
	}
	return notEnough(err)
}

// lastIDs finds which ids were given, also to what came to nothing.
func (a *Account) lastIDs(db *conn.Conn) error {
	conversation, err := db.Number("SELECT max(id) FROM conversation")
	if err != nil {
		return err
	}
	agent, err := db.Number("SELECT max(seq) FROM sqlite_sequence WHERE name = 'agent'")
	if err != nil {
		return err
	}
	for owner, last := range map[keys.Owner]*int64{keys.OfConversation: &conversation, keys.OfAgent: &agent} {
		if err := a.cfg.Keys.All(context.Background(), owner, func(id keys.ID) { *last = max(*last, id.Number) }); err != nil {
			return err
		}
	}
	a.nextConversation.Store(conversation)
	a.nextAgent.Store(agent)
	return nil
}

// ready ends what a crash left unfinished and makes what every account has.
func (a *Account) ready(ctx context.Context) error {
	id, err := a.Secret(ctx, "id", 32)
	if err != nil {
		return err
	}
	if a.ids, err = newArchiveIDs(id); err != nil {
		return err
	}
	index, err := a.Secret(ctx, "index", 32)
	if err != nil {
		return err
	}
	a.marker = newMarker(index)
	if a.journal, err = a.load(ctx, store.Journal, pair{}); err == nil && a.journal == nil {
		a.journal, err = a.make(ctx, store.Journal, pair{})
	}
	if err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	if err := a.notice(ctx); err != nil {
		return err
	}
	// Secrets that nothing knows go first: where an older log was put beside newer keys, one
	// of them would stand in the place of the journal's next.
	return a.sweep(ctx)
}

// start runs do beside the caller, unless the account is closing.
func (a *Account) start(do func()) bool {
	a.queue.mu.Lock()
	defer a.queue.mu.Unlock()
	if a.queue.closed {
		return false
	}
	a.tasks.Go(do)
	return true
}

// shut closes in the order in which nothing is lost: no more writes, those that wait are
// decided and told, and then the files.
func (a *Account) shut() error {
	a.keeper.end()
	a.deliveries.end()
	a.later.end()
	a.keepLater()
	a.queue.flag(&a.queue.closed)
	a.loops.Wait()
	a.tasks.Wait()
	if err := a.anchor(context.Background()); err != nil {
		a.log.Warn("how far the log has come is not known elsewhere", "err", err)
	}
	a.pool.end()
	err := a.checkpoint(conn.Truncate)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // the account's files were deleted
	}
	if err != nil {
		return fmt.Errorf("close account %q: %w", a.cfg.Account, err)
	}
	return nil
}
