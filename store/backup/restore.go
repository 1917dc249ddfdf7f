package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"parley.im/parley/store/audit"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A Restore brings an installation back into a folder.
type Restore struct {
	Data, Keys Target
	Identities []age.Identity
	Dir        string    // is made, or is empty
	At         time.Time // the newest copy that is not younger; zero is the newest
	// Roots are the root keys by one of which copies must be signed; with none it is not
	// looked at. Unsigned takes those that bear no signature of theirs, too.
	Roots    []seal.Key
	Unsigned bool
}

// A Report says what was brought back.
type Report struct {
	Time     time.Time // of the copy of the data
	KeysTime time.Time
	// Behind says that the newest copy of the keys is younger than that of the data, though
	// they are made together: one of the data was not brought, or was taken away.
	Behind   bool
	Accounts []AccountReport
	// Deleted are accounts whose keys are gone: they were deleted after the copy.
	Deleted []string
	// Unfinished are folders that earlier restores into the same place have left, since
	// they were killed; or that one which still runs is making.
	Unfinished []string
}

// An AccountReport says what was brought back of an account.
type AccountReport struct {
	ID       string
	Time     time.Time // what was kept before is there
	Newest   int64     // ordinal
	Shredded int       // conversations that are not, or no more, there
	// Missing are files that people have sent and that are in no copy, perhaps since they came just before it, or that
	// can't be read there.
	Missing int
	// Locked says that the keys are older than the data: what was said in conversations
	// that began between cannot be read.
	Locked bool
}

// Run restores. The folder appears when all is in it, or not at all. Keys are always
// the newest there are: with them what was destroyed since stays destroyed.
func (r *Restore) Run(ctx context.Context) (*Report, error) {
	if err := vacant(r.Dir); err != nil {
		return nil, err
	}
	parent := filepath.Dir(filepath.Clean(r.Dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	unfinished, err := filepath.Glob(filepath.Join(literal(parent), "."+literal(filepath.Base(r.Dir))+restoring))
	if err != nil {
		return nil, err
	}
	half, err := os.MkdirTemp(parent, "."+filepath.Base(r.Dir)+restoring)
	if err != nil {
		return nil, err
	}
	report, err := r.into(ctx, half)
	if err == nil {
		err = syncDirs(half)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(half))
	}
	report.Unfinished = unfinished
	if err := os.Remove(r.Dir); err != nil && !isMissing(err) {
		return nil, errors.Join(err, os.RemoveAll(half))
	}
	if err := os.Rename(half, r.Dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(half))
	}
	return report, conn.SyncDir(parent)
}

// restoring ends the name of a folder that is being made. Killed before its end it has no
// configuration, which comes last, so that nobody takes it for an installation.
const restoring = "-restoring-*"

// literal is a path as a pattern that means only itself.
func literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// syncDirs makes the names in a folder, and in those below it, durable.
func syncDirs(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return conn.SyncDir(path)
	})
}

// vacant says whether there is nothing in the way.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case isMissing(err):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty, and nothing is overwritten: name a folder that is not there yet", dir)
	}
	return nil
}

func (r *Restore) into(ctx context.Context, dir string) (*Report, error) {
	data, err := r.choose(ctx, r.Data, Data, r.At)
	if err != nil {
		return nil, err
	}
	newest := data
	if !r.At.IsZero() {
		if newest, err = r.choose(ctx, r.Data, Data, time.Time{}); err != nil {
			return nil, err
		}
	}
	theKeys, err := r.choose(ctx, r.Keys, Keys, time.Time{})
	if err != nil {
		return nil, err
	}
	report := &Report{Time: data.Time, KeysTime: theKeys.Time, Behind: newest.Time.Before(theKeys.Time)}
	for _, c := range data.Chains {
		if c.Kind != Data {
			continue
		}
		k, ok := theKeys.of(Keys, c.Account)
		if !ok {
			report.Deleted = append(report.Deleted, c.Account)
			continue
		}
		a, err := r.account(ctx, dir, c, k, data, newest)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Account, err)
		}
		report.Accounts = append(report.Accounts, *a)
	}
	if c, ok := data.of(settings, string(settings)); ok {
		if _, err := r.rebuild(ctx, r.Data, c, dir, "", settingsFile(dir)); err != nil {
			return nil, fmt.Errorf("the configuration: %w", err)
		}
	}
	return report, nil
}

func (m *Manifest) of(k Kind, account string) (Chain, bool) {
	for _, c := range m.Chains {
		if c.Kind == k && c.Account == account {
			return c, true
		}
	}
	return Chain{}, false
}

// settingsFile is where a file of the configuration, or of the installation's audit log,
// belongs.
func settingsFile(dir string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		base, inAccounts := strings.CutPrefix(name, "accounts.d/")
		ok := name == "parley.toml" || inAccounts && base == filepath.Base(base) && strings.HasSuffix(base, ".toml")
		if base, inData := strings.CutPrefix(name, "data/"); inData {
			ok = audit.IsFile(base)
		}
		return filepath.Join(dir, filepath.FromSlash(name)), ok && filepath.IsLocal(name)
	}
}

