package sqlite_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"parley.im/parley/store"
)

// What was changed outside the server is reported, and hides no other record.
func TestTamperingIsReported(t *testing.T) {
	for _, test := range []struct {
		name, sql, want string
		plain           bool // also noticed where nothing is sealed
		reads           int  // entries that still open for the agent, of five
	}{
		{"nothing", "SELECT 1", "", true, 5},
		{"a changed record", "UPDATE log SET sealed = zeroblob(length(sealed)) WHERE conversation = ? AND n = 3", "[3] don't open", true, 4},
		{"a cut record", "UPDATE log SET sealed = substr(sealed, 1, 5) WHERE conversation = ? AND n = 3", "[3] don't open", true, 4},
		{"another time", "UPDATE log SET at = at - 60000 WHERE conversation = ? AND n = 2", "[2] don't open", false, 4},
		{"another speaker", "UPDATE log SET actor = 3 - actor WHERE conversation = ? AND n = 2", "[2] don't open", false, 4},
		{"one over another", `UPDATE log SET sealed = (SELECT sealed FROM log o WHERE o.conversation = log.conversation AND o.n = 5)
			WHERE conversation = ? AND n = 4`, "[4] don't open", true, 4},
		{"numbers swapped", "UPDATE log SET n = CASE n WHEN 4 THEN 50 ELSE 4 END WHERE conversation = ? AND n IN (4, 5)", "", true, 3},
		{"a removed record", "DELETE FROM log WHERE conversation = ? AND n = 2", "1 of 5 records are missing", true, 4},
		{"a cut tail", "DELETE FROM log WHERE conversation = ? AND n >= 4", "2 of 5 records are missing", true, 3},
		{"a cut tail and header", "UPDATE conversation SET n = 4, last = last - 1 WHERE id = ?", "not those that its header knows", true, 4},
		{"moved from another conversation", `UPDATE log SET sealed = (SELECT sealed FROM log o WHERE o.conversation <> log.conversation AND o.n = log.n)
			WHERE conversation = ? AND n = 1`, "[1] don't open", true, 4},
	} {
		for _, sealed := range []bool{true, false} {
			if !sealed && !test.plain {
				continue
			}
			t.Run(fmt.Sprint(test.name, "/sealed=", sealed), func(t *testing.T) {
				f := newFiles(t)
				f.sealed = sealed
				f.open()
				anna, ben, cleo := f.agent("anna"), f.agent("ben"), f.agent("cleo")
				c, other := f.direct(anna, ben), f.direct(anna, cleo)
				for i := range 5 {
					f.say(c, anna, fmt.Sprint("message ", i))
					f.say(other, anna, fmt.Sprint("another ", i))
				}
				if strings.Contains(test.sql, "?") {
					f.sql(test.sql, int64(c.ID()))
				}
				checkTampered(t, f, c.ID(), other.ID(), test.want, strings.Contains(test.sql, "?"), sealed)
				opens := 0
				for _, text := range f.page(ben) {
					if text != "locked" {
						opens++
					}
				}
				if sealed && opens != test.reads && test.name != "numbers swapped" {
					t.Errorf("%d records open, want %d", opens, test.reads)
				}
			})
		}
	}
}

func checkTampered(t *testing.T, f *files, changed, other store.ConversationID, want string, tampered, sealed bool) {
	t.Helper()
	err := f.store.Transcript(t.Context(), changed, discard)
	if !tampered {
		if err != nil {
			t.Errorf("an untouched transcript: %v", err)
		}
		return
	}
	if !errors.Is(err, store.ErrTampered) || sealed && !strings.Contains(err.Error(), want) {
		t.Errorf("Transcript = %v, want %q", err, want)
	}
	if err := f.store.Transcript(t.Context(), other, discard); err != nil {
		t.Errorf("the other's transcript: %v", err)
	}
	if err := f.store.Verify(t.Context(), true); !errors.Is(err, store.ErrTampered) ||
		!strings.Contains(err.Error(), fmt.Sprint("conversation ", changed, ":")) {
		t.Errorf("Verify = %v, want conversation %d named", err, changed)
	}
}

// A secret that was put in the place of another is noticed before it opens anything.
func TestExchangedCommitmentIsReported(t *testing.T) {
	f := newFiles(t)
	f.open()
	anna, ben := f.agent("anna"), f.agent("ben")
	c := f.direct(anna, ben)
	f.say(c, anna, "hello")
	f.close()
	f.sql("UPDATE generation SET commitment = zeroblob(32) WHERE conversation = ?", int64(c.ID()))
	f.open()
	if err := f.store.Transcript(t.Context(), c.ID(), discard); !errors.Is(err, store.ErrTampered) {
		t.Errorf("Transcript = %v", err)
	}
	if got := fmt.Sprint(f.page(anna)); got != "[locked]" {
		t.Errorf("she sees %s", got)
	}
}
