package backup_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"parley.im/parley/store"
	"parley.im/parley/store/backup"
)

const day = 24 * time.Hour

// expire destroys what is too old now, and answers how many records that were.
func (p *place) expire() (records int64) {
	p.t.Helper()
	if _, err := p.store.Expire(p.t.Context(), store.Expiry{Now: p.clock(), Done: func(s store.Shredding) {
		if s.Conversation != 1 { // which is the journal
			records += s.Records
		}
	}}); err != nil {
		p.t.Fatal(err)
	}
	return records
}

// whole looks at everything that is kept.
func (p *place) whole(when string) {
	p.t.Helper()
	if err := p.store.Verify(p.t.Context(), true); err != nil {
		p.t.Errorf("%s: %v", when, err)
	}
}

// transcript is a conversation as the operator sees it.
func (p *place) transcript(id store.ConversationID) string {
	p.t.Helper()
	var list []string
	if err := p.store.Transcript(p.t.Context(), id, func(e *store.Entry) error {
		list = append(list, string(e.Data))
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(list, " ")
}

// holding are the files of an installation that hold a text.
func (p *place) holding(text string) (list []string) {
	p.t.Helper()
	if err := filepath.WalkDir(p.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		all, err := os.ReadFile(path)
		if strings.Contains(string(all), text) {
			list = append(list, path)
		}
		return err
	}); err != nil {
		p.t.Fatal(err)
	}
	return list
}

// newest is the newest copy of a target.
func (p *place) newest(target backup.Target) (backup.Found, *backup.Manifest) {
	p.t.Helper()
	all, err := backup.Copies(p.t.Context(), target)
	if err != nil || len(all) == 0 {
		p.t.Fatal(all, err)
	}
	last := all[len(all)-1]
	m, err := backup.Read(p.t.Context(), target, last)
	if err != nil {
		p.t.Fatal(err)
	}
	return last, m
}

// An aged is an account in which something expires soon, copied, and the time of that copy:
// Anna and Ben have said old things and others that are younger, and what Anna has said to
// Cleo is held.
type aged struct {
	*place
	with, held store.ConversationID
	copied     time.Time
	young      string
}

func newAged(t *testing.T, sealed bool) *aged {
	p := &aged{place: newPlace(t, sealed)}
	p.close(p.keys, p.store)
	p.keeps = 40 * day
	p.open()
	for i := range 40 { // more than two blocks of records
		p.with = p.say(i%2, 1-i%2, fmt.Sprint("expired-", i))
	}
	p.held = p.say(0, 2, "held")
	p.later(15 * day)
	var young []string
	for i := range 5 {
		young = append(young, fmt.Sprint("young-", i))
		p.say(1, 0, young[i])
	}
	p.young = strings.Join(young, " ")
	if err := p.store.Hold(t.Context(), p.held, store.Forever); err != nil {
		t.Fatal(err)
	}
	p.later(25*day - 5*time.Minute)
	p.mustCopy(true)
	p.copied = p.clock()
	p.later(10 * time.Minute)
	return p
}

// VIV-8, HAP-2: what expires after a copy is not in what is restored of the next one, which
// is an increment, nor in what is restored of the copy before it. What is held comes back,
// and so does the hold.
func TestExpiredStaysExpired(t *testing.T) {
	forSealedAndPlain(t, func(t *testing.T, sealed bool) {
		p := newAged(t, sealed)
		if n := p.expire(); n != 40 {
			t.Fatalf("%d records have expired", n)
		}
		p.say(0, 1, "new")
		p.mustCopy(false)
		_, m := p.newest(p.data[0])
		if i := slices.IndexFunc(m.Chains, func(c backup.Chain) bool { return c.Kind == backup.Data }); len(m.Chains[i].Pieces) != 2 {
			t.Errorf("the copy has %d pieces, want a full one and an increment", len(m.Chains[i].Pieces))
		}
		for _, c := range []struct {
			when string
			at   time.Time
			want string
		}{
			{"the newest copy", time.Time{}, p.young + " new"},
			{"the copy from before", p.copied, p.young},
		} {
			q, _ := p.restore(c.at)
			if where := q.holding("expired-"); len(where) > 0 {
				t.Errorf("%s: what has expired is in %v", c.when, where)
			}
			if got := q.transcript(p.with); got != c.want {
				t.Errorf("%s: the conversation is %q, want %q", c.when, got, c.want)
			}
			if got := q.all(1); got != c.want {
				t.Errorf("%s: Ben reads %q, want %q", c.when, got, c.want)
			}
			if n, err := q.store.Count(t.Context(), store.Page{Agent: p.agents[1]}); err != nil || n != len(strings.Fields(c.want)) {
				t.Errorf("%s: Ben has %d records, %v", c.when, n, err)
			}
			if n := q.expire(); c.at.IsZero() && n != 0 {
				t.Errorf("%s: %d more records have expired", c.when, n)
			}
			if got := q.transcript(p.held); got != "held" {
				t.Errorf("%s: of what was held there is %q", c.when, got)
			}
			if until, err := q.store.Held(t.Context(), p.held); err != nil || !until.Equal(store.Forever) {
				t.Errorf("%s: it is held until %v, %v", c.when, until, err)
			}
			q.say(0, 1, "afterwards")
			q.whole(c.when)
			if got := q.transcript(p.with); got != c.want+" afterwards" {
				t.Errorf("%s: afterwards the conversation is %q", c.when, got)
			}
		}
	})
}

// Where no copy of the data knows of it, what has expired goes by its secret, which the
// copies of keys lack, or else at the first look.
func TestExpiredAfterTheLastCopy(t *testing.T) {
	forSealedAndPlain(t, func(t *testing.T, sealed bool) {
		p := newAged(t, sealed)
		p.expire()
		p.mustCopy(false)
		for _, target := range p.data { // the copy of the data did not get there
			last, _ := p.newest(target)
			if err := target.Delete(t.Context(), last.Name); err != nil {
				t.Fatal(err)
			}
		}
		q, _ := p.restore(time.Time{})
		if sealed {
			if got := q.transcript(p.with); got != p.young {
				t.Errorf("before the first look the conversation is %q", got)
			}
		}
		if n := q.expire(); n != 40 {
			t.Errorf("%d records are told to have gone", n)
		}
		if got := q.transcript(p.with); got != p.young {
			t.Errorf("the conversation is %q", got)
		}
		if where := q.holding("expired-"); len(where) > 0 {
			t.Errorf("what has expired is in %v", where)
		}
		q.whole("afterwards")
	})
}

// Where the keys are older than the data, secrets that were destroyed are among them. They
// do not come back.
func TestOlderKeysBringNothingBack(t *testing.T) {
	p := newAged(t, true)
	p.expire()
	p.mustCopy(false)
	for _, target := range p.keysTo {
		last, _ := p.newest(target)
		if err := target.Delete(t.Context(), last.Name); err != nil {
			t.Fatal(err)
		}
	}
	q := &place{t: t, dir: filepath.Join(t.TempDir(), "back"), root: p.root, sealed: true, keeps: p.keeps, now: p.clock(), agents: p.agents}
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[0], Identities: []age.Identity{p.identity}, Dir: q.dir}
	report, err := r.Run(t.Context())
	if err != nil || !report.Accounts[0].Locked {
		t.Errorf("%+v, %v: the keys are older", report, err)
	}
	q.open()
	if got := q.transcript(p.with); got != p.young {
		t.Errorf("the conversation is %q", got)
	}
	// What was sealed by younger secrets cannot be read, and that is all.
	if err := q.store.Verify(t.Context(), true); err == nil || strings.Contains(err.Error(), "had been destroyed were back") {
		t.Errorf("afterwards: %v", err)
	}
}