func (r *Restore) account(ctx context.Context, dir string, c, k Chain, from, newest *Manifest) (*AccountReport, error) {
	keysDir, dataDir := filepath.Join(dir, "keys"), filepath.Join(dir, "data", "accounts", c.Account)
	for _, d := range []string{keysDir, dataDir} {
		if err := conn.MakeDir(d); err != nil {
			return nil, err
		}
	}
	b := &burial{data: filepath.Join(dataDir, "data.db"), keys: filepath.Join(keysDir, c.Account+".db"), keysAsOf: k.Time}
	change := filepath.Join(keysDir, keys.ChangeFile)
	if _, err := r.rebuild(ctx, r.Keys, k, dir, b.keys, func(name string) (string, bool) {
		if name == keys.ChangeFile {
			return change + ".new", true
		}
		return filepath.Join(keysDir, name), name == c.Account+".key"
	}); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	// Each account has it, and while it is there any of them will do.
	if err := os.Rename(change+".new", change); err != nil && !isMissing(err) {
		return nil, err
	}
	made, err := r.rebuild(ctx, r.Data, c, dir, b.data, func(name string) (string, bool) {
		return filepath.Join(dataDir, name), audit.IsFile(name)
	})
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	b.shredded, b.ended, b.newest = made.shred, made.gone, made.end.Newest
	if last, ok := newest.of(Data, c.Account); ok && !samePieces(last, c) {
		since, err := r.tombstones(ctx, last, dir)
		if err != nil {
			return nil, fmt.Errorf("what was destroyed since: %w", err)
		}
		b.shredded, b.ended, b.newest = append(b.shredded, since.shred...), since.gone, max(b.newest, since.end.Newest)
	}
	if err := r.people(ctx, dir, dataDir, b, from, newest, c.Account); err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	a := &AccountReport{ID: c.Account, Time: c.Time, Newest: made.end.Newest, Locked: k.Time.Before(c.Time)}
	if a.Shredded, err = b.run(); err != nil {
		return a, err
	}
	if a.Missing, err = r.files(ctx, dataDir, c.Account); err != nil {
		return nil, fmt.Errorf("files that people have sent: %w", err)
	}
	return a, nil
}

// people brings an account's people back, if the copy has any, and those who were erased since.
func (r *Restore) people(ctx context.Context, dir, dataDir string, b *burial, from, newest *Manifest, account string) error {
	nowhere := func(string) (string, bool) { return "", false }
	c, ok := from.of(People, account)
	if !ok {
		return nil
	}
	b.people = filepath.Join(dataDir, people.File)
	if _, err := r.rebuild(ctx, r.Data, c, dir, b.people, nowhere); err != nil {
		return err
	}
	last, ok := newest.of(People, account)
	if !ok || samePieces(last, c) {
		return nil
	}
	half, err := os.MkdirTemp(dir, ".people-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(half) // with the folder around it, at the latest
	now := filepath.Join(half, people.File)
	if _, err := r.rebuild(ctx, r.Data, last, dir, now, nowhere); err != nil {
		return fmt.Errorf("who was erased since: %w", err)
	}
	db, err := conn.Open(conn.Config{Path: now})
	if err != nil {
		return err
	}
	b.erased, err = people.ErasedIn(db)
	return errors.Join(err, db.Close())
}

func samePieces(a, b Chain) bool {
	return len(a.Pieces) == len(b.Pieces) && a.Pieces[len(a.Pieces)-1] == b.Pieces[len(b.Pieces)-1]
}

// rebuild fetches a chain's pieces and makes files of them.
func (r *Restore) rebuild(ctx context.Context, from Target, c Chain, dir, db string, file func(string) (string, bool)) (*rebuild, error) {
	pieces, err := os.MkdirTemp(dir, ".pieces-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(pieces) // with the folder around it, at the latest
	b := &rebuild{
		chain: c, identities: r.Identities, db: db, file: file,
		inserts: make(map[string]string), rows: make(map[string]int64),
	}
	for i, p := range c.Pieces {
		path := filepath.Join(pieces, fmt.Sprint(i))
		if err := fetch(ctx, from, p, path); err != nil {
			return nil, fmt.Errorf("in %s, %w", from.Name(), err)
		}
		b.paths = append(b.paths, path)
	}
	return b, b.run()
}

// tombstones reads what the last piece of a chain says of what was destroyed.
func (r *Restore) tombstones(ctx context.Context, c Chain, dir string) (*rebuild, error) {
	p := c.Pieces[len(c.Pieces)-1]
	path := filepath.Join(dir, ".tombstones")
	defer os.Remove(path) // with the folder around it, at the latest
	if err := fetch(ctx, r.Data, p, path); err != nil {
		return nil, fmt.Errorf("in %s, %w", r.Data.Name(), err)
	}
	b := &rebuild{chain: c, paths: []string{path}, identities: r.Identities}
	if err := b.plan(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return b, nil
}
