package keys_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
)

// While the root key is replaced either of the two opens all accounts, however many are
// wrapped by the new one already, in whichever order and whoever goes on. Afterwards only
// the new one does.
func TestRootKeyIsReplaced(t *testing.T) {
	const accounts = 3
	for cut := range accounts + 1 { // so many were done when it was killed
		for _, goesOn := range []keys.Role{keys.Old, keys.New} {
			t.Run(fmt.Sprint(cut, goesOn), func(t *testing.T) {
				dir, before, after := t.TempDir(), seal.NewKey(), seal.NewKey()
				id := func(n int) string { return fmt.Sprint("account", n) }
				open := func(n int, root seal.Key) (*keys.Account, error) {
					r, err := keys.OpenRoots(dir, root)
					if err != nil {
						t.Fatal(err)
					}
					return keys.Open(t.Context(), keys.Config{Dir: dir, Account: id(n), Root: r.Root, Other: r.Other})
				}
				secrets := make([]seal.Key, accounts)
				for n := range accounts {
					a, err := open(n, before)
					if err != nil {
						t.Fatal(err)
					}
					secrets[n] = create(t, a, conversation(1))[0]
					closeKeys(t, a)
				}
				r, err := keys.OpenRoots(dir, before)
				if err == nil {
					err = r.Change(dir, after)
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Change(dir, seal.NewKey()); !errors.Is(err, store.ErrConflict) {
					t.Errorf("another change meanwhile: %v", err)
				}
				all := func(root seal.Key) {
					t.Helper()
					for n := range accounts {
						a, err := open(n, root)
						if err != nil {
							t.Fatalf("with %d done: %v", cut, err)
						}
						if got, err := a.Get(t.Context(), conversation(1)); err != nil || got != secrets[n] {
							t.Errorf("with %d done, the secret of account %d: %v", cut, n, err)
						}
						closeKeys(t, a)
					}
				}
				rewrap := func(from, to int, root seal.Key) {
					t.Helper()
					for n := from; n < to; n++ {
						if n%2 == 0 {
							r, err := keys.OpenRoots(dir, root)
							if err == nil {
								err = keys.RewrapClosed(dir, id(n), r)
							}
							if err != nil {
								t.Fatal(err)
							}
							continue
						}
						a, err := open(n, root)
						if err != nil {
							t.Fatal(err)
						}
						if err := errors.Join(a.Rewrap(after), a.Rewrap(after), a.Rotate(t.Context())); err != nil {
							t.Fatal(err)
						}
						closeKeys(t, a)
					}
				}
				rewrap(0, cut, before)
				all(before)
				all(after)
				with := map[keys.Role]seal.Key{keys.Old: before, keys.New: after}[goesOn]
				rewrap(0, accounts, with)
				all(before)
				all(after)

				r, err = keys.OpenRoots(dir, before)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.End(dir); !errors.Is(err, store.ErrConflict) {
					t.Errorf("ended while the configuration names the old one: %v", err)
				}
				if r, err = keys.OpenRoots(dir, after); err == nil {
					err = r.End(dir)
				}
				if err != nil {
					t.Fatal(err)
				}
				all(after)
				if _, err := open(0, before); err == nil || !strings.Contains(err.Error(), "the root key does not open") {
					t.Errorf("the old root key at the end: %v", err)
				}
				if ids, err := keys.Accounts(dir); err != nil || len(ids) != accounts {
					t.Errorf("accounts with keys are %v, %v", ids, err)
				}
			})
		}
	}
}

func closeKeys(t *testing.T, a *keys.Account) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// Neither root key stands in any file of the keys' folder while it is replaced, and a
// file that was changed is refused.
func TestChangeFileTellsNothing(t *testing.T) {
	dir, before, after := t.TempDir(), seal.NewKey(), seal.NewKey()
	r, err := keys.OpenRoots(dir, before)
	if err == nil {
		err = r.Change(dir, after)
	}
	if err != nil {
		t.Fatal(err)
	}
	if inFiles(t, dir, before[:]) || inFiles(t, dir, after[:]) {
		t.Error("a root key is in a file")
	}
	if r, err := keys.OpenRoots(dir, seal.NewKey()); err != nil || r.Is != keys.Only {
		t.Errorf("a third root key is %v, %v", r, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "root.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenRoots(dir, before); err == nil || !strings.Contains(err.Error(), "which tells of the root key's replacement") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestCopyIsConfirmedOfOneKey(t *testing.T) {
	dir, k := t.TempDir(), seal.NewKey()
	if at := keys.CopyConfirmed(dir, k); !at.IsZero() {
		t.Errorf("confirmed on %v before it was", at)
	}
	now := time.Now()
	if err := keys.ConfirmCopy(dir, k, now); err != nil {
		t.Fatal(err)
	}
	if at := keys.CopyConfirmed(dir, k); !at.Equal(now) {
		t.Errorf("confirmed on %v, want %v", at, now)
	}
	if at := keys.CopyConfirmed(dir, seal.NewKey()); !at.IsZero() {
		t.Errorf("another key was confirmed on %v", at)
	}
	if inFiles(t, dir, []byte(keys.Fingerprint(k))) {
		t.Error("the fingerprint that is asked for is in a file")
	}
}
