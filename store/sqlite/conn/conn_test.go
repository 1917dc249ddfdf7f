package conn_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"parley.im/parley/store/sqlite/conn"
)

func open(t *testing.T, cfg conn.Config) *conn.Conn {
	t.Helper()
	c, err := conn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// What a path holds means nothing to the driver.
func TestOddPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?mode=ro&x#y%20.db")
	if _, err := conn.Open(conn.Config{Path: path}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	c := open(t, conn.Config{Path: path, Create: true})
	if err := c.Script("CREATE TABLE t (a, b, c)"); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec("INSERT INTO t VALUES (?, ?, ?), (?, ?, ?)", 1, "x", []byte{7}, nil, true, []byte(nil)); err != nil {
		t.Fatal(err)
	}
	r := open(t, conn.Config{Path: path, ReadOnly: true})
	var rows []string
	if err := r.Query("SELECT a, b, c, typeof(c) FROM t", nil, func(row conn.Row) error {
		rows = append(rows, strings.Repeat("|", int(row.Int(0)))+row.Text(1)+string(row.Blob(2))+row.Text(3))
		return nil
	}); err != nil || strings.Join(rows, " ") != "|x\ablob blob" {
		t.Errorf("rows are %q, %v", rows, err)
	}
	if err := r.Exec("DELETE FROM t"); !conn.NoRoom(err) {
		t.Errorf("writing to a connection for reading: %v", err)
	}
	if err := c.Exec("INSERT INTO t VALUES (?)", 1.5); err == nil {
		t.Error("a kind of value that nothing here keeps is kept")
	}
}

// The settings hold for every connection.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	for _, c := range []*conn.Conn{open(t, conn.Config{Path: path, Create: true}), open(t, conn.Config{Path: path})} {
		for pragma, want := range map[string]int64{"synchronous": 2, "secure_delete": 1, "temp_store": 2,
			"foreign_keys": 1, "wal_autocheckpoint": 0, "auto_vacuum": 2} {
			if got, err := c.Number("PRAGMA " + pragma); err != nil || got != want {
				t.Errorf("%s is %d, %v, want %d", pragma, got, err, want)
			}
		}
	}
}

// A migration that fails leaves the file as it was, and says which.
func TestFailingMigration(t *testing.T) {
	c := open(t, conn.Config{Path: filepath.Join(t.TempDir(), "a.db"), Create: true})
	scripts := fstest.MapFS{
		"m/0001_one.sql": {Data: []byte("CREATE TABLE one (a)")},
		"m/0002_two.sql": {Data: []byte("CREATE TABLE two (a); CREATE TABLE one (a)")},
	}
	if err := c.Migrate(scripts, "m"); err == nil || !strings.Contains(err.Error(), "migrate to 2") {
		t.Errorf("Migrate = %v", err)
	}
	schema, err := c.Schema()
	if err != nil || !strings.Contains(schema, "one") || strings.Contains(schema, "two") {
		t.Errorf("the schema is %q, %v", schema, err)
	}
	scripts["m/0002_two.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE two (a)")}
	if err := c.Migrate(scripts, "m"); err != nil {
		t.Error(err)
	}
	delete(scripts, "m/0002_two.sql")
	if err := c.Migrate(scripts, "m"); !errors.Is(err, conn.ErrNewer) {
		t.Errorf("a file of a newer program: %v", err)
	}
}
