package backup_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"parley.im/parley/store"
	"parley.im/parley/store/backup"
	"parley.im/parley/store/sqlite/conn"
)

// objects are the files of a target below a folder, in order.
func (p *place) objects(parts ...string) (list []string) {
	p.t.Helper()
	err := filepath.WalkDir(p.path(append([]string{"targets"}, parts...)...), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// fails tells what a restore of the newest copy complains of.
func (p *place) fails(identity age.Identity) string {
	p.t.Helper()
	dir := filepath.Join(p.t.TempDir(), "back")
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[0], Identities: []age.Identity{identity}, Dir: dir}
	_, err := r.Run(p.t.Context())
	if err == nil {
		p.t.Fatal("the restore did not fail")
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 0 {
		p.t.Errorf("the restore that failed left %v, %v", entries, err)
	}
	return err.Error()
}

func (p *place) change(path string, change func([]byte) []byte) {
	p.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, change(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// What is wrong with a copy is told, with what is affected by it, and nothing is
// restored.
func TestDamagedCopiesAreTold(t *testing.T) {
	p := newPlace(t, true)
	p.say(0, 1, "one")
	p.mustCopy(false)
	p.say(0, 1, "two")
	p.mustCopy(false)
	p.say(0, 1, "three")
	p.mustCopy(false)
	cut := func(b []byte) []byte { return b[:len(b)-20] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	data := func() []string { return p.objects("data-a", "data") }
	newest := func(target string) string {
		all := p.objects(target, "manifests")
		return all[len(all)-1]
	}
	for _, c := range []struct {
		name string
		do   func()
		want string
	}{
		{"a cut piece", func() { p.change(data()[1], cut) }, `account desk: data: in .*data-a, data/desk/.*000001-.* is cut off: it has \d+ of \d+ bytes`},
		{"a changed piece", func() { p.change(data()[0], flip) }, `account desk: data: in .*data-a, data/desk/.*000000-.* is not what was written`},
		{"a longer piece", func() { p.change(data()[0], func(b []byte) []byte { return append(b, 0) }) }, `is not what was written`},
		{"a missing piece", func() {
			if err := os.Remove(data()[2]); err != nil {
				t.Fatal(err)
			}
		}, `account desk: data: in .*data-a, data/desk/.*000002-.* is missing`},
		{"two pieces swapped", func() {
			a, b := data()[1], data()[2]
			ta, tb := read(t, a), read(t, b)
			p.change(a, func([]byte) []byte { return tb })
			p.change(b, func([]byte) []byte { return ta })
		}, `000001-.* is (not what was written|cut off)`},
		{"a cut manifest", func() { p.change(newest("data-a"), cut) }, `the manifest manifests/.* was changed or cut off`},
		{"a changed manifest", func() {
			p.change(newest("data-a"), func(b []byte) []byte { return []byte(strings.Replace(string(b), `"seq"`, `"qes"`, 1) + " ") })
		}, `the manifest manifests/.* was changed or cut off`},
		{"a cut piece of keys", func() { p.change(p.objects("keys-a", "keys")[0], cut) }, `account desk: keys: in .*keys-a, keys/desk/.* is cut off`},
		{"no copy of keys", func() {
			if err := os.RemoveAll(p.path("targets", "keys-a", "manifests")); err != nil {
				t.Fatal(err)
			}
		}, `there is no copy in .*keys-a`},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := p.t.TempDir()
			if err := os.CopyFS(filepath.Join(kept, "targets"), os.DirFS(p.path("targets"))); err != nil {
				t.Fatal(err)
			}
			c.do()
			if got := p.fails(p.identity); !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if err := os.RemoveAll(p.path("targets")); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(p.path("targets"), os.DirFS(filepath.Join(kept, "targets"))); err != nil {
				t.Fatal(err)
			}
		})
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if got := p.fails(other); !strings.Contains(got, "is sealed to another identity") {
		t.Errorf("with another identity: %s", got)
	}
	if q, _ := p.restore(time.Time{}); q.all(0) != "one two three" {
		t.Errorf("untouched, Anna reads %s", q.all(0))
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Pieces whose hashes somebody has fitted into a manifest are noticed by what is sealed
// in them.
func TestSwappedPiecesAreNoticedInside(t *testing.T) {
	p := newPlace(t, true)
	for _, text := range []string{"one", "two", "three"} {
		p.say(0, 1, text)
		p.mustCopy(false)
	}
	found, err := backup.Copies(t.Context(), p.data[0])
	if err != nil {
		t.Fatal(err)
	}
	m, err := backup.Read(t.Context(), p.data[0], found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Chains {
		if c := &m.Chains[i]; c.Kind == backup.Data {
			c.Pieces[1], c.Pieces[2] = c.Pieces[2], c.Pieces[1]
		}
	}
	m.Time = m.Time.Add(time.Hour)
	if err := backup.WriteManifest(t.Context(), p.data[0], m); err != nil {
		t.Fatal(err)
	}
	if got := p.fails(p.identity); !strings.Contains(got, "is another piece: number 2 of the data of account \"desk\"") {
		t.Error(got)
	}
}

// A copy that a newer program made is refused with a sentence.
func TestNewerCopiesAreRefused(t *testing.T) {
	p := newPlace(t, true)
	db, err := conn.Open(conn.Config{Path: p.path("data", "accounts", "desk", "data.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Script("PRAGMA user_version = 9999"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	p.mustCopy(true)
	if got := p.fails(p.identity); !strings.Contains(got, "it has schema 9999, this program knows") ||
		!strings.Contains(got, "was written by a newer version of this program") {
		t.Error(got)
	}
}

// A restore never puts anything over what is there.
func TestRestoreOverwritesNothing(t *testing.T) {
	p := newPlace(t, true)
	p.mustCopy(false)
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[0], Identities: []age.Identity{p.identity}, Dir: dir}
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("Run = %v", err)
	}
	if text := read(t, kept); string(text) != "mine" {
		t.Errorf("the file is %q", text)
	}
	r.Dir = filepath.Join(dir, "other")
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
	r.At = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	r.Dir = filepath.Join(dir, "third")
	if _, err := r.Run(t.Context()); !errors.Is(err, backup.ErrNoCopy) {
		t.Errorf("a copy of 2020: %v", err)
	}
}

// What was shredded, and who was deleted, after a copy stays so when that copy is
// restored: also where nothing is sealed, so that no secret is missing.
func TestShreddedStaysShredded(t *testing.T) {
	forSealedAndPlain(t, func(t *testing.T, sealed bool) {
		p := newPlace(t, sealed)
		between := p.say(0, 1, "to-be-shredded")
		p.say(0, 1, "to-be-shredded-too")
		p.say(0, 2, "with-cleo")
		p.mustCopy(false)
		before := p.clock()
		p.later(time.Minute)
		if err := p.store.Shred(t.Context(), between); err != nil {
			t.Fatal(err)
		}
		if err := p.store.DeleteAgent(t.Context(), p.agents[2]); err != nil {
			t.Fatal(err)
		}
		p.say(0, 1, "anew")
		p.mustCopy(false)

		q, report := p.restore(before)
		if got := q.all(0); got != "with-cleo" {
			t.Errorf("as it was before, Anna reads %q", got)
		}
		if report.Accounts[0].Shredded != 1 {
			t.Errorf("%d conversations stay shredded", report.Accounts[0].Shredded)
		}
		if err := q.store.Transcript(t.Context(), between, func(*store.Entry) error { return nil }); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the transcript of what was shredded: %v", err)
		}
		if agents, err := q.store.Agents(t.Context()); err != nil || len(agents) != 2 {
			t.Errorf("there are agents %v, %v: Cleo was deleted", agents, err)
		}
		for _, path := range []string{"data.db", "data.db-wal"} {
			text, err := os.ReadFile(q.path("data", "accounts", "desk", path))
			if err == nil && strings.Contains(string(text), "to-be-shredded") {
				t.Errorf("%s holds what was shredded", path)
			}
		}
		if q, _ := p.restore(time.Time{}); q.all(0) != "with-cleo anew" {
			t.Errorf("as it was last, Anna reads %q", q.all(0))
		}
	})
}

// Where the newest keys are older than the data, what they open is there, and the rest is
// locked, not destroyed: the keys may be found yet.
func TestKeysOlderThanData(t *testing.T) {
	p := newPlace(t, true)
	p.say(0, 1, "one")
	p.mustCopy(false)
	for _, name := range []string{"keys-a", "keys-b"} {
		if err := os.Rename(p.path("targets", name), p.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	p.later(time.Minute)
	p.say(0, 2, "two")
	p.say(0, 1, "three")
	if trouble := p.copy(false); len(trouble) != 2 {
		t.Errorf("trouble with %v, want it with both places of keys", trouble)
	}
	for _, name := range []string{"keys-a", "keys-b"} {
		if err := os.Rename(p.path(name), p.path("targets", name)); err != nil {
			t.Fatal(err)
		}
	}
	q := &place{t: t, dir: filepath.Join(t.TempDir(), "back"), root: p.root, sealed: true, now: p.clock(), agents: p.agents}
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[0], Identities: []age.Identity{p.identity}, Dir: q.dir}
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a := report.Accounts[0]; !a.Locked || a.Shredded != 0 {
		t.Errorf("the report is %+v", a)
	}
	q.open()
	if got := q.all(0); got != "one locked three" {
		t.Errorf("Anna reads %q", got)
	}
}

// An account that was deleted does not come back with an older copy.
func TestDeletedAccountsStayDeleted(t *testing.T) {
	p := newPlace(t, true)
	p.say(0, 1, "one")
	p.mustCopy(false)
	before := p.clock()
	p.later(time.Minute)
	c := p.config()
	c.Accounts = func() []string { return nil }
	k, err := backup.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Now(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[0], Identities: []age.Identity{p.identity}, Dir: filepath.Join(t.TempDir(), "back"), At: before}
	report, err := r.Run(t.Context())
	if err != nil || len(report.Accounts) != 0 || !slices.Equal(report.Deleted, []string{"desk"}) {
		t.Errorf("Run = %+v, %v", report, err)
	}
	if entries, err := os.ReadDir(r.Dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %v, %v: only the configuration should be", entries, err)
	}
}
