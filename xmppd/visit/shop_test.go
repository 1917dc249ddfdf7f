package visit_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/upload"
	"parley.im/parley/xmppd/visit"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// A shop is an account with visitors: a real store, real rules, real TLS.
type shop struct {
	t        testing.TB
	dir      string
	root     seal.Key
	limits   visit.Limits
	settings desk.Settings
	look     visit.Look
	mail     visit.Mail
	takes    *upload.Limits // what files are taken; nil is none
	now      func() time.Time
	brief    time.Duration // what net/http gives a request, and an answer; 0 is all time
	http2    bool
	narrow   bool // systems take little that is not read

	keys     *keys.Account
	store    store.Account
	contacts *contact.Contacts
	server   *visit.Server
	bans     *contact.Bans
	files    *upload.Files
	https    *httptest.Server
	stop     func()

	agents map[string]store.AgentID

	passed atomic.Int64

	mu   sync.Mutex // guards from and agents
	from netip.Addr // where requests come from
}

func newShop(t testing.TB, change ...func(*shop)) *shop {
	s := &shop{t: t, dir: t.TempDir(), root: seal.NewKey(), settings: desk.Defaults(), now: time.Now,
		agents: make(map[string]store.AgentID), from: netip.MustParseAddr("192.0.2.1")}
	for _, c := range change {
		c(s)
	}
	s.start()
	s.agent("anna")
	t.Cleanup(func() { s.stop() })
	return s
}

// start begins as a server does, with what is there.
func (s *shop) start() {
	s.t.Helper()
	ctx := context.Background()
	var err error
	s.keys, err = keys.Open(ctx, keys.Config{Dir: s.dir + "/keys", Account: "desk", Root: s.root})
	s.must(err)
	st, err := sqlite.Open(ctx, sqlite.Config{Dir: s.dir + "/data", Account: "desk", Keys: s.keys, Sealed: true})
	s.must(err)
	s.store = st
	log := slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	names := func(id store.AgentID) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		for name, a := range s.agents {
			if a == id {
				return name
			}
		}
		return ""
	}
	s.contacts, err = contact.New(ctx, contact.Config{Domain: "desk.example", Store: st, Settings: s.settings, Name: names, Now: s.now, Log: log})
	s.must(err)
	s.server = visit.New(visit.Config{
		ClientAddr: func(*http.Request) netip.Addr {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.from
		},
		Limits: s.limits, Mail: s.mail, Now: s.now, Log: log,
	})
	s.bans, err = contact.OpenBans(ctx, st, s.now)
	s.must(err)
	if s.takes != nil {
		s.files, err = upload.New(ctx, upload.Config{ID: "desk", Store: st, Limits: *s.takes, Now: s.now, Log: log,
			Origin: func() string { return "https://files.example" }})
		s.must(err)
	}
	s.must(s.server.Add(ctx, visit.Account{ID: "desk", Domain: "desk.example", Store: st, Contacts: s.contacts, Look: s.look, Bans: s.bans, Files: s.files}))
	s.https = httptest.NewUnstartedServer(s.server)
	s.https.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	s.https.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if s.narrow {
			s.must(c.(*tls.Conn).NetConn().(*net.TCPConn).SetWriteBuffer(16 << 10))
		}
		return ctx
	}
	s.https.EnableHTTP2 = s.http2
	s.https.Config.ReadTimeout, s.https.Config.WriteTimeout = s.brief, s.brief
	s.https.StartTLS()
	s.https.Client().Transport.(*http.Transport).ExpectContinueTimeout = patience
	run, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.contacts.Run(run) })
	running.Go(func() { s.server.Run(run) })
	for name, id := range s.agents {
		s.contacts.SetAgent(desk.Agent{ID: id, Name: name, Here: true, Takes: true})
	}
	s.stop = sync.OnceFunc(func() {
		s.server.Close()
		s.https.Close()
		end()
		running.Wait()
		s.must(s.store.Close())
		s.must(s.keys.Close())
	})
}

// restart ends it all and begins again.
func (s *shop) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// ban bans a contact's visitor.
func (s *shop) ban(address string, d time.Duration, by ...contact.BanKind) {
	s.t.Helper()
	_, err := s.bans.AddContact(s.t.Context(), address, by, func(id store.ConversationID) []netip.Prefix { return s.server.Whence("desk", id) },
		contact.BanWish{For: d})
	s.must(err)
}

// agent adds an agent who takes contacts.
func (s *shop) agent(name string) store.AgentID {
	s.t.Helper()
	a, err := s.store.AddAgent(s.t.Context(), name, "agent", store.Credential{Verifier: []byte("v")})
	s.must(err)
	s.mu.Lock()
	s.agents[name] = a.ID
	s.mu.Unlock()
	s.contacts.SetAgent(desk.Agent{ID: a.ID, Name: name, Here: true, Takes: true})
	return a.ID
}

// comesFrom has what follows come from an address.
func (s *shop) comesFrom(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = netip.MustParseAddr(addr)
}

// says is what an agent writes, with further elements.
func (s *shop) says(agent, address, id, text string, with ...string) (*desk.Change, error) {
	c, err := s.contacts.ByAddress(address)
	if err != nil {
		return nil, err
	}
	m := s.contacts.Text(c, desk.Agents, id, text, s.now())
	m.From, m.To = agent+"@desk.example/phone", c.Address+"@visitors.desk.example"
	m.Inner = append(m.Inner, strings.Join(with, "")...)
	return contact.Wait(func(done desk.Done) {
		s.contacts.AgentSays(c.ID, desk.Said{Agent: s.agents[agent], Body: m}, done)
	})
}

