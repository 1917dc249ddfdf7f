package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// DropFiles destroys what was made before then and belongs to no conversation.
func (a *Account) DropFiles(ctx context.Context, before time.Time) error {
	const some = 256
	for {
		var ids []string
		err := a.update(ctx, func(db *conn.Conn) (err error) {
			ids, err = fileIDs(db, "conversation = 0 AND made < ? LIMIT +?", toMilli(before), some)
			for _, id := range ids {
				if err == nil {
					err = db.Exec("DELETE FROM file WHERE id = ?", id)
				}
			}
			return err
		})
		if err == nil {
			err = a.removeFiles(ids)
		}
		if err != nil || len(ids) < some {
			return err
		}
	}
}

func fileIDs(db *conn.Conn, where string, args ...any) (ids []string, err error) {
	err = db.Query("SELECT id FROM file WHERE "+where, args, func(r conn.Row) error {
		ids = append(ids, r.Text(0))
		return nil
	})
	return ids, err
}

// filesOf are the ids of conversations' files.
func (a *Account) filesOf(ctx context.Context, conversations ...store.ConversationID) (ids []string, err error) {
	err = a.read(ctx, func(db *conn.Conn) error {
		for _, c := range conversations {
			some, err := fileIDs(db, "conversation = ?", int64(c))
			if err != nil {
				return err
			}
			ids = append(ids, some...)
		}
		return nil
	})
	return ids, err
}

// removeFiles deletes bytes that have no row any more.
func (a *Account) removeFiles(ids []string) (err error) {
	for _, id := range ids {
		if e := os.Remove(a.filePath(id)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// sweepFiles deletes what was begun, and bytes without a row. Nobody writes files yet.
func (a *Account) sweepFiles(ctx context.Context) error {
	if err := os.RemoveAll(a.newFiles()); err != nil {
		return err
	}
	there, err := fs.Glob(os.DirFS(a.filesDir()), "??/*") // the folder's own name is no pattern
	if err != nil || len(there) == 0 {
		return err
	}
	known := make(map[string]bool)
	if err := a.read(ctx, func(db *conn.Conn) error {
		ids, err := fileIDs(db, "true")
		for _, id := range ids {
			known[id] = true
		}
		return err
	}); err != nil {
		return err
	}
	for _, path := range there {
		if !known[filepath.Base(path)] {
			if err := os.Remove(filepath.Join(a.filesDir(), path)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sentFiles opens all files' rows, and reads all of their bytes.
func (v *verification) sentFiles(ctx context.Context) error {
	changed := tally{what: "files are not as they were written"}
	missing := tally{what: "files have no bytes: were they copied with the data?"}
	var ids []string
	if err := v.a.read(ctx, func(db *conn.Conn) (err error) {
		ids, err = fileIDs(db, "true")
		return err
	}); err != nil {
		return err
	}
	slices.Sort(ids)
	for _, id := range ids {
		switch err := v.a.checkFile(ctx, id); {
		case err == nil, errors.Is(err, store.ErrNotFound): // it was destroyed meanwhile
		case errors.Is(err, fs.ErrNotExist):
			missing.add(id)
		case errors.Is(err, store.ErrTampered), errors.Is(err, seal.ErrOpen):
			changed.add(id)
		default:
			return fmt.Errorf("file %q: %w", id, err)
		}
	}
	changed.tell(v)
	missing.tell(v)
	return nil
}

func (a *Account) checkFile(ctx context.Context, id string) error {
	row, err := a.fileRow(ctx, id)
	if err != nil {
		return err
	}
	key, err := a.unsealFile(ctx, &row)
	if err != nil {
		return err
	}
	defer key.Wipe()
	f, err := os.Open(a.filePath(id))
	if err != nil {
		if _, gone := a.fileRow(ctx, id); gone != nil {
			return gone
		}
		return err
	}
	defer f.Close()
	return seal.NewFileReader(f, seal.NewFileBox(&key, a.cfg.Account, id), row.Size).Check()
}
