package auth

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

// A memory is a Store for tests, with a list of what it was asked.
type memory struct {
	mu          sync.Mutex
	asked       []string
	broken      error // every call's answer if set
	agents      map[string]store.Agent
	credentials []store.Credential
	settings    map[string]string
	own         map[string]store.Own // by agent, part and name
}

func newMemory() *memory {
	return &memory{agents: map[string]store.Agent{}, settings: map[string]string{}, own: map[string]store.Own{}}
}

func (m *memory) ask(what string) (unlock func(), err error) {
	m.mu.Lock()
	m.asked = append(m.asked, what)
	return m.mu.Unlock, m.broken
}

func (m *memory) Agent(_ context.Context, name string) (store.Agent, error) {
	unlock, err := m.ask("agent")
	defer unlock()
	if a, ok := m.agents[name]; ok || err != nil {
		return a, err
	}
	return store.Agent{}, store.ErrNotFound
}

func (m *memory) Agents(context.Context) (list []store.Agent, err error) {
	unlock, err := m.ask("agents")
	defer unlock()
	for _, a := range m.agents {
		list = append(list, a)
	}
	return list, err
}

func (m *memory) Credentials(_ context.Context, id store.AgentID) (list []store.Credential, err error) {
	unlock, err := m.ask("credentials")
	defer unlock()
	for _, c := range m.credentials {
		if c.Agent == id {
			list = append(list, c)
		}
	}
	return list, err
}

func (m *memory) SetCredential(_ context.Context, c store.Credential) error {
	unlock, err := m.ask("set credential")
	defer unlock()
	if err != nil {
		return err
	}
	for i := range m.credentials {
		if old := &m.credentials[i]; old.ID == c.ID && old.Agent == c.Agent {
			*old = c
			return nil
		}
	}
	return store.ErrNotFound
}

func (m *memory) Secret(_ context.Context, name string, size int) ([]byte, error) {
	unlock, err := m.ask("secret " + name)
	defer unlock()
	return make([]byte, size), err
}

func (m *memory) Setting(_ context.Context, name string) (string, error) {
	unlock, err := m.ask("setting")
	defer unlock()
	if s, ok := m.settings[name]; ok || err != nil {
		return s, err
	}
	return "", store.ErrNotFound
}

func (m *memory) SetSetting(_ context.Context, name, value string) error {
	unlock, err := m.ask("set")
	defer unlock()
	if err == nil {
		m.settings[name] = value
	}
	return err
}

func (m *memory) OwnNamed(ctx context.Context, agent store.AgentID, part store.Part, name string) (value []byte, err error) {
	err = m.OwnOf(ctx, agent, part, func(n string, v []byte) error {
		if n == name {
			value = v
		}
		return nil
	})
	return value, err
}

func (m *memory) OwnOf(_ context.Context, agent store.AgentID, part store.Part, yield func(string, []byte) error) error {
	unlock, err := m.ask("own")
	var list []store.Own
	for _, key := range slices.Sorted(maps.Keys(m.own)) {
		if o := m.own[key]; o.Agent == agent && o.Part == part {
			list = append(list, o)
		}
	}
	unlock()
	for _, o := range list {
		if err == nil {
			err = yield(o.Name, o.Value)
		}
	}
	return err
}

func (m *memory) KeepOwn(_ context.Context, list ...store.Own) error {
	runtime.Gosched() // a real one takes its time
	unlock, err := m.ask("keep")
	defer unlock()
	if err != nil {
		return err
	}
	for _, o := range list {
		key := fmt.Sprint(o.Agent, o.Part, o.Name)
		if m.own[key] = o; o.Value == nil {
			delete(m.own, key)
		}
	}
	return nil
}

// add gives an agent, made if need be, a credential.
func (m *memory) add(t testing.TB, a *Account, name, label, device, password string) store.Agent {
	t.Helper()
	v, err := a.Verifier(t.Context(), name, password)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	agent, ok := m.agents[name]
	if !ok {
		agent = store.Agent{ID: store.AgentID(len(m.agents) + 1), Name: name, Role: "agent"}
		m.agents[name] = agent
	}
	m.credentials = append(m.credentials, store.Credential{
		ID: int64(len(m.credentials) + 1), Agent: agent.ID, Scope: "xmpp",
		Label: label, Device: device, Verifier: v,
	})
	return agent
}

// An office is an account under test, with anna in it.
type office struct {
	*Account
	store    *memory
	clock    time.Time
	failures []Failure
}

const password = "maple-otter-47-quiet"

var (
	home  = netip.MustParseAddr("192.0.2.7")
	cloud = scram.Channel{Version: 0x0304, Exporter: []byte("exported"), EndPoint: []byte("leaf")}
)

// newOffice opens an account over st, which may be one that was used before.
func newOffice(t testing.TB, st *memory, c Config) *office {
	t.Helper()
	o := &office{store: st, clock: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	if c.Iterations == 0 {
		c.Iterations = MinIterations
	}
	c.OnFailure = func(f Failure) { o.failures = append(o.failures, f) }
	var err error
	if o.Account, err = New(t.Context(), st, "desk.example", c, func() time.Time { return o.clock }); err != nil {
		t.Fatal(err)
	}
	return o
}

func newOfficeWithAnna(t testing.TB, c Config) *office {
	t.Helper()
	o := newOffice(t, newMemory(), c)
	o.store.add(t, o.Account, "anna", "password", "", password)
	return o
}

// signIn is a whole exchange.
func (o *office) signIn(t testing.TB, name, password string, from netip.Addr) (*Exchange, error) {
	t.Helper()
	c := client{mechanism: "SCRAM-SHA-256", gs2: "n,,", name: name, password: password}
	return o.exchange(t, c, from)
}

func (o *office) exchange(t testing.TB, c client, from netip.Addr) (*Exchange, error) {
	t.Helper()
	x, err := o.Begin(Attempt{Mechanism: c.mechanism, Channel: cloud, Offer: o.Offer(cloud), Addr: from})
	if err != nil {
		return nil, err
	}
	challenge, done, err := x.Step(t.Context(), []byte(c.first()))
	if err != nil {
		return x, err
	}
	if done {
		t.Fatal("done after the first message")
	}
	final, want := c.final(t, string(challenge))
	reply, done, err := x.Step(t.Context(), []byte(final))
	if err != nil {
		return x, err
	}
	if !done || string(reply) != want {
		t.Fatalf("server's last message is %q (done %v), want %q", reply, done, want)
	}
	return x, nil
}

// last is the newest failure's reason.
func (o *office) last() Reason {
	if len(o.failures) == 0 {
		return ""
	}
	return o.failures[len(o.failures)-1].Reason
}

func hostN(n int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("198.51.%d.%d", 100+n/250, n%250))
}
