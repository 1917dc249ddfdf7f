package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/web"
)

// A visiting is a whole server with visitors and agents, in the process of a benchmark: what agents
// say and hear goes over XMPP and TLS, what visitors do over HTTPS, and one receiver
// gets all events, signed.
type visiting struct {
	*server
	b       *testing.B
	dir     string
	roots   *x509.CertPool
	agents  []*frontAgent
	web     *http.Client
	opened  int
	stop    func()
	events  atomic.Int64 // that are still to come before done is closed
	done    chan struct{}
	answers chan struct{} // closed when the receiver may answer
}

// A frontAgent is an agent's client; what it hears of a contact goes to whoever asked for it.
type frontAgent struct {
	*jabber
	mu   sync.Mutex
	hear func(contact, id, body string, at time.Time)
}

const visitingNames = "anna ben cleo dora"

func newVisiting(b *testing.B, settings func(*conf.Desk)) *visiting {
	b.Helper()
	count, _ := strconv.Atoi(cmp.Or(os.Getenv("PARLEY_CONTACTS"), "1000"))
	filled := filepath.Join(cmp.Or(os.Getenv("PARLEY_FIXTURES"), b.TempDir()), fmt.Sprint("visited-", count))
	v := &visiting{b: b, dir: filled, answers: make(chan struct{})}
	config := filepath.Join(filled, "parley.toml")
	if _, err := os.Stat(config); err != nil {
		v.install(config)
		v.serve(config, settings)
		v.fill(count)
		v.stop()
	}
	v.dir = filepath.Join(b.TempDir(), "visited") // what is filled stays as it is
	if out, err := exec.Command("cp", "-a", filled, v.dir).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	config = filepath.Join(v.dir, "parley.toml")
	v.receive(config)
	v.serve(config, settings)
	b.Cleanup(v.stop)
	for name := range strings.FieldsSeq(visitingNames) {
		v.agents = append(v.agents, v.signIn(name))
	}
	return v
}

func (v *visiting) install(config string) {
	v.run("", "quickstart", "-dir", v.dir, "-account", "desk", "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", "auth.iterations=10000",
		"-set", "account.desk.visitors=true", "-set", `webhook.allow=["127.0.0.0/8"]`, "-set", "visitors.connections_per_address=0", "-set", "visitors.opens_per_minute=0",
		"-set", "visitors.contacts_per_address=0", "localhost")
	var people strings.Builder
	for name := range strings.FieldsSeq(visitingNames) {
		fmt.Fprintf(&people, "%s@localhost\tcorrect horse\n", name)
	}
	v.run(people.String(), "agent", "import", "-no-policy", "-config", config)
}

func (v *visiting) serve(config string, settings func(*conf.Desk)) {
	f, err := conf.Load(config, nil)
	if err != nil {
		v.b.Fatal(err)
	}
	f.API.PerMinute = 0
	settings(&f.Accounts[0].Desk)
	ctx, cancel := context.WithCancel(context.Background())
	w := realWorld
	w.hook = trustDemo(v.dir)
	if v.server, err = newServer(ctx, f, slog.New(slog.DiscardHandler), w); err != nil {
		cancel()
		v.b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- v.server.run(ctx) }()
	v.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			v.b.Error(err)
		}
	}
	if v.roots, err = readRoots(filepath.Join(v.dir, "tls/ca.pem")); err != nil {
		v.b.Fatal(err)
	}
	v.web = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, v.httpsOn[0].Addr().String())
		},
		TLSClientConfig: &tls.Config{RootCAs: v.roots}, MaxIdleConnsPerHost: 16,
	}}
}

