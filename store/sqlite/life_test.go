package sqlite_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// An account lives in a synctest bubble: it starts no goroutine that outlives Close, and
// waits on nothing else than channels and timers.
func TestLifeInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFiles(t)
		defer f.close()
		f.change = func(c *sqlite.Config) { c.Idle, c.Commits = 5*time.Minute, make(chan struct{}, 2) }
		f.open()
		anna := f.agent("anna")
		c := f.direct(anna, anna)
		f.say(c, anna, "hello")
		<-time.After(time.Hour) // of the bubble's time
		f.say(c, anna, "still there")
		if got := fmt.Sprint(f.page(anna)); got != "[hello still there]" {
			t.Errorf("she sees %s", got)
		}
	})
}

// Delivery cursors are on disk within a second, though nothing else is written.
func TestDeliveryIsSavedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFiles(t)
		defer f.close()
		f.open()
		var agents []store.AgentID
		for i := range 600 { // more than one transaction's
			agents = append(agents, store.AgentID(i+1))
		}
		if _, err := f.store.ImportAgents(t.Context(), names(len(agents)), "", make([]store.Credential, len(agents))); err != nil {
			t.Fatal(err)
		}
		for _, a := range agents {
			f.store.SaveDelivery(a, store.Delivery{Cursor: store.Ordinal(a), Acked: []store.Ordinal{1000}})
		}
		<-time.After(time.Second)
		synctest.Wait()
		if n := f.number("SELECT count(*) FROM delivery WHERE cursor = agent AND length(acked) > 0"); n != int64(len(agents)) {
			t.Errorf("%d cursors are on disk after a second, want %d", n, len(agents))
		}
		f.store.SaveDelivery(1, store.Delivery{Cursor: 99})
		<-time.After(time.Second)
		synctest.Wait()
		if n := f.number("SELECT cursor FROM delivery WHERE agent = 1"); n != 99 {
			t.Errorf("the next cursor on disk is %d, want 99", n)
		}
	})
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("agent%04d", i))
	}
	return all
}

// An account that nobody uses has no file open, and wakes by itself.
func TestIdleAccountClosesItsFiles(t *testing.T) {
	open := func(dir string) (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc here to see open files in")
		}
		for _, e := range entries {
			if path, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(path, dir) {
				n++
			}
		}
		return n
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFiles(t)
		defer f.close()
		f.change = func(c *sqlite.Config) { c.Idle = 5 * time.Minute }
		f.open()
		anna := f.agent("anna")
		c := f.direct(anna, anna)
		f.say(c, anna, "hello")
		f.page(anna)
		if open(f.dir) == 0 {
			t.Error("an account in use has no file open")
		}
		<-time.After(11 * time.Minute)
		synctest.Wait()
		if n := open(f.dir); n > 0 {
			t.Errorf("an idle account has %d files open", n)
		}
		f.say(c, anna, "again")
		if got := fmt.Sprint(f.page(anna)); got != "[hello again]" {
			t.Errorf("she sees %s", got)
		}
		if err := f.store.Verify(t.Context(), true); err != nil {
			t.Error(err)
		}
	})
}

// A conversation gets a new secret after a month, or a quarter of the retention; what
// was said before stays readable.
func TestSecretsAreRenewed(t *testing.T) {
	for _, test := range []struct {
		retention, age time.Duration
		want           string
	}{
		{0, 29 * 24 * time.Hour, "1 1"},
		{0, 31 * 24 * time.Hour, "1 2"},
		{40 * 24 * time.Hour, 9 * 24 * time.Hour, "1 1"},
		{40 * 24 * time.Hour, 11 * 24 * time.Hour, "1 2"},
	} {
		f := newFiles(t)
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		var mu sync.Mutex
		f.now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
		f.change = func(c *sqlite.Config) { c.Retention = test.retention }
		f.open()
		anna := f.agent("anna")
		f.say(f.direct(anna, anna), anna, "old")
		mu.Lock()
		now = now.Add(test.age)
		mu.Unlock()
		f.say(f.direct(anna, anna), anna, "new")
		if got := f.text("SELECT group_concat(generation, ' ') FROM (SELECT generation FROM log ORDER BY ordinal)"); got != test.want {
			t.Errorf("after %v of %v the generations are %s, want %s", test.age, test.retention, got, test.want)
		}
		f.close()
		f.open()
		if got := fmt.Sprint(f.page(anna)); got != "[old new]" {
			t.Errorf("she sees %s", got)
		}
		if err := f.store.Verify(t.Context(), true); err != nil {
			t.Error(err)
		}
	}
}

