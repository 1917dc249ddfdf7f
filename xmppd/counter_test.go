package xmppd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/xmppd/wire"
)

// A counter is a server with an account, a store and two agents, to which devices that
// have signed in already are joined.
type counter struct {
	server     *Server
	anna, bob  *agent
	complaints *complaints
}

func newCounter(f *testing.F) *counter {
	d := &counter{complaints: new(complaints)}
	l := testLimits
	l.Queue, l.QueueBytes = 4096, 4<<20
	d.server = New(Config{Limits: l, Colleagues: true, ColleaguesMax: 10, ArchivePage: 10, Log: slog.New(d.complaints)})
	dir, ctx := f.TempDir(), context.Background()
	fatal := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	k, err := keys.Open(ctx, keys.Config{Dir: dir + "/keys", Account: "desk", Root: seal.NewKey()})
	fatal(err)
	st, err := sqlite.Open(ctx, sqlite.Config{Dir: dir + "/data", Account: "desk", Keys: k, Sealed: true})
	fatal(err)
	for _, name := range []string{"anna", "bob"} {
		_, err := st.AddAgent(ctx, name, "", store.Credential{Scope: "xmpp", Label: "password", Verifier: []byte("v")})
		fatal(err)
	}
	fatal(d.server.AddAccount(ctx, Account{ID: "desk", Domain: "desk.example", Store: st}))
	a := d.server.account("desk.example")
	d.anna, d.bob = a.agent("anna"), a.agent("bob")
	f.Cleanup(func() {
		if err := errors.Join(d.server.Shutdown(ctx), st.Close(), k.Close()); err != nil {
			f.Error(err)
		}
	})
	return d
}

// A testDevice is a client's end of a session.
type testDevice struct {
	t       *testing.T
	session *Session
	conn    net.Conn

	mu    sync.Mutex // guards what follows
	more  sync.Cond
	got   []byte
	ended bool
}

func (d *counter) device(t *testing.T, g *agent, resource string) *testDevice {
	t.Helper()
	ours, theirs := net.Pipe()
	s := newSession(g, resource)
	in := wire.NewReader(theirs, wire.Limits{})
	s.epoch = newEpoch(theirs, in)
	if err := errors.Join(g.load(t.Context()), g.join(s, 10)); err != nil {
		t.Fatal(err)
	}
	o := &testDevice{t: t, session: s, conn: ours}
	o.more.L = &o.mu
	go o.read() // ends with the connection
	e := s.epoch
	d.server.wg.Go(func() {
		if _, err := in.Header(); err != nil {
			t.Error(err)
		}
		s.run(e)
	})
	o.say(testHeader)
	return o
}

// say writes; where the server has gone meanwhile, what it said last tells why.
func (o *testDevice) say(text string) { _, _ = io.WriteString(o.conn, text) }

func (o *testDevice) read() {
	buf := make([]byte, 4096)
	for {
		n, err := o.conn.Read(buf)
		o.mu.Lock()
		o.got, o.ended = append(o.got, buf[:n]...), err != nil
		o.more.Broadcast()
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// until waits for a text, or the end.
func (o *testDevice) until(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.ended && !bytes.Contains(o.got, []byte(text)) {
		o.more.Wait()
	}
}

// heard is all that the server said, once it has ended the stream.
func (o *testDevice) heard() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.ended {
		o.more.Wait()
	}
	return string(o.got)
}

// complaints fails the present test when the server says that something is wrong with
// itself.
type complaints struct {
	slog.Handler
	t *testing.T
	sync.Mutex
}

// Store names the test that is to fail; nil for none.
func (c *complaints) Store(t *testing.T) {
	c.Lock()
	defer c.Unlock()
	c.t = t
}

// Enabled is for errors.
func (c *complaints) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// Handle fails the test.
func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	c.Lock()
	defer c.Unlock()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	if c.t == nil {
		panic("between two tests: " + text)
	}
	c.t.Error("the server complains: " + text)
	return nil
}

// WithAttrs leaves out what each line of a session's has.
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
