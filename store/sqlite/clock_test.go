package sqlite_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley.im/parley/store"
)

// between are what an agent's archive has of a time.
func (f *files) between(agent store.AgentID, start, end time.Time) (found []string) {
	f.t.Helper()
	if _, err := f.store.Page(f.t.Context(), store.Page{Agent: agent, Start: start, End: end, Max: 1 << 20}, func(e *store.Entry) error {
		found = append(found, string(e.Data))
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return found
}

// The clock goes back by a day and on by a day, again and again. Messages stay in the order in
// which they were said, an archive finds them by the time that they bear, also over many spans
// of the log, and nothing goes before its time.
func TestClockGoesToAndFro(t *testing.T) {
	const keep, each = 8 * day, 600 // messages: spans of the log are of 1,024
	f, cal := keeping(t, keep)
	f.open()
	anna := f.agent("anna")
	c := f.direct(anna, anna)
	var order []string
	at := make(map[string]time.Time)
	for i, jump := range []time.Duration{0, -day, day, day, -day, -day, 2 * day} {
		cal.pass(jump)
		b := &store.Batch{}
		for n := range each {
			cal.pass(time.Second)
			text := fmt.Sprint(i, ".", n)
			order, at[text] = append(order, text), f.now()
			b.Ops = append(b.Ops, store.Op{Conversation: c, Kind: store.KindMessage, Actor: anna, At: f.now(), Data: []byte(text)})
		}
		done := make(chan error, 1)
		b.Done = func(b *store.Batch) { done <- b.Err }
		f.store.Append(b)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		if got := f.page(anna); !slices.Equal(got, order) {
			t.Errorf("%s the archive has %d messages, or others than the %d that were said", when, len(got), len(order))
		}
		for _, start := range []time.Time{at["0.0"], at["1.300"], at["3.599"], at["5.0"]} {
			end := start.Add(10 * time.Minute)
			want := slices.DeleteFunc(slices.Clone(order), func(s string) bool { return at[s].Before(start) || at[s].After(end) })
			if got := f.between(anna, start, end); !slices.Equal(got, want) || len(got) < 2 && start != at["3.599"] {
				t.Errorf("%s there are %d messages of the ten minutes from %v, want %d", when, len(got), start, len(want))
			}
		}
		f.verify()
	}
	check("at once")
	f.close()
	f.open()
	check("after another start")

	// The oldest, by what it bears, is of a day before the first.
	oldest := at["1.0"]
	cal.pass(oldest.Add(keep - time.Hour).Sub(f.now()))
	f.expire()
	check("before its time")
	cal.pass(3*day + 2*time.Hour)
	f.expire()
	if got := f.page(anna); len(got) > 0 {
		t.Errorf("%d messages are left after their time, the first is %s", len(got), got[0])
	}
	f.verify()
}
