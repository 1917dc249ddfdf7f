package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// ChangeFile is the name of a file. While the root key is replaced, it, beside the account keys holds each of the two
// root keys sealed by the other. So whoever has one of them has both, and it does not
// matter which one an account key is wrapped by, nor where a kill cuts it. It goes when
// all are wrapped by the new one and the new one is what the configuration names.
const ChangeFile = "root.json"

type change struct {
	Format   int    `json:"format"`
	NewByOld []byte `json:"new_by_old"`
	OldByNew []byte `json:"old_by_new"`
}

var (
	placeNew = seal.Place{Field: "new root key"}
	placeOld = seal.Place{Field: "old root key"}
)

// A Roots is the root key that the configuration names and, while it is replaced, the
// other one.
type Roots struct {
	Root  seal.Key
	Other seal.Key
	Is    Role // of Root
}

// A Role says which of two root keys one is.
type Role uint8

// What a root key may be.
const (
	Only Role = iota // nothing is replaced
	Old
	New
)

// Target is the root key by which all is to be wrapped.
func (r *Roots) Target() seal.Key {
	if r.Is == Old {
		return r.Other
	}
	return r.Root
}

// Both are the root key and, while it is replaced, the other one.
func (r *Roots) Both() []seal.Key {
	if r.Is == Only {
		return []seal.Key{r.Root}
	}
	return []seal.Key{r.Root, r.Other}
}

func rootBox(k *seal.Key) *seal.Box { return seal.NewBox(k, "", 0, 0) }

// OpenRoots looks in a folder of keys whether a root key is being replaced.
func OpenRoots(dir string, root seal.Key) (*Roots, error) {
	r := &Roots{Root: root}
	text, err := os.ReadFile(filepath.Join(dir, ChangeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	var c change
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err == nil && c.Format > fileFormat {
		err = conn.ErrNewer
	}
	if err != nil {
		return nil, fmt.Errorf("read %s, which tells of the root key's replacement: %w", filepath.Join(dir, ChangeFile), err)
	}
	raw, err := rootBox(&root).Open(nil, c.NewByOld, &placeNew)
	r.Is = Old
	if err != nil {
		raw, err = rootBox(&root).Open(nil, c.OldByNew, &placeOld)
		r.Is = New
	}
	if err != nil { // it is neither: the account keys will say so
		r.Is = Only
		return r, nil
	}
	defer clear(raw)
	r.Other, err = seal.KeyFrom(raw)
	return r, err
}

// Change begins to replace the root key. The same again is no fault; another one
// meanwhile is ErrConflict.
func (r *Roots) Change(dir string, next seal.Key) error {
	switch {
	case r.Is != Only && r.Target() == next:
		return nil
	case r.Is != Only:
		return fmt.Errorf("the root key is being replaced by another one: %w", store.ErrConflict)
	case next == r.Root:
		return fmt.Errorf("that is the root key already: %w", store.ErrConflict)
	}
	text, err := json.MarshalIndent(change{
		Format:   fileFormat,
		NewByOld: rootBox(&r.Root).Seal(nil, next[:], &placeNew),
		OldByNew: rootBox(&next).Seal(nil, r.Root[:], &placeOld),
	}, "", "  ")
	if err == nil {
		err = replace(filepath.Join(dir, ChangeFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("begin to replace the root key: %w", err)
	}
	r.Other, r.Is = next, Old
	return nil
}

// End forgets the old root key, which nothing needs any more.
func (r *Roots) End(dir string) error {
	if r.Is != New {
		return fmt.Errorf("the configuration names the old root key: %w", store.ErrConflict)
	}
	path := filepath.Join(dir, ChangeFile)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(os.Remove(path), conn.SyncDir(dir), blank(f), f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the old root key: %w", err)
	}
	r.Other.Wipe()
	r.Is = Only
	return nil
}

// replace puts a file in place of another, durably, whole or not at all.
func replace(path string, text []byte) error {
	if err := writeSynced(path+".new", text); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return conn.SyncDir(filepath.Dir(path))
}

// Rewrap wraps the account key by another root key, which from here on opens it.
func (a *Account) Rewrap(root seal.Key) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next, err := a.file.rewrapped(&root, a.root, a.other)
	if err == nil && next != nil {
		err = next.write(a.keyPath())
	}
	if err != nil {
		return fmt.Errorf("wrap the key of account %q by the new root key: %w", a.account, err)
	}
	if next != nil {
		a.file = next
	}
	a.root, a.other = root, a.root
	return nil
}

// RewrapClosed is Rewrap for an account that is not open, nor will be.
func RewrapClosed(dir, account string, r *Roots) error {
	path := filepath.Join(dir, account+".key")
	f, err := readFile(path, account)
	var next *file
	if err == nil {
		target := r.Target()
		next, err = f.rewrapped(&target, r.Root, r.Other)
	}
	if err == nil && next != nil {
		err = next.write(path)
	}
	if err != nil {
		return fmt.Errorf("wrap the key of account %q by the new root key: %w", account, err)
	}
	return nil
}

// rewrapped is the file wrapped by a root key; nil if it is so already.
func (f *file) rewrapped(root *seal.Key, known ...seal.Key) (*file, error) {
	next := *f
	next.Keys = append([]version(nil), f.Keys...)
	changed := false
	for i := range next.Keys {
		v := &next.Keys[i]
		if raw, err := v.open(root, f.Account); err == nil {
			clear(raw)
			continue
		}
		raw, err := v.openAny(f.Account, known)
		if err != nil {
			return nil, err
		}
		v.Wrapped = seal.NewBox(root, f.Account, 0, v.Version).Seal(nil, raw, &placeAccountKey)
		clear(raw)
		changed = true
	}
	if !changed {
		return nil, nil
	}
	return &next, nil
}

// Accounts are those that have keys in a folder.
func Accounts(dir string) (all []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".key"); ok {
			all = append(all, id)
		}
	}
	return all, err
}

// Fingerprint is the SHA-256 of a root key in hexadecimal; its first eight digits tell
// whether a copy is one.
func Fingerprint(k seal.Key) string {
	sum := sha256.Sum256(k[:])
	return hex.EncodeToString(sum[:])
}

// A confirmation says that somebody has seen a copy of the root key.
type confirmation struct {
	Root string    `json:"root"` // tells which, and not what it is
	At   time.Time `json:"at"`
}

const confirmationFile = "root.copy"

func confirmed(k seal.Key) string {
	sum := sha256.Sum256(append([]byte("parley: a copy was seen of "), k[:]...))
	return hex.EncodeToString(sum[:])
}

// ConfirmCopy notes that there is a copy of the root key.
func ConfirmCopy(dir string, k seal.Key, at time.Time) error {
	text, err := json.Marshal(confirmation{confirmed(k), at.UTC()})
	if err == nil {
		err = replace(filepath.Join(dir, confirmationFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note that there is a copy of the root key: %w", err)
	}
	return nil
}

// CopyConfirmed says when somebody has seen a copy of this root key; zero is never.
func CopyConfirmed(dir string, k seal.Key) time.Time {
	var c confirmation
	text, err := os.ReadFile(filepath.Join(dir, confirmationFile))
	if err != nil || json.Unmarshal(text, &c) != nil || c.Root != confirmed(k) {
		return time.Time{}
	}
	return c.At
}
