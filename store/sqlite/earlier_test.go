package sqlite_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// earlierFiles makes the files that the program of an earlier schema has left: what it
// wrote stands as SQL in testdata/earlier, and its tables are those of the migrations up
// to then. Twenty messages of Anna's to Ben, a note of hers, and one of everything else.
func earlierFiles(t *testing.T, schema int) *files {
	t.Helper()
	f := newFiles(t)
	f.root = seal.Key{1, 2, 3}
	from := fmt.Sprintf("testdata/earlier/%04d", schema)
	makeFile(t, f.data()+"/data.db", scripts(t, "migrations")[:schema], schema, from+".data.sql")
	makeFile(t, f.secrets()+"/desk.db", scripts(t, "../keys/migrations")[:1], 1, from+".keys.sql")
	key, err := os.ReadFile(from + ".key")
	if err == nil {
		err = os.WriteFile(f.secrets()+"/desk.key", key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scripts are the migrations in a folder.
func scripts(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(dir + "/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	slices.Sort(names)
	return names
}

func makeFile(t *testing.T, path string, migrations []string, schema int, content string) {
	t.Helper()
	if err := conn.MakeDir(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	db, err := conn.Open(conn.Config{Path: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, name := range append(slices.Clone(migrations), content) {
		text, err := os.ReadFile(name)
		if err == nil {
			err = db.Script(string(text))
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := db.Script(fmt.Sprintf("PRAGMA user_version = %d", schema)); err != nil {
		t.Fatal(err)
	}
}

// What the program of each earlier schema has kept is read the same by this one, and
// everything goes on from there.
func TestEarlierSchemas(t *testing.T) {
	newest := len(scripts(t, "migrations"))
	for schema := 1; schema < len(scripts(t, "migrations")); schema++ {
		t.Run(fmt.Sprint(schema), func(t *testing.T) {
			f := earlierFiles(t, schema)
			f.open()
			check := func(more ...string) {
				t.Helper()
				want := []string{}
				for i := range 20 {
					want = append(want, fmt.Sprint("message ", i))
				}
				if got := f.page(2); !slices.Equal(got, append(want, more...)) {
					t.Errorf("Ben sees %q", got)
				}
				if n := len(f.page(1)); n != 21+len(more) {
					t.Errorf("Anna sees %d", n)
				}
				f.verify()
			}
			check()
			ctx := t.Context()
			endpoints, err := f.store.Endpoints(ctx)
			if err != nil || len(endpoints) != 1 || endpoints[0].Secret != "whsec_1" || endpoints[0].Cursor != 3 {
				t.Errorf("endpoints are %+v, %v", endpoints, err)
			}
			attempts, err := f.store.Attempts(ctx, "wh_1", 10)
			if err != nil || len(attempts) != 1 || string(attempts[0].Answer) != "thanks" {
				t.Errorf("attempts are %+v, %v", attempts, err)
			}
			if retries, err := f.store.Retries(ctx, "wh_1"); err != nil || len(retries) != 1 {
				t.Errorf("retries are %+v, %v", retries, err)
			}
			if creds, err := f.store.Credentials(ctx, 1); err != nil || len(creds) != 1 || string(creds[0].Verifier) != "v" {
				t.Errorf("credentials are %+v, %v", creds, err)
			}
			if d, err := f.store.Delivery(ctx, 2); err != nil || d.Cursor != 4 || len(d.Acked) != 1 {
				t.Errorf("what Ben has received is %+v, %v", d, err)
			}
			if v, err := f.store.Setting(ctx, "iterations"); err != nil || v != "10000" {
				t.Errorf("a setting is %q, %v", v, err)
			}
			own, err := f.store.OwnNamed(ctx, 1, store.OwnContacts, "ben@desk.example")
			if want := map[bool]string{true: "a friend"}[schema > 1]; err != nil || string(own) != want {
				t.Errorf("Anna's contact is %q, %v, want %q", own, err, want)
			}
			if resumes, err := f.store.TakeResumes(ctx); err != nil || len(resumes) != 1 || string(resumes[0].State) != "state" {
				t.Errorf("sessions are %+v, %v", resumes, err)
			}

			// The copy is what was there, and holds nothing in clear.
			name := fmt.Sprintf("%s/data.db.before-%04d", f.data(), newest)
			db, err := conn.Open(conn.Config{Path: name, ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			version, err := db.Number("PRAGMA user_version")
			if n, err2 := db.Number("SELECT count(*) FROM log"); errors.Join(err, err2, db.Close()) != nil || int(version) != schema || n != 22 {
				t.Errorf("the copy has schema %d and %d records, %v, %v", version, n, err, err2)
			}
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the copy has mode %v, %v", info.Mode(), err)
			}
			if where := found(t, f.dir, "message 1"); len(where) > 0 {
				t.Errorf("what was said is in %v", where)
			}

			f.say(f.direct(1, 2), 2, "and on")
			check("and on")
			f.close()
			f.open()
			check("and on")
			f.close()

			// It is left for a week.
			if _, err := os.Stat(name); err != nil {
				t.Errorf("the copy after another start: %v", err)
			}
			old := time.Now().Add(-conn.CopiesFor - time.Hour)
			if err := os.Chtimes(name, old, old); err != nil {
				t.Fatal(err)
			}
			f.open()
			if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the copy after a week: %v", err)
			}
		})
	}
}

// Whatever a kill has left of a copy or a migration, the next start makes good.
func TestMigrationIsCutShort(t *testing.T) {
	for _, left := range []string{"a part of a copy", "a copy of another time", "one migration of several"} {
		f := earlierFiles(t, 2)
		name := fmt.Sprintf("%s/data.db.before-%04d", f.data(), len(scripts(t, "migrations")))
		switch left {
		case "a part of a copy":
			if err := os.WriteFile(name+".part", []byte("SQLite format 3"), 0o600); err != nil {
				t.Fatal(err)
			}
		case "a copy of another time":
			if err := os.WriteFile(name, []byte("something"), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			db, err := conn.Open(conn.Config{Path: f.data() + "/data.db"})
			if err != nil {
				t.Fatal(err)
			}
			script, err := os.ReadFile(scripts(t, "migrations")[2])
			if err == nil {
				err = errors.Join(db.Script(string(script)), db.Script("PRAGMA user_version = 3"), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		f.open()
		f.verify()
		if n := len(f.page(1)); n != 21 {
			t.Errorf("with %s left, Anna sees %d", left, n)
		}
		if _, err := os.Stat(name + ".part"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("with %s left, a part of a copy: %v", left, err)
		}
		db, err := conn.Open(conn.Config{Path: name, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := db.Number("SELECT count(*) FROM log"); errors.Join(err, db.Close()) != nil || n != 22 {
			t.Errorf("with %s left, the copy has %d records, %v", left, n, err)
		}
	}
}

// What was said in clear is not to be found in a copy, either, when it has expired.
func TestCopyGoesWithWhatExpires(t *testing.T) {
	f, cal := keeping(t, 4*day)
	f.sealed = false
	f.open()
	anna := f.agent("anna")
	f.sayNow(f.direct(anna, anna), anna, "MARK")
	f.close()
	copied, err := os.ReadFile(f.data() + "/data.db")
	if err == nil {
		err = os.WriteFile(f.data()+"/data.db.before-0009", copied, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.open()
	if where := found(t, f.dir, "MARK"); len(where) != 2 {
		t.Fatalf("the mark is in %v", where)
	}
	cal.pass(5 * day)
	f.expire()
	if where := found(t, f.dir, "MARK"); len(where) != 0 {
		t.Errorf("the mark is in %v", where)
	}
}

// A file of a newer program is refused, and left as it is.
func TestNewerSchemaIsRefused(t *testing.T) {
	f := newFiles(t)
	f.open()
	f.close()
	f.sql("PRAGMA user_version = 999")
	err := f.try()
	if !errors.Is(err, conn.ErrNewer) || !strings.Contains(err.Error(), "data.db: it has schema 999, this program knows") {
		t.Errorf("open = %v", err)
	}
	if n := f.number("PRAGMA user_version"); n != 999 {
		t.Errorf("it was changed to schema %d", n)
	}
	f.store = nil
}