// Copies that are made while something expires are whole: in each conversation either all
// is there or only what has not expired.
func TestCopiesWhileItExpires(t *testing.T) {
	forSealedAndPlain(t, func(t *testing.T, sealed bool) {
		p := newAged(t, sealed)
		began, done := make(chan struct{}), make(chan error, 1)
		go func() { // ends when all has expired
			var once sync.Once
			_, err := p.store.Expire(t.Context(), store.Expiry{Now: p.clock(), Done: func(store.Shredding) { once.Do(func() { close(began) }) }})
			done <- err
		}()
		whole := 0
		check := func() {
			q, _ := p.restore(time.Time{})
			switch got := q.transcript(p.with); {
			case got == p.young:
			case strings.HasPrefix(got, "expired-0 ") && strings.HasSuffix(got, " expired-39 "+p.young):
				whole++
			default:
				t.Errorf("the conversation is %q", got)
			}
			q.expire()
			if got := q.transcript(p.with); got != p.young {
				t.Errorf("after another look the conversation is %q", got)
			}
			q.whole("after another look")
		}
		for over := false; !over; {
			p.mustCopy(false)
			check()
			select {
			case err := <-done:
				if over = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
		}
		<-began
		p.mustCopy(false)
		before := whole
		if check(); whole != before {
			t.Error("at last it is all there again")
		}
	})
}
