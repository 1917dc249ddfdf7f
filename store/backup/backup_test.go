package backup_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"parley.im/parley/store"
	"parley.im/parley/store/backup"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// A place is an installation with one account, "desk", and two targets of each kind.
type place struct {
	t        testing.TB
	dir      string
	root     seal.Key
	roots    []seal.Key // which sign; as p.root is, unless a test wants others
	identity *age.X25519Identity
	sealed   bool
	keepData time.Duration
	keeps    time.Duration // records; 0 is forever
	keys     *keys.Account
	store    *sqlite.Account
	keeper   *backup.Keeper
	data     []backup.Target
	keysTo   []backup.Target
	agents   []store.AgentID

	mu    sync.Mutex
	now   time.Time
	stale []string
}

func newPlace(t testing.TB, sealed bool) *place {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: t.TempDir(), keepData: 183 * 24 * time.Hour, root: seal.NewKey(), identity: identity, sealed: sealed, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.Local)}
	p.roots = []seal.Key{p.root}
	for _, name := range []string{"a", "b"} {
		p.data = append(p.data, p.folder("data-"+name))
		p.keysTo = append(p.keysTo, p.folder("keys-"+name))
	}
	p.write("parley.toml", "# settings\n")
	p.open()
	for _, name := range []string{"anna", "ben", "cleo"} {
		a, err := p.store.AddAgent(t.Context(), name, "agent", store.Credential{Scope: "xmpp"})
		if err != nil {
			t.Fatal(err)
		}
		p.agents = append(p.agents, a.ID)
	}
	p.keep()
	return p
}

func (p *place) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) folder(name string) backup.Target {
	p.t.Helper()
	dir := p.path("targets", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	target, err := backup.OpenTarget(backup.TargetConfig{To: dir})
	if err != nil {
		p.t.Fatal(err)
	}
	return target
}

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) later(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func (p *place) open() {
	p.t.Helper()
	log := slog.New(slog.NewTextHandler(p.t.Output(), nil))
	k, err := keys.Open(p.t.Context(), keys.Config{Dir: p.path("keys"), Account: "desk", Root: p.root, Now: p.clock, Log: log})
	if err != nil {
		p.t.Fatal(err)
	}
	st, err := sqlite.Open(p.t.Context(), sqlite.Config{
		Dir: p.path("data", "accounts", "desk"), Account: "desk", Keys: k, Sealed: p.sealed, Retention: p.keeps, Now: p.clock, Log: log,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.keys, p.store = k, st
	p.t.Cleanup(func() { p.close(k, st) })
}

func (p *place) close(k *keys.Account, st *sqlite.Account) {
	if err := st.Close(); err != nil {
		p.t.Error(err)
	}
	if err := k.Close(); err != nil {
		p.t.Error(err)
	}
}

func (p *place) config() backup.Config {
	return backup.Config{
		Data: p.path("data"), Keys: p.path("keys"), Spool: p.path("data", "backup"),
		Accounts:   func() []string { return []string{"desk"} },
		Settings:   func() []string { return []string{p.path("parley.toml")} },
		Recipients: []age.Recipient{p.identity.Recipient()}, DataTargets: p.data, KeysTargets: p.keysTo,
		Every: 5 * time.Minute, FullAt: 3 * time.Hour, KeepData: p.keepData, KeepKeys: 6 * 24 * time.Hour,
		Stale: 10 * time.Minute, Program: "test", Roots: func() []seal.Key { return p.roots }, Now: p.clock, Log: slog.New(slog.NewTextHandler(p.t.Output(), nil)),
		OnStale: func(k backup.Kind, target string, _ time.Duration) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.stale = append(p.stale, string(k)+" "+filepath.Base(target))
		},
	}
}

// keep makes a keeper, as after a start of the program.
func (p *place) keep() {
	p.t.Helper()
	k, err := backup.New(p.config())
	if err != nil {
		p.t.Fatal(err)
	}
	p.keeper = k
}

// copy makes a copy and brings it everywhere; trouble is told by the targets' names.
func (p *place) copy(full bool) map[string]error {
	p.t.Helper()
	p.later(time.Second)
	ages, err := p.keeper.Now(p.t.Context(), full)
	if err != nil {
		p.t.Fatal(err)
	}
	trouble := make(map[string]error)
	for _, a := range ages {
		if a.Err != nil {
			trouble[filepath.Base(a.Target)] = a.Err
		}
	}
	return trouble
}

func (p *place) mustCopy(full bool) {
	p.t.Helper()
	for name, err := range p.copy(full) {
		p.t.Fatalf("%s: %v", name, err)
	}
}

// say lets agent a say something to b.
func (p *place) say(a, b int, text string) store.ConversationID {
	p.t.Helper()
	p.later(time.Second)
	c, err := p.store.Direct(p.t.Context(), p.agents[a], p.agents[b])
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	p.store.Append(&store.Batch{
		Ops:  []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: p.agents[a], At: p.clock(), Data: []byte(text)}},
		Done: func(b *store.Batch) { done <- b.Err },
	})
	if err := <-done; err != nil {
		p.t.Fatal(err)
	}
	return c.ID()
}