// fill puts that many finished contacts into the store, with three messages each.
func (v *visiting) fill(count int) {
	v.b.Helper()
	st := v.inst.list()[0].store
	var begun atomic.Int64
	var all sync.WaitGroup
	for range 256 {
		all.Go(func() {
			for i := begun.Add(1); i <= int64(count) && !v.b.Failed(); i = begun.Add(1) {
				if err := putContact(v.b.Context(), st, int(i)); err != nil {
					v.b.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func putContact(ctx context.Context, st store.Account, i int) error {
	conv, err := st.NewContact(ctx)
	if err != nil {
		return err
	}
	at := time.Now().Add(-time.Hour)
	done := make(chan error, 1)
	batch := &store.Batch{
		Contact: &store.ContactChange{Contact: store.Contact{ID: conv.ID(), Address: contact.NewAddress(), Version: 1, State: uint8(desk.Finalized), Owner: store.AgentID(1 + i%4),
			Visitor: fmt.Sprint("v_", i/3), Created: at, Ended: at, Outcome: "successful", Data: []byte("{}")}, From: 1},
		Done: func(b *store.Batch) { done <- b.Err },
	}
	for n := range 3 {
		batch.Ops = append(batch.Ops, store.Op{Conversation: conv, Kind: store.KindMessage, At: at, Data: store.AppendMessage(nil, &store.Message{
			Type: "chat", From: "x@visitors.localhost", To: "localhost", ID: fmt.Sprint("m", n), Inner: []byte("<body>Where is my order? It was to be here on Monday.</body>")})})
	}
	st.Append(batch)
	return <-done
}

func (v *visiting) run(stdin string, args ...string) {
	v.b.Helper()
	if err := run(v.b.Context(), args, strings.NewReader(stdin), io.Discard, io.Discard); err != nil {
		v.b.Fatalf("parley %s: %v", strings.Join(args, " "), err)
	}
}

// receive is the receiver of webhooks: it answers once it may.
func (v *visiting) receive(config string) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(v.dir, "tls/cert.pem"), filepath.Join(v.dir, "tls/key.pem"))
	if err != nil {
		v.b.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-v.answers
		if v.events.Add(-1) == 0 {
			close(v.done)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	v.b.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	v.run("", "webhook", "add", "-account", "desk", "-url", "https://localhost:"+port+"/", "-config", config)
}

// signIn has an agent available, and read what she hears.
func (v *visiting) signIn(name string) *frontAgent {
	v.b.Helper()
	raw, err := net.Dial("tcp", v.xmppOn[0].Addr().String())
	if err != nil {
		v.b.Fatal(err)
	}
	v.b.Cleanup(func() { raw.Close() })
	l := login{domain: "localhost", name: name, password: "correct horse"}
	a := &frontAgent{jabber: &jabber{conn: tls.Client(raw, &tls.Config{ServerName: l.domain, RootCAs: v.roots})}}
	a.in = bufio.NewReader(a.conn)
	if err := errors.Join(a.header(l), a.authenticate(l), a.header(l)); err != nil {
		v.b.Fatal(err)
	}
	a.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq><iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
	go func() { // ends with the connection
		for {
			e, err := a.element()
			if err != nil {
				return
			}
			now := time.Now()
			if e.name.Local != "message" || e.child("body") == nil {
				continue
			}
			contact, _, _ := strings.Cut(e.attr("from"), "/")
			a.mu.Lock()
			hear := a.hear
			a.mu.Unlock()
			if hear != nil {
				hear(contact, e.attr("id"), e.child("body").text(), now)
			}
		}
	}()
	return a
}

func (a *frontAgent) hears(f func(contact, id, body string, at time.Time)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hear = f
}

// open opens a contact in which the visitor asks something.
func (v *visiting) open(group, text string) visitorFrame {
	v.b.Helper()
	v.opened++
	body, _ := json.Marshal(map[string]string{"id": fmt.Sprintf("opening-%d-%016d", time.Now().UnixNano(), v.opened), "name": "Mia", "text": text, "group": group})
	resp, err := v.web.Post("https://localhost/visit/desk/contacts", "application/json", bytes.NewReader(body))
	if err != nil {
		v.b.Fatal(err)
	}
	defer resp.Body.Close()
	var is visitorFrame
	if err := json.NewDecoder(resp.Body).Decode(&is); err != nil || resp.StatusCode != http.StatusCreated {
		v.b.Fatalf("%s: %v", resp.Status, err)
	}
	return is
}

// join connects a visitor, and hands each frame to f.
func (v *visiting) join(token string, f func(visitorFrame)) *websocket.Conn {
	v.b.Helper()
	ws, _, err := websocket.Dial(v.b.Context(), "wss://localhost/visit/desk/socket", &websocket.DialOptions{HTTPClient: v.web, Subprotocols: []string{"parley.visit.1"}})
	if err != nil {
		v.b.Fatal(err)
	}
	v.b.Cleanup(func() { ws.CloseNow() })
	if err := ws.Write(v.b.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"hello","token":%q,"after":0}`, token)); err != nil {
		v.b.Fatal(err)
	}
	go func() { // ends with the connection
		for {
			_, data, err := ws.Read(context.Background())
			var is visitorFrame
			if err != nil || json.Unmarshal(data, &is) != nil {
				return
			}
			f(is)
		}
	}()
	return ws
}

// A stopwatch keeps how long things took, from begin to end, by their names.
type stopwatch struct {
	mu    sync.Mutex
	began map[string]time.Time
	took  map[string][]time.Duration
	all   sync.WaitGroup
}

func newStopwatch() *stopwatch {
	return &stopwatch{began: make(map[string]time.Time), took: make(map[string][]time.Duration)}
}

func (s *stopwatch) begin(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Add(1)
	s.began[id] = time.Now()
}

// end notes what id took; what was not begun, or has ended, it passes over.
func (s *stopwatch) end(what, id string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began, ok := s.began[id]
	if !ok {
		return
	}
	delete(s.began, id)
	s.took[what] = append(s.took[what], at.Sub(began))
	s.all.Done()
}

func (s *stopwatch) report(b *testing.B) {
	for what, list := range s.took {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, "ms:"+what+":p50")
		b.ReportMetric(float64(list[len(list)*99/100].Microseconds())/1000, "ms:"+what+":p99")
	}
}

// BenchmarkVisitors is the whole way between visitors' WebSockets and agents' Jabber clients: 200 contacts
// of four agents, 500 messages a second from both sides. It tells how long a message takes from
// one's client to the other's, and from a visitor's to the answer that it is kept.
func BenchmarkVisitors(b *testing.B) {
	const contacts, perSecond = 200, 500
	v := newVisiting(b, func(d *conf.Desk) { d.Limit, d.Offers = contacts, contacts })
	close(v.answers)
	watch := newStopwatch()
	for _, a := range v.agents {
		a.hears(func(_, _, body string, at time.Time) { watch.end("visitor→agent", body, at) })
	}
	addresses, lines := make([]string, contacts), make([]*websocket.Conn, contacts)
	for i := range contacts {
		agent := v.agents[i%len(v.agents)]
		taken := make(chan struct{}, 1)
		offered := make(chan string, 1)
		question := fmt.Sprint("question ", i)
		agent.hears(func(contact, _, body string, _ time.Time) {
			if strings.Contains(body, question) {
				offered <- contact
			}
		})
		is := v.open("", question)
		lines[i] = v.join(is.Token, func(f visitorFrame) {
			switch {
			case f.Type == "message" && f.Text == "taken":
				taken <- struct{}{}
			case f.Type == "message":
				watch.end("agent→visitor", f.Text, time.Now())
			case f.Type == "said":
				watch.end("visitor→kept", "kept "+f.ID, time.Now())
			}
		})
		addresses[i] = <-offered
		agent.send("<message type='chat' to='%s'><body>taken</body></message>", addresses[i])
		<-taken
		agent.hears(func(_, _, body string, at time.Time) { watch.end("visitor→agent", body, at) })
	}
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	b.ResetTimer()
	for i := range b.N {
		<-tick.C
		n, id := i/2%contacts, fmt.Sprint("m", i)
		watch.begin(id)
		if i%2 == 0 {
			watch.begin("kept " + id)
			if err := lines[n].Write(b.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"say","id":"%s","text":"%s"}`, id, id)); err != nil {
				b.Fatal(err)
			}
			continue
		}
		v.agents[n%len(v.agents)].send("<message type='chat' to='%s' id='%s'><body>%s</body></message>", addresses[n], id, id)
	}
	watch.all.Wait()
	b.StopTimer()
	watch.report(b)
}

// BenchmarkOffer is how long it takes from a visitor's opening a contact to the offer in an agent's Jabber
// client, while a thousand others wait for a group whose agents have no time.
func BenchmarkOffer(b *testing.B) {
	const waiting = 1000
	v := newVisiting(b, func(d *conf.Desk) {
		d.Limit, d.Offers, d.Wait = 1<<20, 1<<20, time.Hour
		d.WaitGrace = time.Hour
		d.Groups = []conf.Group{{Name: "busy", Tags: []string{"busy"}}, {Name: "free", Tags: []string{"free"}}}
		d.Agents = []conf.Skilled{{Name: "anna", Tags: []string{"busy"}, Limit: 1}, {Name: "ben", Tags: []string{"free"}}}
	})
	close(v.answers)
	watch := newStopwatch()
	anna, ben := v.agents[0], v.agents[1]
	offered := make(chan string, 1)
	anna.hears(func(contact, _, body string, _ time.Time) {
		if strings.Contains(body, "first") {
			offered <- contact
		}
	})
	is := v.open("busy", "first")
	taken := make(chan struct{}, 1)
	v.join(is.Token, func(f visitorFrame) {
		if f.Type == "message" && f.Text == "taken" {
			taken <- struct{}{}
		}
	})
	anna.send("<message type='chat' to='%s'><body>taken</body></message>", <-offered)
	<-taken
	for range waiting {
		v.open("busy", "Is anyone there?")
	}
	contact := make(chan string, 1)
	ben.hears(func(from, _, body string, at time.Time) {
		if line, _, _ := strings.Cut(body, "\n"); strings.HasPrefix(line, "q") {
			watch.end("open→offer", line, at)
			contact <- from
		}
	})
	b.ResetTimer()
	for i := range b.N {
		id := fmt.Sprint("q", i)
		watch.begin(id)
		v.open("free", id)
		ben.send("<message type='chat' to='%s'><body>!decline</body></message>", <-contact)
	}
	b.StopTimer()
	watch.report(b)
}

// BenchmarkContactEvents is how fast signed events of contacts leave for one HTTPS receiver on the loopback
// that answers at once: those of visitors' contacts that were opened, taken, talked in and closed before.
func BenchmarkContactEvents(b *testing.B) {
	v := newVisiting(b, func(d *conf.Desk) { d.Limit, d.Offers = 1<<20, 1<<20 })
	anna := v.agents[0]
	offered, over := make(chan string, 1), make(chan struct{}, 1)
	anna.hears(func(contact, _, body string, _ time.Time) {
		switch {
		case strings.Contains(body, "Is anyone there?"):
			offered <- contact
		}
	})
	for range max(b.N/8, 1) { // created, queued, offered, message, assigned, two messages, closed
		is := v.open("", "Is anyone there?")
		v.join(is.Token, func(f visitorFrame) {
			if f.Type == "state" && f.Contact.State == "closed" {
				over <- struct{}{}
			}
		})
		to := <-offered
		for _, text := range []string{"Yes.", "What is it?", "!close"} {
			anna.send("<message type='chat' to='%s'><body>%s</body></message>", to, text)
		}
		<-over
	}
	v.events.Store(int64(b.N))
	v.done = make(chan struct{})
	b.ResetTimer()
	close(v.answers)
	<-v.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkContactPages is what the REST API takes for a page of fifty contacts, for one of them and for what was said in it,
// among those that PARLEY_CONTACTS has filled in: a thousand by default.
func BenchmarkContactPages(b *testing.B) {
	v := newVisiting(b, func(*conf.Desk) {})
	close(v.answers)
	var key web.KeyInfo
	var out bytes.Buffer
	err := run(b.Context(), []string{"apikey", "add", "-json", "-role", "supervisor", "-config", filepath.Join(v.dir, "parley.toml")}, strings.NewReader(""), &out, io.Discard)
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &key)
	}
	if err != nil {
		b.Fatal(err)
	}
	get := func(b *testing.B, path string) []byte {
		r, err := http.NewRequestWithContext(b.Context(), "GET", "https://localhost"+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.SetBasicAuth(key.ID, key.Secret)
		resp, err := v.web.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatalf("%s: %s: %s", path, resp.Status, body)
		}
		return body
	}
	var list web.List[struct{ ID string }]
	if err := json.Unmarshal(get(b, "/v1/contacts?limit=50"), &list); err != nil || len(list.Items) != 50 {
		b.Fatalf("a page has %d contacts: %v", len(list.Items), err)
	}
	for name, path := range map[string]string{"list": "/v1/contacts?limit=50", "one": "/v1/contacts/" + list.Items[7].ID, "transcript": "/v1/contacts/" + list.Items[7].ID + "/transcript"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				get(b, path)
			}
		})
	}
}
