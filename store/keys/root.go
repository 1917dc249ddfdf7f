package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// ReadRoot reads the operator's root key from a file of one line, 32 bytes in
// base64 or hex. A file that others may read is refused.
func ReadRoot(path string) (seal.Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return seal.Key{}, fmt.Errorf("read the root key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return seal.Key{}, fmt.Errorf("read the root key: %s may be read by others (mode %04o, want 0600)", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return seal.Key{}, fmt.Errorf("read the root key: %w", err)
	}
	defer clear(text)
	k, err := ParseRoot(text)
	if err != nil {
		return k, fmt.Errorf("read the root key: %s: %w", path, err)
	}
	return k, nil
}

// RootFromEnv reads the operator's root key from an environment variable, in the
// form that ReadRoot takes.
func RootFromEnv(name string) (seal.Key, error) {
	text, ok := os.LookupEnv(name)
	if !ok {
		return seal.Key{}, fmt.Errorf("read the root key: %s is not set", name)
	}
	k, err := ParseRoot([]byte(text))
	if err != nil {
		return k, fmt.Errorf("read the root key: %s: %w", name, err)
	}
	return k, nil
}

var errRoot = errors.New("want one line with 32 bytes in base64 or hex")

// ParseRoot reads a key from its line.
func ParseRoot(line []byte) (seal.Key, error) {
	line = bytes.TrimSpace(line)
	raw := make([]byte, len(line))
	defer clear(raw)
	if len(line) == hex.EncodedLen(seal.KeySize) {
		if n, err := hex.Decode(raw, line); err == nil {
			return seal.KeyFrom(raw[:n])
		}
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if n, err := enc.Decode(raw, line); err == nil && n == seal.KeySize {
			return seal.KeyFrom(raw[:n])
		}
	}
	return seal.Key{}, errRoot
}

// CreateRoot makes a new root key and writes it, durably, to a file that only its
// owner may read. It never overwrites one.
func CreateRoot(path string) (seal.Key, error) {
	k := seal.NewKey()
	line := append(base64.StdEncoding.AppendEncode(nil, k[:]), '\n')
	defer clear(line)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return seal.Key{}, fmt.Errorf("make the root key: %w", err)
	}
	_, err = f.Write(line)
	if err := errors.Join(err, f.Sync(), f.Close(), conn.SyncDir(filepath.Dir(path))); err != nil {
		return seal.Key{}, fmt.Errorf("make the root key: %w", err)
	}
	return k, nil
}
