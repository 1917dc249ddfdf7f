package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/store/sqlite/conn"
)

const day = 24 * time.Hour

// A calendar is a clock that tests set.
type calendar struct {
	mu  sync.Mutex
	now time.Time
}

func (c *calendar) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *calendar) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// keeping is an account that keeps records for some time, and its clock.
func keeping(t *testing.T, keep time.Duration) (*files, *calendar) {
	f, cal := newFiles(t), &calendar{now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	f.now = cal.time
	f.change = func(c *sqlite.Config) { c.Retention = keep }
	return f, cal
}

// sayNow says something at the time of the account's clock.
func (f *files) sayNow(c store.Conversation, actor store.AgentID, text string) store.Ordinal {
	f.t.Helper()
	done := make(chan struct{})
	b := &store.Batch{
		Ops:  []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: actor, At: f.now(), Data: []byte(text)}},
		Done: func(*store.Batch) { close(done) },
	}
	f.store.Append(b)
	<-done
	if b.Err != nil {
		f.t.Fatal(b.Err)
	}
	return b.Ops[0].Ordinal
}

// expire runs one Expire now and answers what it destroyed.
func (f *files) expire() (all []store.Shredding, left store.Forecast) {
	f.t.Helper()
	left, err := f.store.Expire(f.t.Context(), store.Expiry{Now: f.now(), Done: func(s store.Shredding) {
		if s.Conversation != 1 { // the journal's secrets go as well
			all = append(all, s)
		}
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	return all, left
}

func (f *files) verify() {
	f.t.Helper()
	if err := f.store.Verify(f.t.Context(), true); err != nil {
		f.t.Error(err)
	}
}

// events are the journal's records of a kind, about other conversations.
func (f *files) events(kind store.Kind) (all []string) {
	f.t.Helper()
	if err := f.store.Read(f.t.Context(), 0, 1<<30, func(e *store.Entry) error {
		if e.Kind == kind && !strings.Contains(string(e.Data), `"journal"`) {
			all = append(all, string(e.Data))
		}
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return all
}

// VIV-8: what is older than the limit is gone from all files, its secret too, and all
// that reads the log copes: pages, counts, transcripts, ids of what is gone.
func TestExpiry(t *testing.T) {
	for _, sealed := range []bool{true, false} {
		t.Run(fmt.Sprint("sealed=", sealed), func(t *testing.T) {
			f, cal := keeping(t, 40*day)
			f.sealed = sealed
			f.open()
			anna, ben := f.agent("anna"), f.agent("ben")
			say := func(n int, text string) (first store.Ordinal) {
				c := f.direct(anna, ben)
				for i := range n {
					o := f.sayNow(c, anna, fmt.Sprint(text, " ", i))
					if i == 0 {
						first = o
					}
				}
				return first
			}
			oldest := say(100, "MARK-first")
			cal.pass(12 * day)
			second := say(50, "MARK-second")
			cal.pass(12 * day)
			say(20, "MARK-third")
			cal.pass(16*day - time.Minute)
			if all, left := f.expire(); len(all) > 0 || left.Next.Before(cal.time()) {
				t.Fatalf("%v was destroyed before its time, the next at %v", all, left.Next)
			}
			cal.pass(time.Hour)
			want := store.Shredding{Conversation: f.direct(anna, ben).ID(), Records: 100}
			if sealed {
				want.Secrets = 1
			}
			if all, _ := f.expire(); len(all) != 1 || all[0] != want {
				t.Fatalf("destroyed is %+v, want %+v", all, want)
			}
			check := func() {
				t.Helper()
				if got := f.page(ben); len(got) != 70 || got[0] != "MARK-second 0" {
					t.Errorf("%d messages are left, %.40q first, want 70", len(got), got)
				}
				for _, p := range []store.Page{
					{}, {After: oldest}, {After: oldest + 50}, {With: want.Conversation}, {Start: time.Unix(0, 0)}, {After: second - 1},
				} {
					p.Agent = anna
					if n, err := f.store.Count(t.Context(), p); err != nil || n != 70 {
						t.Errorf("the count of %+v is %d, %v, want 70", p, n, err)
					}
					for _, p.Backwards = range []bool{false, true} {
						p.Max = 7
						n := 0
						complete, err := f.store.Page(t.Context(), p, func(*store.Entry) error { n++; return nil })
						if err != nil || n != 7 || complete {
							t.Errorf("a page of %+v has %d, complete is %v, %v", p, n, complete, err)
						}
					}
				}
				if n, err := f.store.Count(t.Context(), store.Page{Agent: anna, Before: second}); err != nil || n != 0 {
					t.Errorf("%d are left before the second part, %v", n, err)
				}
				if ok, err := f.store.Visible(t.Context(), anna, oldest); err != nil || !ok {
					t.Errorf("the id of what is gone is good for paging: %v, %v", ok, err)
				}
				n := 0
				if err := f.store.Transcript(t.Context(), want.Conversation, func(*store.Entry) error { n++; return nil }); err != nil || n != 70 {
					t.Errorf("the transcript has %d, %v", n, err)
				}
				f.verify()
				if where := found(t, f.dir, "MARK-first"); len(where) > 0 {
					t.Errorf("what is gone is in %v", where)
				}
				if where := found(t, f.dir, "MARK-second"); (len(where) > 0) == sealed {
					t.Errorf("what is kept is in %v", where)
				}
				events := f.events(store.KindKeyShredded)
				if len(events) != 1 || !strings.Contains(events[0], `"records":100`) {
					t.Errorf("the events are %q", events)
				}
				_, err := f.keys.Get(t.Context(), keys.ID{Owner: keys.OfConversation, Number: int64(want.Conversation), Generation: 1})
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("the secret of what is gone: %v", err)
				}
			}
			check()
			f.close()
			f.open()
			check()
			if all, _ := f.expire(); len(all) > 0 {
				t.Errorf("%+v was destroyed twice", all)
			}

			// After a long sleep everything is gone, and the conversation goes on.
			f.close()
			cal.pass(100 * day)
			f.open()
			f.expire()
			if got := f.page(ben); len(got) > 0 {
				t.Errorf("%q is left", got)
			}
			f.verify()
			if where := found(t, f.dir, "MARK"); len(where) > 0 {
				t.Errorf("what is gone is in %v", where)
			}
			say(40, "again")
			f.verify()
			f.close()
			f.open()
			if got := f.page(ben); len(got) != 40 {
				t.Errorf("%d are there of what was said since, want 40", len(got))
			}
			f.verify()
		})
	}
}

// Nothing younger than three quarters of the limit goes, though a secret that was made
// under a longer limit is old.
func TestShorterLimit(t *testing.T) {
	f, cal := keeping(t, 0)
	f.open()
	anna := f.agent("anna")
	c := f.direct(anna, anna)
	f.sayNow(c, anna, "old")
	cal.pass(20 * day)
	f.sayNow(c, anna, "of today")
	f.close()
	f.change = func(c *sqlite.Config) { c.Retention = 4 * day }
	f.open()
	f.expire()
	if got := fmt.Sprint(f.page(anna)); got != "[of today]" {
		t.Errorf("left is %s", got)
	}
	f.verify()
	cal.pass(4*day + time.Hour)
	f.expire()
	if got := f.page(anna); len(got) > 0 {
		t.Errorf("left is %s", got)
	}
	if events := f.events(store.KindKeyShredded); len(events) != 2 || !strings.Contains(events[0], `"generation":1,"records":2`) {
		t.Errorf("the events are %q", events)
	}
}

// A hold stops it, of a conversation or of the account, until it ends or is released.
func TestHold(t *testing.T) {
	for _, whole := range []bool{false, true} {
		f, cal := keeping(t, 4*day)
		f.open()
		anna, ben := f.agent("anna"), f.agent("ben")
		c, other := f.direct(anna, ben), f.direct(anna, anna)
		f.sayNow(c, anna, "evidence")
		f.sayNow(other, anna, "a note")
		id, left := c.ID(), "[evidence]"
		if whole {
			id, left = 0, "[evidence a note]"
		}
		if err := f.store.Hold(t.Context(), id, cal.time().Add(100*day)); err != nil {
			t.Fatal(err)
		}
		f.close()
		f.open()
		cal.pass(50 * day)
		if _, forecast := f.expire(); fmt.Sprint(f.page(anna)) != left || forecast.Held == 0 {
			t.Errorf("while it is held, left is %s, and %d are said to be held", f.page(anna), forecast.Held)
		}
		if err := f.store.Shred(t.Context(), c.ID()); !errors.Is(err, store.ErrConflict) {
			t.Errorf("shredding what is held: %v", err)
		}
		for _, a := range []store.AgentID{anna, ben} {
			if err := f.store.DeleteAgent(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		f.expire()
		n := 0
		if err := f.store.Transcript(t.Context(), c.ID(), func(*store.Entry) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("the transcript of what is held has %d, %v", n, err)
		}
		if err := f.store.Hold(t.Context(), id, time.Time{}); err != nil {
			t.Fatal(err)
		}
		f.expire()
		if err := f.store.Transcript(t.Context(), c.ID(), discard); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the transcript of what was held and nobody can see: %v", err)
		}
		f.verify()
	}
}

// What receivers of webhooks answered, and what is still to be sent, goes with what it is
// about.
func TestWebhooksOfWhatExpires(t *testing.T) {
	for _, sealed := range []bool{true, false} {
		f, cal := keeping(t, 4*day)
		f.sealed = sealed
		f.open()
		ctx := t.Context()
		anna := f.agent("anna")
		c := f.direct(anna, anna)
		if err := f.store.AddEndpoint(ctx, store.Endpoint{ID: "wh_1", URL: "https://shop.example/"}); err != nil {
			t.Fatal(err)
		}
		answered := func(o store.Ordinal, id, text string) {
			t.Helper()
			if err := f.store.Advance(ctx, store.Progress{Endpoint: "wh_1",
				Attempts: []store.Attempt{{ID: id, Ordinal: o, Conversation: c.ID(), At: cal.time(), Answer: []byte(text)}},
				Retries:  []store.Retry{{Ordinal: o, Attempt: 1, First: cal.time()}}}); err != nil {
				t.Fatal(err)
			}
		}
		old := f.sayNow(c, anna, "old")
		answered(old, "dlv_1", "MARK-old")
		cal.pass(2 * day)
		c = f.direct(anna, anna)
		answered(f.sayNow(c, anna, "new"), "dlv_2", "MARK-new")
		answered(old, "dlv_3", "MARK-old again") // late, about what is old
		cal.pass(2*day + time.Hour)
		f.expire()
		answered(old, "dlv_4", "MARK-old too late")
		if where := found(t, f.dir, "MARK-old"); len(where) > 0 {
			t.Errorf("with sealed=%v an answer is left in %v", sealed, where)
		}
		attempts, err := f.store.Attempts(ctx, "wh_1", 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range slices.Backward(attempts) {
			got = append(got, a.ID+"="+string(a.Answer))
		}
		if want := "[dlv_1= dlv_2=MARK-new dlv_3= dlv_4=]"; fmt.Sprint(got) != want {
			t.Errorf("with sealed=%v the delivery log has %v, want %s", sealed, got, want)
		}
		if dead, err := f.store.DeadLetters(ctx, "wh_1", time.Time{}); err != nil || len(dead) != 2 { // the new one, and the one that came too late
			t.Errorf("dead letters are %v, %v", dead, err)
		}
	}
}

// Whoever holds a conversation goes on talking while its old part is destroyed.
func TestExpiryBesideTalk(t *testing.T) {
	f, cal := keeping(t, 4*day)
	f.open()
	anna := f.agent("anna")
	c := f.direct(anna, anna)
	for i := range 500 {
		f.sayNow(c, anna, fmt.Sprint("old ", i))
	}
	cal.pass(5 * day)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	said := 0
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				f.sayNow(c, anna, fmt.Sprint("new ", said))
				said++
				for _, text := range f.page(anna) {
					if text == "locked" {
						t.Error("she sees what is being destroyed")
						return
					}
				}
			}
		}
	})
	f.expire()
	close(stop)
	wg.Wait()
	if got := len(f.page(anna)); got < said || got > said+1 { // the first may have been sealed with the old secret
		t.Errorf("%d are left, want the %d that were said meanwhile", got, said)
	}
	f.verify()
}

// A tombstone is ended after the next start, wherever it was left: with the secret or
// the rows still there.
func TestExpiryIsResumed(t *testing.T) {
	for _, step := range []string{"secret", "rows"} {
		f, cal := keeping(t, 4*day)
		f.open()
		anna := f.agent("anna")
		c := f.direct(anna, anna)
		for i := range 1000 {
			f.sayNow(c, anna, fmt.Sprint("old ", i))
		}
		cal.pass(5 * day)
		f.direct(anna, anna) // has the new secret now
		ctx, cancel := context.WithCancel(t.Context())
		if step == "secret" {
			if _, err := f.store.Journal(ctx); err != nil {
				t.Fatal(err)
			}
			if err := f.keys.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			go func() { // ends with the Expire
				for ctx.Err() == nil {
					if f.number("SELECT cleared FROM conversation WHERE nature = 2") > 0 {
						cancel()
					}
				}
			}()
		}
		_, err := f.store.Expire(ctx, store.Expiry{Now: f.now()})
		cancel()
		if err == nil {
			t.Fatalf("without its %s it came to an end", step)
		}
		if n := f.number("SELECT count(*) FROM log l JOIN conversation c ON c.id = l.conversation WHERE c.gone >= l.n"); n == 0 {
			t.Fatalf("%s: no row of what is to be destroyed is left: %v", step, err)
		}
		if got := f.page(anna); len(got) > 0 {
			t.Errorf("%s: she still sees %d of what has a tombstone", step, len(got))
		}
		f.close()
		f.open()
		if _, err := f.keys.Get(t.Context(), conversationSecret(c, 1)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: after the next start the secret is there: %v", step, err)
		}
		if _, err := f.store.Expire(t.Context(), store.Expiry{}); err != nil {
			t.Fatal(err)
		}
		if n := f.number("SELECT count(*) FROM log WHERE kind = 1"); n != 0 {
			t.Errorf("%s: %d rows are left", step, n)
		}
		if events := f.events(store.KindKeyShredded); len(events) != 1 || !strings.Contains(events[0], `"records":1000`) {
			t.Errorf("%s: the events are %q", step, events)
		}
		f.verify()
	}
}

func conversationSecret(c store.Conversation, generation int64) keys.ID {
	return keys.ID{Owner: keys.OfConversation, Number: int64(c.ID()), Generation: generation}
}

// A copy that reads the file is waited for: the write-ahead log, which holds what was
// destroyed, is emptied as soon as it ends and not at the next look.
func TestExpiryWaitsForWhoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, cal := keeping(t, 4*day)
		f.open()
		anna := f.agent("anna")
		f.sayNow(f.direct(anna, anna), anna, "old")
		reader, err := conn.Open(conn.Config{Path: f.data() + "/data.db", ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		cal.pass(5 * day)
		done := make(chan error, 1)
		if err := reader.InView(func() error {
			if n, err := reader.Number("SELECT count(*) FROM log"); err != nil || n == 0 {
				return fmt.Errorf("there are %d records, %w", n, err)
			}
			go func() { // ends soon after the reader
				_, err := f.store.Expire(t.Context(), store.Expiry{Now: cal.time()})
				done <- err
			}()
			<-time.After(copyTakes / 2)
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := errors.Join(<-done, reader.Close()); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(f.data() + "/data.db-wal"); err != nil || info.Size() > 0 {
			t.Errorf("the write-ahead log has %d bytes, %v", info.Size(), err)
		}
	})
}

// copyTakes is what the store expects a copy to read for at most.
const copyTakes = 30 * time.Second
