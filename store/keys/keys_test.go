package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

func open(t *testing.T, dir string, root seal.Key) *keys.Account {
	t.Helper()
	a, err := keys.Open(t.Context(), keys.Config{Dir: dir, Account: "desk", Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func conversation(n int64) keys.ID {
	return keys.ID{Owner: keys.OfConversation, Number: n, Generation: 1}
}

func create(t *testing.T, a *keys.Account, ids ...keys.ID) []seal.Key {
	t.Helper()
	made, err := a.Create(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestSecretsAreThereAfterOpeningAgain(t *testing.T) {
	dir, root := t.TempDir(), seal.NewKey()
	a := open(t, dir, root)
	made := create(t, a, conversation(1), conversation(2))
	if made[0] == made[1] {
		t.Fatal("two secrets are the same")
	}
	field, pair := a.Field().Seal(nil, []byte("x"), &seal.Place{Field: "f"}), a.Pair()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	a = open(t, dir, root)
	for i, id := range []keys.ID{conversation(1), conversation(2)} {
		if got, err := a.Get(t.Context(), id); err != nil || got != made[i] {
			t.Errorf("secret %d is not what was made (%v)", i, err)
		}
	}
	if _, err := a.Field().Open(nil, field, &seal.Place{Field: "f"}); err != nil || a.Pair() != pair {
		t.Errorf("the account's own secret or pair is another one: %v", err)
	}
	if _, err := a.Get(t.Context(), conversation(3)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a secret that is not there: %v", err)
	}
	if _, err := a.Create(t.Context(), conversation(3), conversation(2)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a secret that exists is made again: %v", err)
	}
	if _, err := a.Get(t.Context(), conversation(3)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("half of a failed Create is kept: %v", err)
	}
}

func TestRestingAccountWakes(t *testing.T) {
	a := open(t, t.TempDir(), seal.NewKey())
	made := create(t, a, conversation(1))
	a.Rest()
	if got, err := a.Get(t.Context(), conversation(1)); err != nil || got != made[0] {
		t.Errorf("the secret after a rest: %v", err)
	}
}

func TestWrongRootKeyIsSaid(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, seal.NewKey())
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := keys.Open(t.Context(), keys.Config{Dir: dir, Account: "desk", Root: seal.NewKey()})
	if err == nil || !strings.Contains(err.Error(), "root key does not open") {
		t.Errorf("opened with another root key: %v", err)
	}
}

func TestMissingAccountKeyIsSaid(t *testing.T) {
	dir, root := t.TempDir(), seal.NewKey()
	a := open(t, dir, root)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + "/desk.key"); err != nil {
		t.Fatal(err)
	}
	_, err := keys.Open(t.Context(), keys.Config{Dir: dir, Account: "desk", Root: root})
	if err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("opened without the account key: %v", err)
	}
	for _, name := range []string{"", "..", "a/b"} {
		if _, err := keys.Open(t.Context(), keys.Config{Dir: dir, Account: name, Root: root}); err == nil {
			t.Errorf("account %q is opened", name)
		}
	}
}

func TestConcurrentCreates(t *testing.T) {
	a := open(t, t.TempDir(), seal.NewKey())
	var wg sync.WaitGroup
	for n := range int64(50) {
		wg.Go(func() {
			made, err := a.Create(t.Context(), conversation(n), keys.ID{Owner: keys.OfAgent, Number: n, Generation: 1})
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := a.Get(t.Context(), conversation(n)); err != nil || got != made[0] {
				t.Errorf("secret %d: %v", n, err)
			}
		})
	}
	// One who asks for what exists fails alone.
	create(t, a, conversation(1000))
	for range 5 {
		wg.Go(func() {
			if _, err := a.Create(t.Context(), conversation(1000)); !errors.Is(err, store.ErrConflict) {
				t.Errorf("made again: %v", err)
			}
		})
	}
	wg.Wait()
}

// A destroyed secret's wrapped bytes are in no file when Destroy returns, the
// write-ahead log included.
func TestDestroyLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, seal.NewKey())
	create(t, a, conversation(1), conversation(2), keys.ID{Owner: keys.OfConversation, Number: 1, Generation: 2})
	wrapped := wrappedOf(t, dir, 1)
	if len(wrapped) != 2 || !inFiles(t, dir, wrapped[0]) {
		t.Fatal("the secrets are not where they are looked for")
	}
	if err := a.Destroy(t.Context(), keys.OfConversation, 1); err != nil {
		t.Fatal(err)
	}
	for _, w := range wrapped {
		if inFiles(t, dir, w) {
			t.Error("a destroyed secret is still in a file")
		}
	}
	if _, err := a.Get(t.Context(), conversation(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the destroyed secret: %v", err)
	}
	if _, err := a.Get(t.Context(), conversation(2)); err != nil {
		t.Errorf("the other's secret: %v", err)
	}
}

func TestSweepTakesOnlyOrphans(t *testing.T) {
	a := open(t, t.TempDir(), seal.NewKey())
	second := keys.ID{Owner: keys.OfConversation, Number: 1, Generation: 2}
	create(t, a, conversation(1), second)
	if err := a.Sweep(t.Context(), []keys.ID{second}); err != nil {
		t.Fatal(err)
	}
	var left []keys.ID
	if err := a.All(t.Context(), keys.OfConversation, func(id keys.ID) { left = append(left, id) }); err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0] != conversation(1) {
		t.Errorf("left are %v", left)
	}
}