// stopped has the clock stand, but for passes.
func stopped(s *shop) {
	began := time.Now()
	s.now = func() time.Time { return began.Add(time.Duration(s.passed.Load())) }
}

// passes has so much have passed since the beginning.
func (s *shop) passes(d time.Duration) { s.passed.Store(int64(d)) }

// say has it said.
func (s *shop) say(agent, address, id, text string) {
	s.t.Helper()
	_, err := s.says(agent, address, id, text)
	s.must(err)
}

// corrects has her say something else than before.
func (s *shop) corrects(agent, address, id, text string) {
	s.t.Helper()
	_, err := s.says(agent, address, newID(), text, "<replace xmlns='urn:xmpp:message-correct:0' id='"+id+"'/>")
	s.must(err)
}

// eventually waits until it is so.
func (s *shop) eventually(what string, so func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("it never came that %s", what)
		}
	}
}

// offered waits until somebody is asked to take the contact.
func (s *shop) offered(address string) {
	s.t.Helper()
	s.eventually("somebody is asked", func() bool {
		c, err := s.contacts.ByAddress(address)
		return err == nil && c.State == desk.Offered
	})
}

// A reply is what HTTP answers.
type reply struct {
	Status  int
	Header  http.Header
	Body    []byte
	Contact visit.Contact
	Token   string
	Visitor string
	Code    string
	Detail  string
}

type J map[string]any

// do sends a request with a JSON body, if there is one.
func (s *shop) do(method, path string, body any, header ...string) reply {
	s.t.Helper()
	var r io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(body)
	default:
		b, err := json.Marshal(body)
		s.must(err)
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.https.URL+"/visit/desk/"+path, r)
	s.must(err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.https.Client().Do(req)
	s.must(err)
	defer resp.Body.Close()
	is := reply{Status: resp.StatusCode, Header: resp.Header}
	if is.Body, err = io.ReadAll(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	if len(is.Body) > 0 {
		s.must(json.Unmarshal(is.Body, &is))
	}
	return is
}

// open opens a contact.
func (s *shop) open(wish J) reply {
	s.t.Helper()
	if wish["id"] == nil {
		wish["id"] = newID()
	}
	is := s.do("POST", "contacts", wish)
	if is.Status != http.StatusCreated {
		s.t.Fatalf("a contact is not opened: %d %s", is.Status, is.Body)
	}
	return is
}

var ids struct {
	sync.Mutex
	n int
}

// newID makes an id that no other is like.
func newID() string {
	ids.Lock()
	defer ids.Unlock()
	ids.n++
	return fmt.Sprintf("client-made-id-%06d", ids.n)
}

// A frame is one of the server's.
type frame struct {
	Type, ID, Text, Code, Of string
	What                     string
	Seq                      int64
	At                       time.Time
	On                       bool
	From                     struct{ Kind, Name, Avatar string }
	Contact                  visit.Contact
	Position, Wait           int
	File                     struct{ ID, Name string }
}

// A client speaks the protocol over a WebSocket.
type client struct {
	s       *shop
	ws      *websocket.Conn
	welcome visit.Contact
}

// dial opens a WebSocket and says nothing yet.
func (s *shop) dial(header ...string) (*client, *http.Response, error) {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	pool := x509.NewCertPool()
	pool.AddCert(s.https.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"}, DisableKeepAlives: true}
	if s.narrow {
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
			}
			return c, err
		}
	}
	ws, resp, err := websocket.Dial(ctx, strings.Replace(s.https.URL, "https", "wss", 1)+"/visit/desk/socket", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: h, Subprotocols: []string{"parley.visit.1"},
	})
	if err != nil {
		return nil, resp, err
	}
	ws.SetReadLimit(1 << 20)
	return &client{s: s, ws: ws}, resp, nil
}

// comes opens a WebSocket to a contact, says hello, and reads the welcome.
func (s *shop) comes(token string, after int64) *client {
	s.t.Helper()
	c, _, err := s.dial()
	s.must(err)
	s.t.Cleanup(func() { c.ws.CloseNow() })
	c.send(J{"type": "hello", "token": token, "after": after})
	f := c.next()
	if f.Type != "welcome" {
		s.t.Fatalf("hello is answered by %+v", f)
	}
	c.welcome = f.Contact
	return c
}

func (c *client) send(f any) {
	c.s.t.Helper()
	c.s.must(c.try(f))
}

func (c *client) try(f any) error {
	b, ok := f.([]byte)
	if !ok {
		b, _ = json.Marshal(f)
	}
	ctx, cancel := context.WithTimeout(c.s.t.Context(), patience)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, b)
}

// read reads the next frame.
func (c *client) read() (f frame, err error) {
	ctx, cancel := context.WithTimeout(c.s.t.Context(), patience)
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

// next is the next frame.
func (c *client) next() frame {
	c.s.t.Helper()
	f, err := c.read()
	c.s.must(err)
	return f
}

// until reads frames until one of that type, and skips what is said of state and queue before it. All else
// is a failure.
func (c *client) until(kind string) frame {
	c.s.t.Helper()
	for {
		f := c.next()
		if f.Type == kind {
			return f
		}
		if f.Type != "state" && f.Type != "queue" {
			c.s.t.Fatalf("waiting for %s, there is %+v", kind, f)
		}
	}
}

// state reads frames until the contact is in a state.
func (c *client) state(want string) frame {
	c.s.t.Helper()
	for {
		if f := c.until("state"); f.Contact.State == want {
			return f
		}
	}
}

// gone reads to the end, which a bye comes before.
func (c *client) gone() (code string) {
	c.s.t.Helper()
	for {
		f, err := c.read()
		if err != nil {
			return code
		}
		if f.Type == "bye" {
			code = f.Code
		}
	}
}
