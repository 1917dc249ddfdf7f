package people_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A house is an installation with people.
type house struct {
	t    *testing.T
	dir  string
	root seal.Key
	now  time.Time
	keys map[string]*keys.Account
}

func newHouse(t *testing.T) *house {
	return &house{t: t, dir: t.TempDir(), root: seal.NewKey(), now: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC), keys: make(map[string]*keys.Account)}
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) file(account string) string {
	return filepath.Join(h.dir, "data", account, people.File)
}

// try opens an account's people.
func (h *house) try(account string) (*people.People, error) {
	h.t.Helper()
	if h.keys[account] == nil {
		k, err := keys.Open(h.t.Context(), keys.Config{Dir: filepath.Join(h.dir, "keys"), Account: account, Root: h.root})
		h.must(err)
		h.t.Cleanup(func() { h.must(k.Close()) })
		h.keys[account] = k
	}
	return people.Open(h.t.Context(), people.Config{Dir: filepath.Join(h.dir, "data", account), Account: account, Keys: h.keys[account],
		Now: func() time.Time { return h.now }})
}

func (h *house) open(account string) *people.People {
	h.t.Helper()
	p, err := h.try(account)
	h.must(err)
	h.t.Cleanup(func() { h.must(p.Close()) })
	return p
}

func (h *house) know(p *people.People, s people.Said) string {
	h.t.Helper()
	id, err := p.Know(h.t.Context(), s)
	h.must(err)
	return id
}

// secrets counts those of people.
func (h *house) secrets(account string) (n int) {
	h.t.Helper()
	h.must(h.keys[account].All(h.t.Context(), keys.OfPerson, func(keys.ID) { n++ }))
	return n
}

var mia = people.Said{Subject: "customer-17", Name: "Mia Rossi", Email: "Mia@Home.example", Phone: "+39 055 1234"}

// KIS-4: somebody has one id in an account, and in another one that has nothing to do with it; nothing of them can be
// read in the file, and equality is told by nothing but the key.
func TestOneIDInEachAccount(t *testing.T) {
	h := newHouse(t)
	desk, shop := h.open("desk"), h.open("shop")
	is := h.know(desk, mia)
	if again := h.know(desk, people.Said{Subject: "customer-17", Email: "mia@home.example"}); again != is {
		t.Errorf("the same person is %s and %s", is, again)
	}
	if other := h.know(desk, people.Said{Subject: "Customer-17", Email: mia.Email}); other == is {
		t.Error("another subject is the same person")
	}
	there := h.know(shop, mia)
	if there == is {
		t.Errorf("in two accounts one is %s", is)
	}
	who, err := shop.Show(t.Context(), there)
	h.must(err)
	if who.Said != mia || !who.Made.Equal(h.now) {
		t.Errorf("kept is %+v", who)
	}
	var marks [][]byte
	for _, account := range []string{"desk", "shop"} {
		db, err := conn.Open(conn.Config{Path: h.file(account), ReadOnly: true})
		h.must(err)
		h.must(db.Query("SELECT value FROM mark", nil, func(r conn.Row) error {
			for _, m := range marks {
				if account == "shop" && bytes.Equal(m, r.Blob(0)) {
					t.Error("a mark of one account is one of the other")
				}
			}
			marks = append(marks, r.Blob(0))
			return nil
		}))
		h.must(db.Close())
		for _, suffix := range []string{"", "-wal"} {
			text, err := os.ReadFile(h.file(account) + suffix)
			h.must(err)
			for _, said := range []string{"customer-17", "Rossi", "home.example", "Home.example", "055"} {
				if strings.Contains(string(text), said) {
					t.Errorf("%s%s holds %q", h.file(account), suffix, said)
				}
			}
		}
	}
	if len(marks) < 6 {
		t.Errorf("there are %d marks", len(marks))
	}
}