// Who holds a conversation over the month's end gets a new secret by appending.
func TestSecretIsRenewedByAppending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFiles(t)
		defer f.close()
		f.open()
		anna := f.agent("anna")
		c := f.direct(anna, anna)
		f.say(c, anna, "old")
		<-time.After(31 * 24 * time.Hour)
		f.say(c, anna, "the one that sees it")
		synctest.Wait()
		f.say(c, anna, "new")
		if n := f.number("SELECT generation FROM log WHERE n = 3"); n != 2 {
			t.Errorf("the generation is %d, want 2", n)
		}
	})
}

// VIV-9: an account that becomes a sealed one seals what follows, in conversations that
// are there, too; one that is sealed no more can still be read.
func TestProfileChanges(t *testing.T) {
	f := newFiles(t)
	f.sealed = false
	f.open()
	anna := f.agent("anna")
	f.say(f.direct(anna, anna), anna, "plain")
	f.close()
	f.sealed = true
	f.open()
	f.say(f.direct(anna, anna), anna, "sealed")
	f.close()
	f.sealed = false
	f.open()
	f.say(f.direct(anna, anna), anna, "plain again")
	if got := f.text("SELECT group_concat(generation, ' ') FROM (SELECT generation FROM log ORDER BY ordinal)"); got != "0 1 0" {
		t.Errorf("the generations are %s", got)
	}
	if got := fmt.Sprint(f.page(anna)); got != "[plain sealed plain again]" {
		t.Errorf("she sees %s", got)
	}
	if err := f.store.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
}

// A wrong root key opens nothing, and says what is wrong.
func TestWrongRootKey(t *testing.T) {
	f := newFiles(t)
	f.open()
	f.close()
	f.root = seal.NewKey()
	if err := f.try(); err == nil || !strings.Contains(err.Error(), "the root key does not open") {
		t.Errorf("opened with another root key: %v", err)
	}
	f.keys = nil
}

// Everything goes on when the account key is exchanged.
func TestRotationBesideTalk(t *testing.T) {
	f := newFiles(t)
	f.open()
	anna := f.agent("anna")
	c := f.direct(anna, anna)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.keys.Rotate(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for i := range 50 {
		f.say(c, anna, fmt.Sprint(i))
	}
	wg.Wait()
	f.close()
	f.open()
	if got := len(f.page(anna)); got != 50 {
		t.Errorf("%d messages are readable, want 50", got)
	}
	if _, err := f.keys.Get(t.Context(), keys.ID{Owner: keys.OfConversation, Number: int64(c.ID()), Generation: 1}); err != nil {
		t.Error(err)
	}
}

// The room of shredded records is given back, so that a file that shrinks in use shrinks
// on disk.
func TestShreddingGivesBackRoom(t *testing.T) {
	f := newFiles(t)
	f.open()
	anna, ben := f.agent("anna"), f.agent("ben")
	c := f.direct(anna, ben)
	for range 100 {
		f.say(c, anna, strings.Repeat("x", 5000)) // more than a page each
	}
	before := f.number("PRAGMA page_count")
	if err := f.store.Shred(t.Context(), c.ID()); err != nil {
		t.Fatal(err)
	}
	if after := f.number("PRAGMA page_count"); after > before/2 {
		t.Errorf("the file has %d pages after shredding nearly all of its %d", after, before)
	}
}
