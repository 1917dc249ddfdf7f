package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CopiesFor is how long a copy that was made before a migration is left, for whoever has
// to go back to the program of before.
const CopiesFor = 7 * 24 * time.Hour

// before is the name of the copy that is made before a migration to a schema. One that is
// being made has another end.
func before(path string, schema int) string { return fmt.Sprintf("%s.before-%04d", path, schema) }

const unfinished = ".part"

// copyBefore makes a copy of the file beside it: whole or not at all, and in place of
// an earlier one of that name, which a migration that came to nothing has left.
func (c *Conn) copyBefore(schema int) (err error) {
	to := before(c.path, schema)
	part := to + unfinished
	if err := remove(part); err != nil {
		return err
	}
	// SQLite writes into a file that is empty, and would make one that all may read.
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove(part))
		}
	}()
	err = c.Exec("VACUUM INTO ?", part)
	if NoRoom(err) {
		err = fmt.Errorf("there is no room for it in %s: %w", filepath.Dir(to), err)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// Copies are those that were made of a file before migrations, unfinished ones included.
func Copies(path string) (all []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)+".before-") {
			all = append(all, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return all, nil
}

// DropCopies deletes, durably, those copies of a file that are older than until; of the
// zero time, all. Unfinished ones go in any case.
func DropCopies(path string, until time.Time) error {
	all, err := Copies(path)
	if err != nil {
		return err
	}
	dropped := false
	for _, name := range all {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !until.IsZero() && !info.ModTime().Before(until) && !strings.HasSuffix(name, unfinished) {
			continue
		}
		if err := remove(name); err != nil {
			return err
		}
		dropped = true
	}
	if !dropped {
		return nil
	}
	return SyncDir(filepath.Dir(path))
}

// remove deletes a file, if it is there.
func remove(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
