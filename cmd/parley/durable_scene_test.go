package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/xmppd/hook"
)

const scenePassword = "correct horse 42"

// A scene is an installation whose server comes and goes, the clients that talk through
// it, and what all of them have seen.
type scene struct {
	t      *testing.T
	config string
	roots  *x509.CertPool
	events *eventLog

	mu      sync.Mutex // guards what follows
	addr    string     // of the running server; "" while there is none
	changed chan struct{}
	over    bool // the clients go home
	sent    map[string]*sentence
	got     map[string]map[string]int // by recipient and message, then stanza-id: how often
	resumed int
	failed  int // resumptions that were refused
}

// A sentence is a message that somebody has sent.
type sentence struct {
	id, from, to string // bare JIDs
	number       int    // counted by the sender
	acknowledged bool
}

// newScene makes an installation with agents, and a receiver of its webhooks.
func newScene(t *testing.T, agents ...string) *scene {
	t.Helper()
	dir, config := quickstarted(t, "-account", "desk", "-starttls", "", "-tls", "127.0.0.1:0", "-https", "",
		"-set", "auth.lockout=false", "-set", `webhook.allow=["127.0.0.0/8"]`, "localhost")
	roots, err := readRoots(filepath.Join(dir, "tls/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{
		t: t, config: config, roots: roots, changed: make(chan struct{}),
		sent: make(map[string]*sentence), got: make(map[string]map[string]int),
	}
	var list strings.Builder
	for _, jid := range agents {
		fmt.Fprintf(&list, "%s\t%s\n", jid, scenePassword)
	}
	if len(agents) > 0 {
		must(t, list.String(), "agent", "import", "-no-policy", "-config", config)
		s.receive(dir)
	}
	return s
}

// began says where the server listens now; "" that there is none any more.
func (s *scene) began(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = addr
	s.change()
}

// change wakes the clients, who wait for a server or the end; s.mu is held.
func (s *scene) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// end sends the clients home.
func (s *scene) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.change()
}

// address waits until a server runs; "" once the scene is over.
func (s *scene) address() string {
	for {
		s.mu.Lock()
		addr, over, changed := s.addr, s.over, s.changed
		s.mu.Unlock()
		if over {
			return ""
		}
		if addr != "" {
			return addr
		}
		<-changed
	}
}

// arrived notes a message that came to an agent.
func (s *scene) arrived(jid string, message *element) {
	id := message.at("origin-id").attr("id")
	if id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := jid + " " + id
	if s.got[key] == nil {
		s.got[key] = make(map[string]int)
	}
	s.got[key][message.at("stanza-id").attr("id")]++
}

// until waits for a condition that the clients bring about; s.mu is held when it is
// looked at.
func (s *scene) until(what string, holds func() (missing string)) {
	s.t.Helper()
	late := time.After(processPatience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		s.mu.Lock()
		missing := holds()
		s.mu.Unlock()
		if missing == "" {
			return
		}
		select {
		case <-again.C:
		case <-late:
			s.t.Fatalf("%s: %s", what, missing)
		}
	}
}

// An event is what message.created says.
type event struct {
	Type string
	Data struct {
		Seq          int64
		Conversation struct{ ID string }
		Message      struct {
			OriginID string `json:"origin_id"`
			From, To string
			Text     string
		}
	}
}

// An eventLog is what the receiver of the webhooks has got.
type eventLog struct {
	secret, token string

	mu  sync.Mutex                   // guards what follows
	ids map[string]map[string]string // by message: events by id, and what they said
	bad []string
}

// receive starts the receiver and registers it (VIV-4).
func (s *scene) receive(dir string) {
	s.t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls/cert.pem"), filepath.Join(dir, "tls/key.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	l := &eventLog{ids: make(map[string]map[string]string)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed at it
		}
		l.take(r.Header, body)
	}))
	// Killed senders break off in the middle of a handshake.
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	s.t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	var hook struct{ Secret string }
	var account struct{ Secret string }
	for v, text := range map[any]string{
		&hook:    must(s.t, "", "webhook", "add", "-json", "-account", "desk", "-url", "https://localhost:"+port+"/parley", "-events", "message.created", "-config", s.config),
		&account: must(s.t, "", "account", "show", "-json", "-secret", "-config", s.config, "desk"),
	} {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			s.t.Fatalf("%s: %v", text, err)
		}
	}
	l.secret, l.token = hook.Secret, account.Secret
	s.events = l
}

// take verifies an event by both signatures (VIV-6) and notes it.
func (l *eventLog) take(h http.Header, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var e event
	switch err := json.Unmarshal(body, &e); {
	case err != nil:
		l.bad = append(l.bad, fmt.Sprintf("%v: %s", err, body))
		return
	case !verifyStandard(l.secret, h, body) || !hmac.Equal([]byte(hook.HMAC(l.token, body)), []byte(h.Get("x-vvc-hmac"))):
		l.bad = append(l.bad, fmt.Sprintf("signature of %s", body))
		return
	}
	m := e.Data.Message
	if l.ids[m.OriginID] == nil {
		l.ids[m.OriginID] = make(map[string]string)
	}
	l.ids[m.OriginID][h.Get("webhook-id")] = fmt.Sprintf("%s %s→%s: %s, %s/%d", e.Type, m.From, m.To, m.Text, cmp.Or(e.Data.Conversation.ID, "?"), e.Data.Seq)
}
