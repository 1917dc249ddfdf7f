package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A file's bytes lie beside the data, sealed, under its id. They are durable before its row is, and go after it: bytes
// without a row are of no use to anybody, and the next start deletes them.

// sealedFile is what a file's row seals.
type sealedFile struct {
	Key  []byte `json:"key"`
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size"` // so that a changed column is noticed
}

func (a *Account) filesDir() string { return filepath.Join(a.cfg.Dir, "files") }

// newFiles is where files are written until they are whole.
func (a *Account) newFiles() string { return filepath.Join(a.filesDir(), "new") }

func (a *Account) filePath(id string) string { return filepath.Join(a.filesDir(), id[:2], id) }

// A draft is a store.Draft.
type draft struct {
	a    *Account
	id   string
	key  seal.Key
	box  *seal.FileBox
	file *os.File
	w    *seal.FileWriter
	err  error // of its end
	over bool  // all was written
	kept bool
}

// NewFile begins a file.
func (a *Account) NewFile(ctx context.Context, id string) (store.Draft, error) {
	d, err := a.newFile(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("begin file %q: %w", id, full(err))
	}
	return d, nil
}

func (a *Account) newFile(ctx context.Context, id string) (*draft, error) {
	if !goodFileID(id) {
		return nil, errors.New("an id is 2 to 64 letters and digits")
	}
	if n, err := a.number(ctx, "SELECT count(*) FROM file WHERE id = ?", id); err != nil || n > 0 {
		return nil, orConflict(err)
	}
	if err := conn.MakeDir(a.newFiles()); err != nil {
		return nil, err
	}
	d := &draft{a: a, id: id, key: seal.NewKey()}
	f, err := os.OpenFile(filepath.Join(a.newFiles(), id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		err = orConflict(nil) // somebody writes it
	}
	if err != nil {
		return nil, err
	}
	d.file, d.box = f, seal.NewFileBox(&d.key, a.cfg.Account, id)
	d.w = seal.NewFileWriter(f, d.box)
	return d, nil
}

func goodFileID(id string) bool {
	if len(id) < 2 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func orConflict(err error) error {
	if err == nil {
		return store.ErrConflict
	}
	return err
}

// full says that there is no room, if that is why.
func full(err error) error {
	for _, why := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS} {
		if errors.Is(err, why) {
			return fmt.Errorf("%w: %w", store.ErrFull, err)
		}
	}
	return err
}

func (d *draft) Write(p []byte) (int, error) {
	if d.over {
		return 0, fs.ErrClosed
	}
	n, err := d.w.Write(p)
	return n, full(err)
}

func (d *draft) end() error {
	if !d.over {
		d.over, d.err = true, full(d.w.Close())
	}
	return d.err
}

// Open reads what was written.
func (d *draft) Open() (io.ReadSeekCloser, error) {
	if err := d.end(); err != nil {
		return nil, err
	}
	f, err := os.Open(d.file.Name())
	if err != nil {
		return nil, err
	}
	return openedFile(f, d.box, d.w.Size()), nil
}

// Keep makes it a file.
func (d *draft) Keep(ctx context.Context, f store.File, told ...store.Op) error {
	f.ID, f.Size = d.id, d.w.Size()
	err := d.end()
	if err == nil {
		err = d.keep(context.WithoutCancel(ctx), &f, told)
	}
	if err != nil {
		return fmt.Errorf("keep file %q: %w", d.id, full(err))
	}
	return nil
}

func (d *draft) keep(ctx context.Context, f *store.File, told []store.Op) error {
	path := d.a.filePath(d.id)
	if err := conn.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := d.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(d.file.Name(), path); err != nil {
		return err
	}
	d.kept = true // where it is from here on
	err := conn.SyncDir(filepath.Dir(path))
	if err == nil {
		err = d.a.insertFile(ctx, f, d.key[:], told)
	}
	if err != nil {
		return errors.Join(err, d.file.Close(), os.Remove(path))
	}
	return d.file.Close()
}

// Drop forgets it.
func (d *draft) Drop() {
	d.key.Wipe()
	if d.kept {
		return
	}
	// What can't be deleted now the next start deletes.
	_ = errors.Join(d.file.Close(), os.Remove(d.file.Name()))
}

// insertFile writes a file's row, and what tells of it.
func (a *Account) insertFile(ctx context.Context, f *store.File, key []byte, told []store.Op) error {
	row, err := a.sealFile(ctx, f, key)
	if err != nil {
		return err
	}
	return a.updateAnd(ctx, func(db *conn.Conn) error {
		owner, id := "SELECT 1 FROM agent WHERE id = ?", int64(f.Agent)
		if f.Conversation != 0 {
			owner, id = "SELECT 1 FROM conversation WHERE id = ? AND shredded IN (0, 3)", int64(f.Conversation)
		}
		if n, err := db.Number(owner, id); err != nil || n == 0 { // it may have gone meanwhile
			return orNotFound(err)
		}
		return db.Exec("INSERT INTO file (id, agent, conversation, generation, made, size, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)",
			f.ID, int64(f.Agent), int64(f.Conversation), row.generation, toMilli(f.Made), f.Size, row.sealed)
	}, func(w *writer) error { return w.tellAll(told) })
}

// A fileRow is a row of the table file.
type fileRow struct {
	store.File
	generation int64
	sealed     []byte
}

const fileColumns = "id, agent, conversation, generation, made, size, sealed"

func scanFile(r conn.Row) fileRow {
	return fileRow{store.File{ID: r.Text(0), Agent: store.AgentID(r.Int(1)), Conversation: store.ConversationID(r.Int(2)),
		Made: fromMilli(r.Int(4)), Size: r.Int(5)}, r.Int(3), r.Blob(6)}
}

func filePlace(f *store.File) *seal.Place {
	return &seal.Place{Actor: int64(f.Agent), At: toMilli(f.Made), Field: "file " + f.ID}
}

// sealFile seals a file's row for whom it belongs to.
func (a *Account) sealFile(ctx context.Context, f *store.File, key []byte) (row fileRow, err error) {
	plain, err := json.Marshal(sealedFile{key, f.Name, f.Type, f.Size})
	if err != nil {
		return row, err
	}
	row = fileRow{File: *f, sealed: plain}
	box, err := a.ownerBox(ctx, f)
	if err != nil || box == nil {
		return row, err
	}
	row.generation, row.sealed = box.Generation(), box.Seal(nil, plain, filePlace(f))
	return row, nil
}

// ownerBox is what a file's new row is sealed with; nil where contacts are not.
func (a *Account) ownerBox(ctx context.Context, f *store.File) (*seal.Box, error) {
	if f.Conversation == 0 {
		return a.agentBox(ctx, f.Agent)
	}
	c := a.open.id(f.Conversation)
	if c == nil {
		return nil, fmt.Errorf("conversation %d is not open: %w", f.Conversation, store.ErrNotFound)
	}
	s := c.sealing.Load()
	if s.box == nil && a.cfg.Sealed {
		return nil, fmt.Errorf("a conversation without a secret: %w", store.ErrUnavailable)
	}
	return s.box, nil
}

// unsealFile opens a row: its key, and what stands in the File besides. It is ErrNotFound where
// its secret is gone.
func (a *Account) unsealFile(ctx context.Context, row *fileRow) (seal.Key, error) {
	plain := row.sealed
	if row.generation > 0 {
		var box *seal.Box
		var err error
		if row.Conversation == 0 {
			box, err = a.agentBox(ctx, row.Agent)
		} else {
			box, err = a.box(ctx, row.Conversation, row.generation)
		}
		if err != nil {
			return seal.Key{}, err
		}
		if plain, err = box.Open(nil, row.sealed, filePlace(&row.File)); err != nil {
			return seal.Key{}, store.ErrTampered
		}
	}
	var is sealedFile
	if err := json.Unmarshal(plain, &is); err != nil || is.Size != row.Size {
		return seal.Key{}, store.ErrTampered
	}
	row.Name, row.Type = is.Name, is.Type
	return seal.KeyFrom(is.Key)
}

func (a *Account) fileRow(ctx context.Context, id string) (row fileRow, err error) {
	found := false
	err = a.read(ctx, func(db *conn.Conn) (err error) {
		found, err = db.One("SELECT "+fileColumns+" FROM file WHERE id = ?", []any{id}, func(r conn.Row) { row = scanFile(r) })
		return err
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return row, err
}

// File is a file without its bytes.
func (a *Account) File(ctx context.Context, id string) (store.File, error) {
	row, err := a.fileRow(ctx, id)
	if err == nil {
		if _, err = a.unsealFile(ctx, &row); locked(err) {
			row.Locked, err = true, nil
		}
	}
	if err != nil {
		return store.File{}, fmt.Errorf("file %q: %w", id, err)
	}
	return row.File, nil
}

// OpenFile reads a file.
func (a *Account) OpenFile(ctx context.Context, id string) (store.File, io.ReadSeekCloser, error) {
	row, err := a.fileRow(ctx, id)
	var key seal.Key
	if err == nil {
		key, err = a.unsealFile(ctx, &row)
	}
	var f *os.File
	if err == nil {
		defer key.Wipe()
		if f, err = os.Open(a.filePath(id)); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("its bytes are gone: %w", store.ErrNotFound)
		}
	}
	if err != nil {
		return store.File{}, nil, fmt.Errorf("read file %q: %w", id, err)
	}
	return row.File, openedFile(f, seal.NewFileBox(&key, a.cfg.Account, id), row.Size), nil
}

// An opened is a file that is read.
type opened struct {
	*io.SectionReader
	file *os.File
}

func openedFile(f *os.File, box *seal.FileBox, size int64) *opened {
	return &opened{io.NewSectionReader(asWritten{seal.NewFileReader(f, box, size)}, 0, size), f}
}

func (o *opened) Close() error { return o.file.Close() }

// asWritten makes ErrOpen what the store says.
type asWritten struct{ r io.ReaderAt }

func (a asWritten) ReadAt(p []byte, off int64) (int, error) {
	n, err := a.r.ReadAt(p, off)
	if errors.Is(err, seal.ErrOpen) {
		err = store.ErrTampered
	}
	return n, err
}

// GiveFile has a file belong to a conversation: from here on its key is sealed with that one's secret.
func (a *Account) GiveFile(ctx context.Context, id string, to store.Conversation, told ...store.Op) error {
	err := a.giveFile(context.WithoutCancel(ctx), id, to.ID(), told)
	if err != nil {
		return fmt.Errorf("give file %q to conversation %d: %w", id, to.ID(), err)
	}
	return nil
}

func (a *Account) giveFile(ctx context.Context, id string, to store.ConversationID, told []store.Op) error {
	row, err := a.fileRow(ctx, id)
	switch {
	case err != nil:
		return err
	case row.Conversation == to:
		return nil
	case row.Conversation != 0:
		return store.ErrConflict
	}
	key, err := a.unsealFile(ctx, &row)
	if err != nil {
		return err
	}
	defer key.Wipe()
	is := row.File
	is.Conversation = to
	given, err := a.sealFile(ctx, &is, key[:])
	if err != nil {
		return err
	}
	return a.updateAnd(ctx, func(db *conn.Conn) error {
		return changed(db, `UPDATE file SET conversation = ?, generation = ?, sealed = ?
			WHERE id = ? AND conversation = 0 AND EXISTS (SELECT 1 FROM conversation WHERE id = ? AND shredded IN (0, 3))`,
			int64(to), given.generation, given.sealed, id, int64(to))
	}, func(w *writer) error { return w.tellAll(told) })
}

// Files are those of a conversation.
func (a *Account) Files(ctx context.Context, of store.ConversationID) ([]store.File, error) {
	var rows []fileRow
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT "+fileColumns+" FROM file WHERE conversation = ? ORDER BY made, id", []any{int64(of)}, func(r conn.Row) error {
			rows = append(rows, scanFile(r))
			return nil
		})
	})
	list := make([]store.File, len(rows))
	for i := range rows {
		if err == nil {
			if _, err = a.unsealFile(ctx, &rows[i]); locked(err) {
				rows[i].Locked, err = true, nil
			}
		}
		list[i] = rows[i].File
	}
	if err != nil {
		return nil, fmt.Errorf("files of conversation %d: %w", of, err)
	}
	return list, nil
}

// FilesSize is how many bytes they have.
func (a *Account) FilesSize(ctx context.Context, of store.ConversationID) (int64, error) {
	query, args := "SELECT coalesce(sum(size), 0) FROM file", []any(nil)
	if of != 0 { // in a query of its own, which an index answers
		query, args = query+" WHERE conversation = ?", []any{int64(of)}
	}
	n, err := a.number(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("size of files: %w", err)
	}
	return n, nil
}

func (a *Account) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = a.read(ctx, func(db *conn.Conn) (err error) {
		n, err = db.Number(query, args...)
		return err
	})
	return n, err
}
