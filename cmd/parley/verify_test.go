package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley.im/parley/store/sqlite/conn"
)

// Each account is looked at, also where another does not even open, and what is affected
// is said in sentences.
func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, dir, config string, list func() []string) {
		must(t, "", "quickstart", "-dir", dir, "shop.example")
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "-config", config, "anna@desk.example")
		verify := []string{"verify", "-config", config, "-account", "desk"}
		if out := must(t, "", verify...); !strings.Contains(out, "desk: all is as it was written") {
			t.Errorf("verify: %s", out)
		}
		change := func(path, sql string) {
			t.Helper()
			db, err := conn.Open(conn.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.Exec(sql); err != nil {
				t.Fatal(err)
			}
		}
		data := filepath.Join(dir, "data/accounts/desk/data.db")
		change(data, "UPDATE credential SET sealed = zeroblob(length(sealed))")
		out, prose, err := typed(t, "", verify...)
		if err == nil || exitCode(err) != 1 || !strings.Contains(out, "desk: agent anna: credential 1: changed outside the server") ||
			!strings.Contains(prose, "faults found: 1") {
			t.Errorf("verify: %v, %s, %s", err, out, prose)
		}
		log := filepath.Join(dir, "data/accounts/desk/audit.log")
		text, err := os.ReadFile(log)
		if err == nil {
			err = os.WriteFile(log, []byte(strings.Replace(string(text), `"operator"`, `"visitors"`, 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, more := range []struct{ what, want string }{
			{"UPDATE agent SET role = 'owner'", "desk: name or role of agent anna: a row was changed"},
			{"", "desk: audit log: audit.log:2: record 1, or what comes before it, was changed"},
		} {
			if more.what != "" {
				change(data, more.what)
			}
			if out, _, err := typed(t, "", "verify", "-config", config); err == nil || !strings.Contains(out, more.want) {
				t.Errorf("verify: %v, %s, want %s", err, out, more.want)
			}
		}
		if list != nil {
			return // files of a server that runs are not for damaging
		}
		if err := os.WriteFile(filepath.Join(dir, "data/accounts/desk/data.db"), []byte("no database at all, but something else entirely"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _, err = typed(t, "", "verify", "-config", config)
		if err == nil || !strings.Contains(out, "desk: open account desk: ") || !strings.Contains(out, "shop: all is as it was written") {
			t.Errorf("verify: %v, %s", err, out)
		}
	})
}
