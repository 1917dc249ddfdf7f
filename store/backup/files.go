package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"time"

	"parley.im/parley/store/sqlite/conn"
)

// The files that people send lie beside the data, each sealed with a key of its own that is in the data, and
// never change. So each is copied once, as it is, after the data that knows it: nothing said in words waits for it.

// filesDir begins the names of such files on a target, and is the folder beside the data that has them.
const filesDir = "files"

var fileForm = regexp.MustCompile(`^files/([a-z0-9-]{1,32})/([a-z0-9]{2})/([a-z0-9]{2,64})$`)

func fileName(account, id string) string { return path.Join(filesDir, account, id[:2], id) }

// sentPath is where a file lies here, by its name on a target.
func (k *Keeper) sentPath(name string) (string, bool) {
	m := fileForm.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return filepath.Join(k.cfg.Data, "accounts", m[1], filesDir, m[2], m[3]), true
}

// sent calls each with the files that there are here, until it fails. What can't be read is noted, and keeps nothing else back.
func (k *Keeper) sent(unread *unread, each func(name string) error) error {
	for _, account := range k.cfg.Accounts() {
		dir := filepath.Join(k.cfg.Data, "accounts", account, filesDir)
		shelves, err := os.ReadDir(dir)
		unread.note(err)
		for _, shelf := range shelves {
			if !shelf.IsDir() {
				continue // nobody's
			}
			files, err := os.ReadDir(filepath.Join(dir, shelf.Name()))
			unread.note(err)
			for _, f := range files {
				name := path.Join(filesDir, account, shelf.Name(), f.Name())
				if !fileForm.MatchString(name) {
					continue // on its way
				}
				if err := each(name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// An unread is what can't be read here, of which there may be very much: the first of it, and how much.
type unread struct {
	first error
	n     int
}

// note takes what a reading came to. What was destroyed meanwhile is nothing that is missed.
func (u *unread) note(err error) {
	if err == nil || isMissing(err) {
		return
	}
	if u.n++; u.first == nil {
		u.first = err
	}
}

func (u *unread) err() error {
	if u.n == 0 {
		return nil
	}
	return fmt.Errorf("%w, %d in all: %w", errUnread, u.n, u.first)
}

// errUnread is no fault of a target, which has all else.
var errUnread = errors.New("read the files that people have sent")

// A noting reads, and keeps why it could not.
type noting struct {
	r   io.Reader
	err error
}

// Read reads.
func (n *noting) Read(b []byte) (int, error) {
	read, err := n.r.Read(b)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return read, err
}

// A fileKey stands for a file's name, of which there may be very many.
type fileKey [16]byte

func keyOf(name string) (k fileKey) {
	sum := sha256.Sum256([]byte(name))
	copy(k[:], sum[:])
	return k
}

// listPatience is how long a target may take to say which files it has.
const listPatience = time.Hour

// bringFiles brings the files that the target lacks, until there is a newer copy to bring.
func (c *courier) bringFiles(ctx context.Context, latest *copied) error {
	if c.kind != Data {
		return nil
	}
	if c.files == nil {
		ask, stop := context.WithTimeout(ctx, listPatience)
		defer stop()
		files := make(map[fileKey]struct{})
		if err := c.target.List(ask, filesDir+"/", func(name string, _ int64) { files[keyOf(name)] = struct{}{} }); err != nil {
			return fmt.Errorf("list which files are there: %w", err)
		}
		c.files = files
	}
	var unread unread
	err := c.k.sent(&unread, func(name string) error {
		if _, there := c.files[keyOf(name)]; there {
			return nil
		}
		if c.k.latest(c.kind) != latest {
			return errEnough
		}
		return c.bringFile(ctx, name, &unread)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return errors.Join(err, unread.err())
}

// bringFile brings one. Where it can't be read that is noted, and no error: the others are brought all the same.
func (c *courier) bringFile(ctx context.Context, name string, unread *unread) error {
	where, _ := c.k.sentPath(name)
	f, err := os.Open(where)
	if err != nil {
		unread.note(err)
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		unread.note(err)
		return nil
	}
	r := &noting{r: f}
	if err := c.send(ctx, name, r, info.Size()); err != nil {
		if unread.note(r.err); r.err != nil {
			return nil
		}
		return err
	}
	c.files[keyOf(name)] = struct{}{}
	return nil
}

// A missing is since when a file is missed, and how often that was seen.
type missing struct {
	Since time.Time `json:"since"`
	Seen  int       `json:"seen"`
}

// minSeen is how often a file must be missed before it goes: a clock that is ahead for a moment, while a disk is not there, is no
// reason. A day lies between, or a restart.
const minSeen = 7

// pruneFiles deletes files that have not been here for as long as copies of data are kept. When they were missed first
// is kept in the spool; where that is lost they stay for longer.
func (c *courier) pruneFiles(ctx context.Context, now time.Time) error {
	sum := sha256.Sum256([]byte(c.target.Name()))
	notes := c.k.spool.path("missed-" + hex.EncodeToString(sum[:8]) + ".json")
	missed, still := make(map[string]missing), make(map[string]missing)
	text, err := os.ReadFile(notes)
	if err == nil {
		err = json.Unmarshal(text, &missed)
	}
	if err != nil && !isMissing(err) {
		c.k.log.Warn("since when files are missed can't be read: they stay for longer", "target", c.target.Name(), "err", err)
		clear(missed)
	}
	ask, stop := context.WithTimeout(ctx, listPatience)
	defer stop()
	var old []string
	err = c.target.List(ask, filesDir+"/", func(name string, _ int64) {
		where, known := c.k.sentPath(name)
		if _, err := os.Lstat(where); !known || !isMissing(err) {
			return
		}
		is, noted := missed[name]
		if !noted {
			is.Since = now
		}
		is.Seen++
		if still[name] = is; is.Seen > minSeen && now.Sub(is.Since) > c.k.cfg.KeepData {
			old = append(old, name)
		}
	})
	if err != nil {
		return fmt.Errorf("list which files are there: %w", err)
	}
	for _, name := range old {
		ask, stop := context.WithTimeout(ctx, askPatience)
		err := c.target.Delete(ask, name)
		stop()
		if err != nil {
			return fmt.Errorf("delete what is too old: %s: %w", name, err)
		}
		delete(still, name)
		delete(c.files, keyOf(name))
	}
	if text, err = json.Marshal(still); err == nil {
		err = c.k.spool.write(notes, text)
	}
	if err != nil {
		return fmt.Errorf("note since when files are missed: %w", err)
	}
	return nil
}

// files brings an account's files back, and counts those that are in no copy, or can't be read there.
func (r *Restore) files(ctx context.Context, dataDir, account string) (missing int, err error) {
	db, err := conn.Open(conn.Config{Path: filepath.Join(dataDir, "data.db"), ReadOnly: true})
	if err != nil {
		return 0, err
	}
	var ids []string
	n, err := db.Number("SELECT count(*) FROM sqlite_schema WHERE name = 'file'")
	if err == nil && n > 0 {
		err = db.Query(`SELECT f.id
			FROM file f
			LEFT JOIN conversation c ON c.id = f.conversation
			WHERE c.id IS NULL OR c.shredded IN (0, 3)`, nil, func(row conn.Row) error {
			ids = append(ids, row.Text(0))
			return nil
		})
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return 0, err
	}
	for _, id := range ids {
		if len(id) < 2 || !fileForm.MatchString(fileName(account, id)) {
			return missing, fmt.Errorf("%q is no name of a file", id)
		}
		there, err := r.file(ctx, fileName(account, id), filepath.Join(dataDir, filesDir, id[:2], id))
		if err != nil {
			return missing, fmt.Errorf("file %s: %w", id, err)
		}
		if !there {
			missing++
		}
	}
	return missing, nil
}

// file brings one back, if the target has it and gives it: what it does not give keeps nothing else from coming back.
func (r *Restore) file(ctx context.Context, name, to string) (there bool, err error) {
	in, err := r.Data.Get(ctx, name)
	if err != nil {
		return false, ctx.Err()
	}
	defer in.Close()
	if err := conn.MakeDir(filepath.Dir(to)); err != nil {
		return false, err
	}
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	from := &noting{r: in}
	_, err = io.Copy(w, &untilDone{ctx, from})
	if err = errors.Join(err, w.Sync(), w.Close()); from.err != nil && ctx.Err() == nil {
		return false, os.Remove(to)
	}
	return err == nil, err
}
