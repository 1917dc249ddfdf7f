package sqlite_test

import (
	"context"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/store/sqlite/conn"
	"parley.im/parley/store/storetest"
)

func TestSealed(t *testing.T) {
	storetest.Run(t, opener(true))
}

func TestPlain(t *testing.T) {
	storetest.Run(t, opener(false))
}

func opener(sealed bool) storetest.Open {
	return func(t *testing.T) (store.Account, func() store.Account) {
		f := newFiles(t)
		f.sealed = sealed
		a := f.open()
		return a, func() store.Account {
			f.close()
			return f.open()
		}
	}
}

// files are an account's folders during a test.
type files struct {
	t      *testing.T
	dir    string
	root   seal.Key
	sealed bool
	change func(*sqlite.Config) // before each open
	now    func() time.Time
	keys   *keys.Account
	store  *sqlite.Account
}

func newFiles(t *testing.T) *files {
	f := &files{t: t, dir: t.TempDir(), root: seal.NewKey(), sealed: true}
	t.Cleanup(f.close)
	return f
}

func (f *files) data() string    { return f.dir + "/data" }
func (f *files) secrets() string { return f.dir + "/keys" }

func (f *files) open() *sqlite.Account {
	f.t.Helper()
	if err := f.try(); err != nil {
		f.t.Fatal(err)
	}
	return f.store
}

func (f *files) try() (err error) {
	ctx := context.Background()
	if f.keys, err = keys.Open(ctx, keys.Config{Dir: f.secrets(), Account: "desk", Root: f.root, Now: f.now}); err != nil {
		return err
	}
	cfg := sqlite.Config{Dir: f.data(), Account: "desk", Keys: f.keys, Sealed: f.sealed, Now: f.now}
	if f.change != nil {
		f.change(&cfg)
	}
	f.store, err = sqlite.Open(ctx, cfg)
	return err
}

func (f *files) close() {
	if f.store != nil {
		if err := f.store.Close(); err != nil {
			f.t.Error(err)
		}
	}
	if f.keys != nil {
		if err := f.keys.Close(); err != nil {
			f.t.Error(err)
		}
	}
	f.store, f.keys = nil, nil
}

// agent adds an agent and answers her id.
func (f *files) agent(name string) store.AgentID {
	f.t.Helper()
	a, err := f.store.AddAgent(f.t.Context(), name, "", store.Credential{Scope: "xmpp", Label: "password", Verifier: []byte("v")})
	if err != nil {
		f.t.Fatal(err)
	}
	return a.ID
}

func (f *files) direct(x, y store.AgentID) store.Conversation {
	f.t.Helper()
	c, err := f.store.Direct(f.t.Context(), x, y)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// append appends one message and answers its batch when it is decided.
func (f *files) append(c store.Conversation, actor store.AgentID, text string) *store.Batch {
	done := make(chan struct{})
	b := &store.Batch{
		Ops:  []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: actor, At: time.Now(), Data: []byte(text)}},
		Done: func(*store.Batch) { close(done) },
	}
	f.store.Append(b)
	<-done
	return b
}

func (f *files) say(c store.Conversation, actor store.AgentID, text string) store.Ordinal {
	f.t.Helper()
	b := f.append(c, actor, text)
	if b.Err != nil {
		f.t.Fatal(b.Err)
	}
	return b.Ops[0].Ordinal
}

// page is all that an agent sees; a record that is locked is "locked".
func (f *files) page(agent store.AgentID) (found []string) {
	f.t.Helper()
	if _, err := f.store.Page(f.t.Context(), store.Page{Agent: agent, Max: 1 << 20}, func(e *store.Entry) error {
		if e.Locked {
			found = append(found, "locked")
			return nil
		}
		found = append(found, string(e.Data))
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return found
}

// sql changes the account's file behind its back.
func (f *files) sql(statement string, args ...any) {
	f.t.Helper()
	c, err := conn.Open(conn.Config{Path: f.data() + "/data.db"})
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec(statement, args...); err != nil {
		f.t.Fatal(err)
	}
}

func discard(*store.Entry) error { return nil }

// one reads one value from the account's file.
func (f *files) one(query string, value func(conn.Row)) {
	f.t.Helper()
	c, err := conn.Open(conn.Config{Path: f.data() + "/data.db", ReadOnly: true})
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.One(query, nil, value); err != nil {
		f.t.Fatal(err)
	}
}

func (f *files) number(query string) (n int64) {
	f.t.Helper()
	f.one(query, func(r conn.Row) { n = r.Int(0) })
	return n
}

func (f *files) text(query string) (s string) {
	f.t.Helper()
	f.one(query, func(r conn.Row) { s = r.Text(0) })
	return s
}