func TestRotate(t *testing.T) {
	dir, root := t.TempDir(), seal.NewKey()
	a := open(t, dir, root)
	var ids []keys.ID
	for n := range int64(600) { // more than a slice
		ids = append(ids, conversation(n))
	}
	made := create(t, a, ids...)
	oldFile, err := os.ReadFile(dir + "/desk.key")
	if err != nil {
		t.Fatal(err)
	}
	old := wrappedOf(t, dir, 5)[0]

	// Cut short before the first slice: it is gone on with.
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := a.Rotate(stopped); !errors.Is(err, context.Canceled) {
		t.Fatalf("Rotate = %v", err)
	}
	create(t, a, conversation(9999)) // wrapped by the new key already
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, root)
	if err := a.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}

	for i, id := range ids {
		if got, err := a.Get(t.Context(), id); err != nil || got != made[i] {
			t.Fatalf("secret %d after rotating: %v", i, err)
		}
	}
	newFile, err := os.ReadFile(dir + "/desk.key")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(newFile, []byte(`"version"`)); n != 1 {
		t.Errorf("the key file holds %d versions, want the new one alone", n)
	}
	if bytes.Equal(oldFile, newFile) || inFiles(t, dir, old) {
		t.Error("what the old key wrapped is still there")
	}
	if _, err := os.Stat(dir + "/desk.key.new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a temporary file is left: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, root)
	if got, err := a.Get(t.Context(), ids[0]); err != nil || got != made[0] {
		t.Errorf("a secret after rotating and opening: %v", err)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "keys")
	a := open(t, dir, seal.NewKey())
	create(t, a, conversation(1))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := keys.Delete(dir, "desk"); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("%v is left", entries)
	}
}

func TestReadRoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	made, err := keys.CreateRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.ReadRoot(path); err != nil || got != made {
		t.Errorf("the root key is not what was made: %v", err)
	}
	if _, err := keys.CreateRoot(path); err == nil {
		t.Error("a root key is overwritten")
	}
	t.Setenv("PARLEY_ROOT_KEY", hex.EncodeToString(made[:]))
	if got, err := keys.RootFromEnv("PARLEY_ROOT_KEY"); err != nil || got != made {
		t.Errorf("the root key from the environment: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.ReadRoot(path); err == nil || !strings.Contains(err.Error(), "may be read by others") {
		t.Errorf("a file that others may read: %v", err)
	}
}

func TestParseRoot(t *testing.T) {
	k := seal.NewKey()
	for _, test := range []struct {
		name, in string
		ok       bool
	}{
		{"base64", base64.StdEncoding.EncodeToString(k[:]) + "\n", true},
		{"base64, not padded", base64.RawStdEncoding.EncodeToString(k[:]), true},
		{"base64, for URLs", base64.URLEncoding.EncodeToString(k[:]), true},
		{"hex", hex.EncodeToString(k[:]), true},
		{"hex, upper case", strings.ToUpper(hex.EncodeToString(k[:])) + "\r\n", true},
		{"nothing", "", false},
		{"too short", hex.EncodeToString(k[:31]), false},
		{"too long", hex.EncodeToString(append(k[:], 0)), false},
		{"a word", "correct horse", false},
	} {
		got, err := keys.ParseRoot([]byte(test.in))
		if (err == nil) != test.ok || test.ok && got != k {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && test.in != "" && strings.Contains(err.Error(), strings.TrimSpace(test.in)) {
			t.Errorf("%s: the error tells what was in the file", test.name)
		}
	}
}

// wrappedOf reads a conversation's wrapped secrets from the file itself.
func wrappedOf(t *testing.T, dir string, number int64) (all [][]byte) {
	t.Helper()
	c, err := conn.Open(conn.Config{Path: dir + "/desk.db", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Query("SELECT wrapped FROM secret WHERE owner = 1 AND number = ?", []any{number}, func(r conn.Row) error {
		all = append(all, r.Blob(0))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func inFiles(t *testing.T, dir string, what []byte) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, what) {
			return true
		}
	}
	return false
}