// Whoever has something in common is found by it, however it is written.
func TestFind(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	is := h.know(p, mia)
	other := h.know(p, people.Said{Subject: "customer-18", Email: "mia@home.example"})
	found := func(f people.Field, value string) (ids []string) {
		t.Helper()
		list, err := p.Find(t.Context(), f, value)
		h.must(err)
		for _, who := range list {
			ids = append(ids, who.ID)
		}
		return ids
	}
	if got := found(people.ByEmail, " MIA@home.EXAMPLE "); len(got) != 2 {
		t.Errorf("by e-mail there are %q, want %s and %s", got, is, other)
	}
	for value, want := range map[string]int{"0039 055 1234": 0, "+39055-1234": 1, "": 0, "-": 0} {
		if got := found(people.ByPhone, value); len(got) != want {
			t.Errorf("by the phone %q there are %q", value, got)
		}
	}
	// What is not said any more finds nobody.
	h.know(p, people.Said{Subject: "customer-17", Name: "Mia"})
	if got := found(people.ByEmail, mia.Email); len(got) != 1 || got[0] != other {
		t.Errorf("by an e-mail of before there are %q", got)
	}
}

// Callers at once get one id.
func TestKnownOnce(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	ids := make([]string, 8)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			var err error
			if ids[i], err = p.Know(t.Context(), mia); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one person is %q", ids)
		}
	}
	if h.secrets("desk") != 1 {
		t.Errorf("there are %d secrets", h.secrets("desk"))
	}
}

// Who is erased is gone with their secret, and comes again as somebody new; the tombstone stays.
func TestErase(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	is := h.know(p, mia)
	h.must(p.Erase(t.Context(), is))
	if _, err := p.Show(t.Context(), is); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("who was erased is shown: %v", err)
	}
	if list, err := p.Find(t.Context(), people.ByEmail, mia.Email); err != nil || len(list) != 0 || h.secrets("desk") != 0 {
		t.Errorf("found are %v, %v; there are %d secrets", list, err, h.secrets("desk"))
	}
	h.must(p.Erase(t.Context(), "v_stranger"))
	if ids, err := p.Unfinished(); err != nil || len(ids) != 2 {
		t.Errorf("unfinished are %v, %v", ids, err)
	}
	h.must(p.Told("v_stranger"))
	h.must(p.Done(is))
	h.must(p.Close())
	p = h.open("desk")
	if ids, err := p.Unfinished(); err != nil || len(ids) != 1 || ids[0] != (people.Erasure{ID: "v_stranger", At: h.now, Told: true}) || !p.Pending() {
		t.Errorf("after opening again unfinished are %v, %v", ids, err)
	}
	if at, err := p.Erased(is); err != nil || !at.Equal(h.now) {
		t.Errorf("erased at %s, %v", at, err)
	}
	if again := h.know(p, mia); again == is {
		t.Error("who was erased has the id of before")
	}
}

// Who did not come for long is forgotten, unless they come again meanwhile.
func TestForget(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	is := h.know(p, mia)
	h.now = h.now.Add(24 * time.Hour)
	h.know(p, people.Said{Subject: "new"})
	list, err := p.Unseen(h.now, people.Person{}, 10)
	if err != nil || len(list) != 1 || list[0].ID != is {
		t.Fatalf("unseen are %v, %v", list, err)
	}
	if list, err := p.Unseen(h.now, list[0], 10); err != nil || len(list) != 0 {
		t.Errorf("after them there are %v, %v", list, err)
	}
	before := h.now
	h.now = h.now.Add(time.Second)
	h.know(p, mia)
	if gone, err := p.Forget(t.Context(), is, before); err != nil || gone {
		t.Errorf("who came again is forgotten: %v, %v", gone, err)
	}
	if gone, err := p.Forget(t.Context(), is, h.now.Add(time.Hour)); err != nil || !gone || h.secrets("desk") != 1 {
		t.Errorf("forgotten: %v, %v; %d secrets are left", gone, err, h.secrets("desk"))
	}
	if gone, err := p.Forget(t.Context(), is, h.now.Add(time.Hour)); err != nil || gone {
		t.Errorf("forgotten again: %v, %v", gone, err)
	}
}

// What a crash leaves: a secret without a row, made for nothing or to be destroyed, goes at the next start.
func TestCrashLeavesNoSecret(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	is := h.know(p, mia)
	_, err := h.keys["desk"].Create(t.Context(), keys.ID{Owner: keys.OfPerson, Number: 7, Generation: 1})
	h.must(err)
	h.must(p.Close())
	p = h.open("desk")
	if who, err := p.Show(t.Context(), is); err != nil || who.Said != mia || h.secrets("desk") != 1 {
		t.Errorf("there is %+v, %v; secrets: %d", who, err, h.secrets("desk"))
	}
}

