package people

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

//go:embed migrations
var migrations embed.FS

// File is the name of the file, in the account's folder.
const File = "people.db"

// A Config says whose people to keep, and where.
type Config struct {
	Dir, Account string
	Keys         *keys.Account
	Now          func() time.Time // nil is time.Now
	Log          *slog.Logger     // nil logs nothing
	Idle         time.Duration    // when the file is closed for a while; 0 is never
}

// Prefix is what internal ids of people begin with.
const Prefix = "p_"

// A Said is what a shop says of somebody.
type Said struct {
	Subject string // the shop's own name for them, never used again
	Name    string `json:",omitempty"`
	Email   string `json:",omitempty"`
	Phone   string `json:",omitempty"`
}

// A Person is somebody of whom a shop has said who it is.
type Person struct {
	ID string
	Said
	Made time.Time // when the shop said it first
	Seen time.Time // ... and last, to the hour
}

// People are an account's. They are safe for concurrent use.
type People struct {
	cfg   Config
	path  string
	index seal.Key

	pending atomic.Int64 // erasures that are not done

	mu     sync.Mutex // guards what follows; held while the file is used
	db     *conn.Conn // nil while at rest
	idle   *time.Timer
	closed bool
}

// Open opens an account's people, and makes the file when there is none. What a crash has left
// is ended.
func Open(ctx context.Context, cfg Config) (*People, error) {
	p := &People{cfg: cfg, path: filepath.Join(cfg.Dir, File), index: cfg.Keys.Index()}
	if p.cfg.Now == nil {
		p.cfg.Now = time.Now
	}
	if p.cfg.Log == nil {
		p.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := p.open(ctx); err != nil {
		return nil, fmt.Errorf("open the people of account %q: %w", cfg.Account, errors.Join(err, p.Close()))
	}
	return p, nil
}

func (p *People) open(ctx context.Context) error {
	if err := conn.MakeDir(p.cfg.Dir); err != nil {
		return err
	}
	db, err := conn.Open(conn.Config{Path: p.path, Create: true, Cache: 256})
	if err != nil {
		return err
	}
	p.db = db
	if err := db.Migrate(migrations, "migrations"); err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	if err := conn.DropCopies(p.path, p.cfg.Now().Add(-conn.CopiesFor)); err != nil {
		return err
	}
	if err := db.InTx(func() error { return p.belong(ctx, db) }); err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return errors.Join(p.sweep(ctx), p.count(db))
}

// belong makes sure that the file is this account's, and that the keys are its own: with an
// empty file all of them would be orphans.
func (p *People) belong(ctx context.Context, db *conn.Conn) error {
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
		if err := p.cfg.Keys.All(ctx, keys.OfPerson, func(keys.ID) { used = true }); err != nil {
			return err
		}
		if used {
			return fmt.Errorf("it is new, but %s holds keys of people who were kept: put the file back, from a copy", p.cfg.Keys.Dir())
		}
		return db.Exec("INSERT INTO meta (name, value) VALUES ('account', ?), ('pair', ?)", p.cfg.Account, p.cfg.Keys.Pair())
	case meta["account"] != p.cfg.Account:
		return fmt.Errorf("it is account %q's, not %q's", meta["account"], p.cfg.Account)
	case meta["pair"] != p.cfg.Keys.Pair():
		return fmt.Errorf("the keys in %s are not those that belong to it", p.cfg.Keys.Dir())
	}
	return nil
}

// sweep destroys the secrets of nobody.
func (p *People) sweep(ctx context.Context) error {
	known := make(map[int64]bool)
	if err := p.db.Query("SELECT number FROM person", nil, func(r conn.Row) error {
		known[r.Int(0)] = true
		return nil
	}); err != nil {
		return err
	}
	var orphans []keys.ID
	if err := p.cfg.Keys.All(ctx, keys.OfPerson, func(id keys.ID) {
		if !known[id.Number] {
			orphans = append(orphans, id)
		}
	}); err != nil {
		return err
	}
	return p.cfg.Keys.Sweep(ctx, orphans)
}

// use runs do with the file, which is opened if it is at rest.
func (p *People) use(do func(*conn.Conn) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return store.ErrUnavailable
	}
	if p.db == nil {
		db, err := conn.Open(conn.Config{Path: p.path, Cache: 256})
		if err != nil {
			return err
		}
		p.db = db
	}
	switch {
	case p.cfg.Idle == 0:
	case p.idle == nil:
		p.idle = time.AfterFunc(p.cfg.Idle, p.rest)
	default:
		p.idle.Reset(p.cfg.Idle)
	}
	return reason(do(p.db))
}

// reason gives what SQLite says the store's own words.
func reason(err error) error {
	if conn.NoRoom(err) {
		return fmt.Errorf("%w: %v", store.ErrFull, err)
	}
	return err
}

func (p *People) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.shut(); err != nil {
		p.cfg.Log.Warn("the file of people did not close", "err", err)
	}
}

func (p *People) shut() error {
	if p.db == nil {
		return nil
	}
	_, _, err := p.db.Checkpoint(conn.Truncate)
	err = errors.Join(err, p.db.Close())
	p.db = nil
	return err
}

// Close closes the file for good. It may be called twice.
func (p *People) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.idle != nil {
		p.idle.Stop()
	}
	return p.shut()
}

// A row is one of the table person.
type row struct {
	number, made, seen, version int64
	id                          string
	data                        []byte
}

const columns = "p.number, p.id, p.made, p.seen, p.version, p.data"

func scan(r conn.Row) row {
	return row{number: r.Int(0), id: r.Text(1), made: r.Int(2), seen: r.Int(3), version: r.Int(4), data: r.Blob(5)}
}

func secretOf(number int64) keys.ID {
	return keys.ID{Owner: keys.OfPerson, Number: number, Generation: 1}
}

// place binds what is sealed of somebody to their row.
func (r *row) place() *seal.Place {
	return &seal.Place{N: r.version, Actor: r.number, At: r.made, Field: "person " + r.id}
}

func (p *People) box(secret *seal.Key, number int64) *seal.Box {
	return seal.NewBox(secret, p.cfg.Account, number, 1)
}

// unseal is the person of a row. It is ErrTampered where that is not what was written, and
// ErrNotFound where the secret is gone.
func (p *People) unseal(ctx context.Context, r *row) (who Person, err error) {
	who = Person{ID: r.id, Made: time.UnixMilli(r.made).UTC(), Seen: time.UnixMilli(r.seen).UTC()}
	secret, err := p.cfg.Keys.Get(ctx, secretOf(r.number))
	if err != nil {
		return who, err
	}
	defer secret.Wipe()
	plain, err := p.box(&secret, r.number).Open(nil, r.data, r.place())
	if err == nil {
		defer clear(plain)
		err = json.Unmarshal(plain, &who.Said)
	}
	if err != nil {
		p.cfg.Log.Error("who a visitor is was changed outside the server", "id", r.id)
		return who, fmt.Errorf("visitor %s: %w", r.id, store.ErrTampered)
	}
	return who, nil
}

var idCode = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID makes an internal id, and the number of a secret: chance, both.
func newID() (id string, number int64) {
	var random [15 + 8]byte
	_, _ = rand.Read(random[:]) // it never fails
	return Prefix + idCode.EncodeToString(random[:15]), int64(binary.BigEndian.Uint64(random[15:]) >> 1)
}
