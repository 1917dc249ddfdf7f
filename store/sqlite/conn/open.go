package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// A Config says how to open a file.
type Config struct {
	Path string
	// Create makes the file, durably, if there is none; else that is an error. It is
	// for who opens the file first: what a crash left is made durable, too.
	Create bool
	// ReadOnly connections change nothing.
	ReadOnly bool
	// Cache is how many KiB of pages the connection may keep.
	Cache int
}

// settings hold for every connection. auto_vacuum must come before the first
// table, and the log before it; checkpoints are for whoever owns the file.
const settings = `
PRAGMA busy_timeout = 5000;
PRAGMA temp_store = MEMORY;
PRAGMA secure_delete = ON;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA wal_autocheckpoint = 0;
PRAGMA trusted_schema = OFF;
`

// Open opens a connection.
func Open(cfg Config) (*Conn, error) {
	c, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Path, err)
	}
	return c, nil
}

func open(cfg Config) (*Conn, error) {
	if err := ensure(cfg); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	// As a URI, so that no character of the path means anything to the driver.
	name := url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw&_mutex=no"}
	raw, err := new(sqlite3.SQLiteDriver).Open(name.String())
	if err != nil {
		return nil, err
	}
	c := &Conn{path: path, raw: raw.(*sqlite3.SQLiteConn), stmts: make(map[string]*statement)}
	if err := c.set(cfg); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if cfg.Create {
		// The write-ahead log is there now; both names must outlive a power cut.
		if err := SyncDir(filepath.Dir(path)); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func (c *Conn) set(cfg Config) error {
	if err := c.Script(settings); err != nil {
		return err
	}
	if err := c.Script(fmt.Sprintf("PRAGMA cache_size = -%d", max(cfg.Cache, 64))); err != nil {
		return err
	}
	if cfg.ReadOnly {
		return c.Script("PRAGMA query_only = ON")
	}
	return nil
}

// ensure makes sure that the file is there, or says that it isn't. SQLite would
// make one that all may read, and gives its companions the same mode.
//
// What a killed process had written to the log, but not synced, will count as kept
// from here on: it is synced before anybody reads it.
func ensure(cfg Config) error {
	switch _, err := os.Stat(cfg.Path); {
	case err == nil && cfg.Create:
		return syncLog(cfg.Path + "-wal")
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist) || !cfg.Create:
		return err
	}
	f, err := os.OpenFile(cfg.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// syncLog makes a write-ahead log durable, if there is one.
func syncLog(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// MakeDir makes a folder that only its owner may enter, durably, with those above
// it that are missing.
func MakeDir(dir string) error {
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		// Perhaps it was made just before a crash. A folder above it that we may not
		// read is not where we have made anything.
		if err := SyncDir(filepath.Dir(dir)); !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir:
		if err := MakeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		return MakeDir(dir)
	case err != nil:
		return err
	}
	return SyncDir(filepath.Dir(dir))
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
