package backup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store/backup"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/store/sqlite/conn"
)

// earlier makes the files that the program of an earlier schema has left (see
// store/sqlite/earlier_test.go), which nobody has opened since.
func earlier(t *testing.T, schema int) *place {
	t.Helper()
	p := newPlace(t, true)
	p.close(p.keys, p.store)
	for _, dir := range []string{"keys", "data"} {
		if err := os.RemoveAll(p.path(dir)); err != nil {
			t.Fatal(err)
		}
	}
	p.root, p.roots, p.agents = seal.Key{1, 2, 3}, []seal.Key{{1, 2, 3}}, p.agents[:2]
	from := fmt.Sprintf("../sqlite/testdata/earlier/%04d", schema)
	earlierFile(t, p.path("data/accounts/desk/data.db"), "../sqlite/migrations", schema, from+".data.sql")
	earlierFile(t, p.path("keys/desk.db"), "../keys/migrations", 1, from+".keys.sql")
	p.write("keys/desk.key", string(read(t, from+".key")))
	p.keep()
	return p
}

func earlierFile(t *testing.T, path, migrations string, schema int, content string) {
	t.Helper()
	scripts, err := filepath.Glob(migrations + "/*.sql")
	if err != nil || len(scripts) < schema {
		t.Fatal(scripts, err)
	}
	slices.Sort(scripts)
	if err := conn.MakeDir(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	db, err := conn.Open(conn.Config{Path: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, name := range append(scripts[:schema:schema], content) {
		if err := db.Script(string(read(t, name))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := db.Script(fmt.Sprintf("PRAGMA user_version = %d", schema)); err != nil {
		t.Fatal(err)
	}
}

// pieces are those of the account's data in the newest copy.
func (p *place) pieces() []backup.Piece {
	p.t.Helper()
	_, m := p.newest(p.data[0])
	return m.Chains[slices.IndexFunc(m.Chains, func(c backup.Chain) bool { return c.Kind == backup.Data })].Pieces
}

// Copies of accounts that no program of this schema has opened yet are made, and restored
// with this one, without another copy beside them. When the schema has changed, the next
// piece is a full one, and those of before are good still.
func TestCopiesOfEarlierSchemas(t *testing.T) {
	for schema := 1; schema < sqlite.SchemaVersion(); schema++ {
		t.Run(fmt.Sprint(schema), func(t *testing.T) {
			p := earlier(t, schema)
			p.mustCopy(false)
			before := p.clock()
			check := func(q *place, more string) {
				t.Helper()
				if got := q.all(1); !strings.HasPrefix(got, "message 0 message 1 ") || !strings.HasSuffix(got, "message 19"+more) {
					t.Errorf("Ben reads %q", got)
				}
				if all, err := conn.Copies(q.path("data/accounts/desk/data.db")); err != nil || len(all) > 0 {
					t.Errorf("beside what was restored there is %v, %v", all, err)
				}
				db, err := conn.Open(conn.Config{Path: q.path("data/accounts/desk/data.db"), ReadOnly: true})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				if n, err := db.Number("PRAGMA user_version"); err != nil || int(n) != sqlite.SchemaVersion() {
					t.Errorf("it has schema %d, %v", n, err)
				}
			}
			q, _ := p.restore(time.Time{})
			check(q, "")

			p.open() // which migrates
			p.say(0, 1, "more")
			p.mustCopy(false)
			if n := len(p.pieces()); n != 1 {
				t.Errorf("after the schema has changed the copy has %d pieces", n)
			}
			q, _ = p.restore(time.Time{})
			check(q, " more")
			q, _ = p.restore(before)
			check(q, "")
		})
	}
}
