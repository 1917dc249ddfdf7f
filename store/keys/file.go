package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A file is what <account>.key holds: the account key in one version, or in two
// while secrets are wrapped anew. The last is the one in use.
type file struct {
	Format  int       `json:"format"`
	Account string    `json:"account"`
	Keys    []version `json:"keys"`
}

type version struct {
	Version int64     `json:"version"`
	Made    time.Time `json:"made"`
	Wrapped []byte    `json:"wrapped"` // by the root key
}

const fileFormat = 1

// placeAccountKey is where a wrapped account key stands.
var placeAccountKey = seal.Place{Field: "account key"}

func newVersion(root *seal.Key, account string, number int64, made time.Time) version {
	k := seal.NewKey()
	defer k.Wipe()
	box := seal.NewBox(root, account, 0, number)
	return version{Version: number, Made: made.UTC(), Wrapped: box.Seal(nil, k[:], &placeAccountKey)}
}

// open answers the account key itself.
func (v *version) open(root *seal.Key, account string) ([]byte, error) {
	return seal.NewBox(root, account, 0, v.Version).Open(nil, v.Wrapped, &placeAccountKey)
}

// openAny is open with whichever of some root keys wrapped it.
func (v *version) openAny(account string, roots []seal.Key) (raw []byte, err error) {
	err = seal.ErrOpen
	for i := range roots {
		if raw, err = v.open(&roots[i], account); err == nil {
			return raw, nil
		}
	}
	return nil, err
}

// unwrap makes the Box of an account key, which wraps secrets.
func (v *version) unwrap(account string, roots ...seal.Key) (*seal.Box, error) {
	raw, err := v.openAny(account, roots)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	k, err := seal.KeyFrom(raw)
	if err != nil {
		return nil, err
	}
	defer k.Wipe()
	return seal.NewBox(&k, account, 0, v.Version), nil
}

// readFile reads an account key file; fs.ErrNotExist if there is none.
func readFile(path, account string) (*file, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%s is not an account key file: %w", path, err)
	}
	switch {
	case f.Format > fileFormat:
		return nil, fmt.Errorf("%s has format %d, this program knows %d: %w", path, f.Format, fileFormat, conn.ErrNewer)
	case f.Account != account:
		return nil, fmt.Errorf("%s is account %q's, not %q's", path, f.Account, account)
	case len(f.Keys) == 0:
		return nil, fmt.Errorf("%s holds no key", path)
	}
	return &f, nil
}

// write puts the file in place of the one that is there, whole or not at all, and
// overwrites what the old one held.
func (f *file) write(path string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	old, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != nil {
		defer old.Close()
	}
	if err := writeSynced(path+".new", append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	if err := conn.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if old != nil {
		return blank(old)
	}
	return nil
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// blank overwrites a file that has no name any more.
func blank(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, info.Size()), 0)
	return errors.Join(err, f.Sync())
}
