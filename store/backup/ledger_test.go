package backup_test

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"parley.im/parley/store/backup"
	"parley.im/parley/store/sqlite/conn"
)

// What was put back to an older state before a copy was made is not washed clean by it.
func TestOlderRowsAreNoticedInCopies(t *testing.T) {
	p := newPlace(t, true)
	for _, value := range []string{"lax", "strict"} {
		if err := p.store.SetSetting(t.Context(), "policy", value); err != nil {
			t.Fatal(err)
		}
	}
	p.mustCopy(false)
	p.restore(time.Time{}) // which finds nothing
	db, err := conn.Open(conn.Config{Path: p.path("data/accounts/desk/data.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Exec("UPDATE setting SET value = 'lax' WHERE name = 'policy'"); err != nil {
		t.Fatal(err)
	}
	p.mustCopy(false)
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[0], Identities: []age.Identity{p.identity}, Dir: p.path("back")}
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := backup.Verify(t.Context(), r.Dir, report, p.root, slog.New(slog.NewTextHandler(io.Discard, nil))); err == nil || !strings.Contains(err.Error(), "settings: a row was changed") {
		t.Errorf("Verify = %v", err)
	}
}

// An agent who was deleted after the copy stays deleted, and nothing is held against that.
func TestDeletedAgentIsNotMissed(t *testing.T) {
	p := newPlace(t, true)
	p.say(0, 2, "goodbye")
	p.mustCopy(false)
	before := p.clock()
	p.later(time.Minute)
	if err := p.store.DeleteAgent(t.Context(), p.agents[2]); err != nil {
		t.Fatal(err)
	}
	p.mustCopy(false)
	q, _ := p.restore(before) // which verifies
	if agents, err := q.store.Agents(t.Context()); err != nil || len(agents) != 2 {
		t.Errorf("agents are %+v, %v", agents, err)
	}
}