// Keys are turned without anybody being lost.
func TestAccountKeyIsReplaced(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	is := h.know(p, mia)
	h.must(h.keys["desk"].Rotate(t.Context()))
	h.must(h.keys["desk"].Close())
	h.must(p.Close())
	h.keys = make(map[string]*keys.Account)
	p = h.open("desk")
	if again := h.know(p, mia); again != is {
		t.Errorf("after the key was replaced %s is %s", is, again)
	}
}

// A file that is not the account's, or is missing, is said so; it is the owner's alone.
func TestWrongFile(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	h.know(p, mia)
	h.must(p.Close())
	if info, err := os.Stat(h.file("desk")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(h.file("desk"))
	h.must(err)
	h.must(os.MkdirAll(filepath.Dir(h.file("shop")), 0o700))
	h.must(os.WriteFile(h.file("shop"), text, 0o600))
	if _, err := h.try("shop"); err == nil || !strings.Contains(err.Error(), `account "desk"'s`) {
		t.Errorf("another account's file: %v", err)
	}
	h.must(os.Remove(h.file("desk")))
	if _, err := h.try("desk"); err == nil || !strings.Contains(err.Error(), "put the file back") {
		t.Errorf("a file that is missing: %v", err)
	}
	if n := h.secrets("desk"); n != 1 {
		t.Errorf("%d secrets are left, want the one that the file needs", n)
	}
}

// What was changed outside the server is told, and nobody is taken for somebody else.
func TestTampered(t *testing.T) {
	for name, change := range map[string]string{
		"data":              "UPDATE person SET data = zeroblob(length(data))",
		"an older version":  "UPDATE person SET version = version + 1",
		"another's mark":    "UPDATE mark SET person = (SELECT number FROM person p WHERE p.number <> mark.person)",
		"a mark taken away": "DELETE FROM mark WHERE field = 2",
		"a row taken away":  "DELETE FROM person",
		"another id":        "UPDATE person SET id = 'p_' || id",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			p := h.open("desk")
			h.know(p, mia)
			h.know(p, people.Said{Subject: "customer-18"})
			h.must(p.Verify(t.Context(), true))
			db, err := conn.Open(conn.Config{Path: h.file("desk")})
			h.must(err)
			h.must(db.Exec(change))
			h.must(db.Close())
			if err := p.Verify(t.Context(), true); !errors.Is(err, store.ErrTampered) {
				t.Errorf("verified: %v", err)
			}
			if strings.HasSuffix(name, "taken away") {
				return // who is not found is somebody new
			}
			if id, err := p.Know(t.Context(), mia); !errors.Is(err, store.ErrTampered) {
				t.Errorf("known as %q, %v", id, err)
			}
		})
	}
}

// An older file that is put back brings nobody back who was erased.
func TestOlderFile(t *testing.T) {
	h := newHouse(t)
	p := h.open("desk")
	is := h.know(p, mia)
	h.must(p.Close())
	old, err := os.ReadFile(h.file("desk"))
	h.must(err)
	p = h.open("desk")
	h.must(p.Erase(t.Context(), is))
	h.must(p.Close())
	h.must(os.WriteFile(h.file("desk"), old, 0o600))
	p = h.open("desk")
	if _, err := p.Show(t.Context(), is); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("who was erased is shown: %v", err)
	}
	if err := p.Verify(t.Context(), false); !errors.Is(err, store.ErrTampered) {
		t.Errorf("verified: %v", err)
	}
	if again := h.know(p, mia); again == is {
		t.Error("who was erased has the id of before")
	}
	h.must(p.Verify(t.Context(), false))
}

// A file at rest is opened again.
func TestRest(t *testing.T) {
	h := newHouse(t)
	k, err := keys.Open(t.Context(), keys.Config{Dir: filepath.Join(h.dir, "keys"), Account: "desk", Root: h.root})
	h.must(err)
	defer k.Close()
	p, err := people.Open(context.Background(), people.Config{Dir: filepath.Join(h.dir, "data", "desk"), Account: "desk", Keys: k, Idle: time.Nanosecond})
	h.must(err)
	defer p.Close()
	is := h.know(p, mia)
	for range 5 {
		if again := h.know(p, mia); again != is {
			t.Errorf("after a rest %s is %s", is, again)
		}
	}
	h.must(p.Close())
	if _, err := p.Know(t.Context(), mia); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}