// restore brings back what there is on a pair of targets, checks it, and opens it.
func (p *place) restore(at time.Time) (*place, *backup.Report) {
	p.t.Helper()
	q := &place{t: p.t, dir: filepath.Join(p.t.TempDir(), "back"), root: p.root, sealed: p.sealed, keeps: p.keeps, identity: p.identity, now: p.clock(), agents: p.agents}
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[1], Identities: []age.Identity{p.identity}, Dir: q.dir, At: at, Roots: []seal.Key{p.root}}
	report, err := r.Run(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := backup.Verify(p.t.Context(), q.dir, report, p.root, slog.New(slog.DiscardHandler)); err != nil {
		p.t.Error(err)
	}
	q.open()
	return q, report
}

// all is what agent a sees, with "locked" where it cannot be read.
func (p *place) all(a int) string {
	p.t.Helper()
	var list []string
	if _, err := p.store.Page(p.t.Context(), store.Page{Agent: p.agents[a], Max: 10000}, func(e *store.Entry) error {
		text := string(e.Data)
		if e.Locked {
			text = "locked"
		}
		list = append(list, text)
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(list, " ")
}

func forSealedAndPlain(t *testing.T, do func(t *testing.T, sealed bool)) {
	for _, sealed := range []bool{true, false} {
		t.Run(fmt.Sprint("sealed=", sealed), func(t *testing.T) { do(t, sealed) })
	}
}

// HAP-2, HAP-3: what was said until the last copy comes back, from full pieces and
// increments, over restarts of the program.
func TestWhatWasCopiedComesBack(t *testing.T) {
	forSealedAndPlain(t, func(t *testing.T, sealed bool) {
		p := newPlace(t, sealed)
		want := ""
		for i := range 100 {
			text := fmt.Sprint("message-", i)
			p.say(i%2, 1-i%2, text)
			want += " " + text
			if i%10 == 0 {
				p.mustCopy(i == 50)
			}
			if i == 70 {
				p.keep()
			}
		}
		p.mustCopy(false)
		p.say(0, 1, "lost")
		q, report := p.restore(time.Time{})
		if got := " " + q.all(0); got != want {
			t.Errorf("Anna reads %s", got)
		}
		if got := q.store.Newest(); got < p.store.Newest()+1000000 {
			t.Errorf("the newest ordinal is %d: the lost ones could be given again", got)
		}
		q.say(1, 0, "afterwards")
		if got := q.all(0); !strings.HasSuffix(got, "message-99 afterwards") {
			t.Errorf("afterwards Anna reads %s", got)
		}
		if a := report.Accounts[0]; a.Shredded != 0 || a.Locked || len(report.Deleted) != 0 {
			t.Errorf("the report is %+v", report)
		}
		if text, err := os.ReadFile(q.path("parley.toml")); err != nil || string(text) != "# settings\n" {
			t.Errorf("parley.toml is %q, %v", text, err)
		}
	})
}

// What the keys know of how far the log had come is not held against an older log that was
// restored: it goes on from further still. Should that one be put back later, it is noticed.
func TestRestoredLogIsAccepted(t *testing.T) {
	p := newPlace(t, true)
	p.say(0, 1, "first")
	p.mustCopy(false)
	before := p.clock()
	for i := range 5 {
		p.say(0, 1, fmt.Sprint("later-", i))
	}
	p.close(p.keys, p.store) // which tells the keys
	p.open()
	anchor, err := p.keys.Anchor()
	if err != nil {
		t.Fatal(err)
	}
	p.mustCopy(false)
	q, report := p.restore(before)
	if anchor.Ordinal <= report.Accounts[0].Newest {
		t.Fatalf("the keys know of record %d, and the log has as many as %d", anchor.Ordinal, report.Accounts[0].Newest)
	}
	q.whole("at once")
	old, err := os.ReadFile(q.path("data/accounts/desk/data.db"))
	if err != nil {
		t.Fatal(err)
	}
	q.say(0, 1, "second")
	q.close(q.keys, q.store)
	q.open()
	q.whole("after it has gone on")
	if got := q.all(0); got != "first second" {
		t.Errorf("Anna reads %q", got)
	}
	q.close(q.keys, q.store)
	q.write("data/accounts/desk/data.db", string(old))
	q.open()
	if err := q.store.Verify(t.Context(), true); !errors.Is(err, store.ErrTampered) {
		t.Errorf("a log that was put back: %v", err)
	}
}
