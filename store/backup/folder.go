package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"parley.im/parley/store/sqlite/conn"
)

// A folder is a target on a disk of its own, perhaps another machine's. It must be
// there: one that is made where a disk should have been mounted would fill this one.
type folder struct{ dir string }

// partly begins the names of what is being written.
const partly = ".partly-"

// Name is the folder.
func (f *folder) Name() string { return f.dir }

func (f *folder) path(name string) (string, error) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		return "", fmt.Errorf("%q is no name for a copy", name)
	}
	return filepath.Join(f.dir, local), nil
}

// Put writes beside the name and renames when all is on the disk.
func (f *folder) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(f.dir); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := conn.MakeDir(dir); err != nil {
		return err
	}
	// What an earlier try has left has the same name, and is overwritten.
	half := filepath.Join(dir, partly+filepath.Base(path))
	w, err := os.OpenFile(half, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, &untilDone{ctx, r})
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		return errors.Join(err, os.Remove(half))
	}
	if err := os.Rename(half, path); err != nil {
		return err
	}
	return conn.SyncDir(dir)
}

// Get opens a file.
func (f *folder) Get(_ context.Context, name string) (io.ReadCloser, error) {
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// List walks the folder.
func (f *folder) List(ctx context.Context, prefix string, each func(string, int64)) error {
	if _, err := os.Stat(f.dir); err != nil {
		return err
	}
	root, err := f.path(filepath.Join(".", prefix))
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if isMissing(err) {
			return nil // deleted meanwhile, or there is none yet
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if !d.Type().IsRegular() || strings.HasPrefix(d.Name(), partly) {
			return nil
		}
		rel, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if isMissing(err) {
			return nil
		}
		if err == nil {
			each(filepath.ToSlash(rel), info.Size())
		}
		return err
	})
}

// Delete removes a file, and the folders that are empty then.
func (f *folder) Delete(_ context.Context, name string) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !isMissing(err) {
		return err
	}
	for dir := filepath.Dir(path); dir != f.dir; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break // it holds something
		}
	}
	return nil
}

// untilDone reads until its context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

// Read reads, unless it is too late.
func (u *untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}
