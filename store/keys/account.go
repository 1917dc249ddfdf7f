package keys

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

//go:embed migrations
var migrations embed.FS

// A Config says whose secrets to open, and where.
type Config struct {
	Dir     string // the keys' folder, which holds no data (VIV-11)
	Account string
	Root    seal.Key
	Other   seal.Key         // the other one while the root key is replaced, or zero
	Now     func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil logs nothing
}

// An Owner says what a secret belongs to. The numbers are part of the format on
// disk.
type Owner uint8

// What has secrets.
const (
	OfConversation Owner = 1
	OfAccount      Owner = 2
	OfAgent        Owner = 3
	OfPerson       Owner = 4 // by a number that is chance
)

// An ID names a secret.
type ID struct {
	Owner      Owner
	Number     int64 // of the conversation, agent or person
	Generation int64
}

// fieldSecret is the account's own secret, which seals what belongs to no
// conversation and no agent.
var fieldSecret = ID{Owner: OfAccount, Generation: 1}

// An Account holds one account's secrets. It is safe for concurrent use.
type Account struct {
	dir     string
	account string
	now     func() time.Time
	log     *slog.Logger
	pair    string
	field   *seal.Box
	index   seal.Key

	waiting struct {
		sync.Mutex
		creates []*create
	}

	mu      sync.Mutex // guards what follows; held through each commit
	db      *conn.Conn // nil while at rest
	root    seal.Key   // wraps new account keys
	other   seal.Key   // may have wrapped old ones
	file    *file
	boxes   map[int64]*seal.Box // by version of the account key
	commits int                 // since the last checkpoint
	closed  bool
}

// Open opens an account's secrets, and makes the files when there are none.
func Open(ctx context.Context, cfg Config) (*Account, error) {
	a, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open keys of account %q: %w", cfg.Account, err)
	}
	return a, nil
}

func open(ctx context.Context, cfg Config) (*Account, error) {
	if cfg.Account == "" || cfg.Account != filepath.Base(cfg.Account) || !filepath.IsLocal(cfg.Account) {
		return nil, fmt.Errorf("%q is no name for a file", cfg.Account)
	}
	a := &Account{dir: cfg.Dir, account: cfg.Account, root: cfg.Root, other: cfg.Other, now: cfg.Now, log: cfg.Log}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if err := conn.MakeDir(a.dir); err != nil {
		return nil, err
	}
	if err := a.openFile(); err != nil {
		return nil, err
	}
	if err := a.openDB(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// openFile reads the account key, or makes the first one.
func (a *Account) openFile() error {
	f, err := readFile(a.keyPath(), a.account)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = a.firstFile()
	}
	if err != nil {
		return err
	}
	a.file, a.boxes = f, make(map[int64]*seal.Box)
	for i := range f.Keys {
		box, err := f.Keys[i].unwrap(a.account, a.root, a.other)
		if err != nil {
			return fmt.Errorf("the root key does not open %s: it is another root key's, or damaged", a.keyPath())
		}
		a.boxes[f.Keys[i].Version] = box
	}
	return nil
}

func (a *Account) firstFile() (*file, error) {
	if _, err := os.Stat(a.dbPath()); err == nil {
		return nil, fmt.Errorf("%s is there, but the account key %s is missing", a.dbPath(), a.keyPath())
	}
	f := &file{Format: fileFormat, Account: a.account, Keys: []version{newVersion(&a.root, a.account, 1, a.now())}}
	return f, f.write(a.keyPath())
}

func (a *Account) openDB(ctx context.Context) error {
	db, err := a.connect()
	if err != nil {
		return err
	}
	if err := db.Migrate(migrations, "migrations"); err != nil {
		return fmt.Errorf("%s: %w", a.dbPath(), err)
	}
	if err := conn.DropCopies(a.dbPath(), a.now().Add(-conn.CopiesFor)); err != nil {
		return err
	}
	if a.pair, err = pairOf(db); err != nil {
		return err
	}
	k, err := a.Get(ctx, fieldSecret)
	if errors.Is(err, store.ErrNotFound) {
		var made []seal.Key
		if made, err = a.Create(ctx, fieldSecret); err == nil {
			k = made[0]
		}
	}
	if err != nil {
		return fmt.Errorf("the account's own secret: %w", err)
	}
	defer k.Wipe()
	a.field, a.index = seal.NewBox(&k, a.account, 0, fieldSecret.Generation), k.Index()
	return nil
}

// pairOf is a random name that this file and the data that belongs to it share.
func pairOf(db *conn.Conn) (pair string, err error) {
	err = db.InTx(func() error {
		if err := db.Exec("INSERT OR IGNORE INTO meta (name, value) VALUES ('pair', ?)", rand.Text()); err != nil {
			return err
		}
		_, err := db.One("SELECT value FROM meta WHERE name = 'pair'", nil, func(r conn.Row) { pair = r.Text(0) })
		return err
	})
	return pair, err
}

// connect opens the file if it is at rest. a.mu is held, or nobody else knows a.
func (a *Account) connect() (*conn.Conn, error) {
	if a.closed {
		return nil, store.ErrUnavailable
	}
	if a.db == nil {
		db, err := conn.Open(conn.Config{Path: a.dbPath(), Create: a.pair == "", Cache: 256})
		if err != nil {
			return nil, err
		}
		a.db = db
	}
	return a.db, nil
}

// Dir is the folder that holds the secrets.
func (a *Account) Dir() string { return a.dir }

// Pair is a random name that the data sealed with these secrets keeps, too, so that
// files which do not belong together are noticed.
func (a *Account) Pair() string { return a.pair }

// Field seals what belongs to no conversation and no agent, in every profile.
func (a *Account) Field() *seal.Box { return a.field }

// Index is the key of the account's blind indexes. It stays the same for ever.
func (a *Account) Index() seal.Key { return a.index }

// Rest closes the file until it is needed again.
func (a *Account) Rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.rest(); err != nil {
		a.log.Warn("keys did not close", "err", err)
	}
}

func (a *Account) rest() error {
	if a.db == nil {
		return nil
	}
	_, _, err := a.db.Checkpoint(conn.Truncate)
	err = errors.Join(err, a.db.Close())
	a.db, a.commits = nil, 0
	return err
}

// Close closes the file for good. It may be called twice.
func (a *Account) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	return a.rest()
}

// Delete deletes an account's secrets, and with them all that they sealed. The
// account is not open.
func Delete(dir, account string) error {
	base := filepath.Join(dir, account)
	var errs []error
	for _, suffix := range []string{".key", ".key.new", ".db", ".db-wal", ".db-shm"} {
		if err := os.Remove(base + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := conn.DropCopies(base+".db", time.Time{}); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, conn.SyncDir(dir))...)
}

// Exist says whether an account's keys are in a folder.
func Exist(dir, account string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, account+".key"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (a *Account) keyPath() string { return filepath.Join(a.dir, a.account+".key") }
func (a *Account) dbPath() string  { return filepath.Join(a.dir, a.account+".db") }
