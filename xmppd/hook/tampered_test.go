package hook

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // whoever changes the store from outside

	"parley.im/parley/store"
)

// outside changes the store as somebody would who is not the server.
func (l *ledger) outside(query string, args ...any) {
	l.t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(l.dir, "data", "data.db")+"?_busy_timeout=10000")
	if err != nil {
		l.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		l.t.Fatal(err)
	}
}

// A record that was changed outside the server is never sent, is told in the delivery log and
// in the figures, and keeps nothing from those behind it, in order or not. Once it is mended it
// can be asked for again.
func TestTamperedRecordsArePassedBy(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		inBubble(t, func(t *testing.T, s *stage) {
			s.changed(func(e *store.Endpoint) { e.InOrder = ordered })
			s.m.say("one", "MARKER", "three")
			s.m.outside("CREATE TABLE aside AS SELECT ordinal, sealed FROM log")
			s.m.outside("UPDATE log SET sealed = zeroblob(length(sealed)) WHERE ordinal = 2")
			sender, stop := start(t, s.c, desk(s.m))
			pass(time.Minute)
			s.m.say("four")
			pass(time.Minute)
			if got := s.took(t, ordered); !slices.Equal(got, inOrderIf(ordered, "one", "three", "four")) {
				t.Errorf("ordered %v: came %q", ordered, got)
			}
			var told []store.Attempt
			for _, at := range s.m.tried("wh_1") {
				if at.Ordinal == 2 {
					told = append(told, at)
				}
			}
			if len(told) != 1 || told[0].Err != "not sent: the record was changed outside the server" || told[0].Status != 0 {
				t.Errorf("the delivery log tells of it: %+v", told)
			}
			if n := sender.Stats.Unreadable.Load(); n != 1 {
				t.Errorf("%d unreadable, want 1", n)
			}
			if e := s.m.get("wh_1"); e.Cursor != 4 || e.Disabled {
				t.Errorf("endpoint: %+v", e)
			}
			// Asked for again it is passed by again, and nothing turns round and round.
			dead, err := s.m.DeadLetters(t.Context(), "wh_1", time.Time{})
			if err != nil || len(dead) != 1 || dead[0] != 2 {
				t.Fatalf("dead letters: %v, %v", dead, err)
			}
			again := func() {
				if err := s.m.SendAgain(t.Context(), "wh_1", dead, time.Now()); err != nil {
					t.Fatal(err)
				}
				s.changed(func(e *store.Endpoint) { e.Again = time.Now().UTC() })
				sender.Reload("desk")
				pass(time.Hour)
			}
			again()
			if n := sender.Stats.Unreadable.Load(); n != 2 || len(s.m.rows("wh_1")) != 0 || len(s.all()) != 3 {
				t.Errorf("asked for again: %d unreadable, rows %+v, %d requests", n, s.m.rows("wh_1"), len(s.all()))
			}
			s.m.outside("UPDATE log SET sealed = (SELECT sealed FROM aside WHERE aside.ordinal = log.ordinal) WHERE ordinal = 2")
			again()
			if got := s.took(t, ordered); !slices.Equal(got, inOrderIf(ordered, "one", "three", "four", "MARKER")) {
				t.Errorf("once it is mended: %q", got)
			}
			stop()
		})
	}
}

// took is what the receiver got, in the order in which it came if that is asked for.
func (s *stage) took(t *testing.T, ordered bool) (texts []string) {
	t.Helper()
	for _, g := range s.all() {
		_, after, _ := strings.Cut(string(g.body), `"text":"`)
		text, _, ok := strings.Cut(after, `"`)
		if !ok {
			t.Fatalf("no text: %s", g.body)
		}
		texts = append(texts, text)
	}
	return inOrderIf(ordered, texts...)
}

// inOrderIf sorts texts unless their order says something.
func inOrderIf(ordered bool, texts ...string) []string {
	if !ordered {
		slices.Sort(texts)
	}
	return texts
}

// An endpoint that was changed outside the server gets nothing, least of all unsigned; the others go on.
func TestATamperedEndpointKeepsNothingFromOthers(t *testing.T) {
	for _, column := range []string{"secret", "options"} {
		inBubble(t, func(t *testing.T, s *stage) {
			other := &receiver{}
			s.pipes.serve("other.example:80", other, nil)
			s.m.with(store.Endpoint{ID: "wh_2", URL: "http://other.example/"})
			s.m.outside("UPDATE endpoint SET " + column + " = zeroblob(60) WHERE id = 'wh_2'")
			_, stop := start(t, s.c, desk(s.m))
			defer stop()
			s.m.say("one")
			pass(time.Minute)
			if len(s.all()) != 1 || len(other.all()) != 0 {
				t.Errorf("%s: %d requests came to the sound one, %d to the other", column, len(s.all()), len(other.all()))
			}
			if e := s.m.get("wh_2"); !e.Disabled || e.Secret != "" || !strings.Contains(e.Why, "changed outside the server") {
				t.Errorf("%s: it is shown as %+v", column, e)
			}
		})
	}
}

// A sender that cannot read the account's token at first sends once it can.
func TestATokenThatCannotBeReadIsAskedForAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		if _, err := s.m.Account.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.m.outside("CREATE TABLE aside AS SELECT sealed FROM secret WHERE name = 'token'")
		s.m.outside("UPDATE secret SET sealed = zeroblob(60) WHERE name = 'token'")
		_, stop := start(t, s.c, desk(s.m))
		defer stop()
		s.m.say("one")
		pass(time.Minute)
		if n := len(s.all()); n != 0 {
			t.Errorf("%d requests without a token", n)
		}
		s.m.outside("UPDATE secret SET sealed = (SELECT sealed FROM aside) WHERE name = 'token'")
		pass(10 * time.Minute)
		if n := len(s.all()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}
