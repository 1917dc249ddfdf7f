package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"parley.im/parley/xmppd/xmpptest"
)

// TestTalkOverNetwork plays the golden talks against 'parley serve' as its operator
// runs it: a process of its own for each, TCP, TLS, time as it passes, webhooks over HTTPS.
// With -short these are a few of them.
//
// With PARLEY_TALK_ADDR=host:port it plays them against a server that runs already,
// where direct TLS is. PARLEY_TALK_CA names the file of the authority that vouches for
// it, if it is not one of the system's. With PARLEY_TALK_CONFIG, that server's
// parley.toml, each talk's cast is added before and deleted afterwards. Without it the
// cast must exist; talks that look into the archive then succeed only once.
func TestTalkOverNetwork(t *testing.T) {
	t.Parallel()
	paths := networkPaths(t)
	if addr := os.Getenv("PARLEY_TALK_ADDR"); addr != "" {
		e := &elsewhere{addr: addr, ca: os.Getenv("PARLEY_TALK_CA"), config: os.Getenv("PARLEY_TALK_CONFIG")}
		for _, path := range paths {
			t.Run(talkName(path), func(t *testing.T) { e.play(t, path) })
		}
		return
	}
	for _, path := range paths {
		t.Run(talkName(path), func(t *testing.T) {
			t.Parallel()
			talk := overNetwork(t, path)
			talk.Play(t, newProcessServer(t, talk))
		})
	}
}

func talkName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".talk") }

// networkPaths are the talks that are to be played.
func networkPaths(t *testing.T) []string {
	t.Helper()
	pattern := "*.talk"
	if testing.Short() {
		pattern = "[01][0-9]-*.talk"
	}
	paths, err := filepath.Glob("../../testdata/talks/" + pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no talks: %v", err)
	}
	if testing.Short() {
		paths = slices.DeleteFunc(paths, func(path string) bool {
			return !slices.Contains([]string{"00", "08", "12"}, talkName(path)[:2])
		})
	}
	return paths
}

// overNetwork reads a talk, and skips it if only pretend time can be waited for.
func overNetwork(t *testing.T, path string) *xmpptest.Talk {
	t.Helper()
	talk, err := xmpptest.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if talk.Waits() {
		t.Skip("in this talk time is pretended to pass; TestTalk plays it")
	}
	if talk.Visits() {
		// What a visitor hears comes at its own pace: only a bubble knows when it is all.
		t.Skip("this talk has visitors; TestTalk plays it, and TestVisitorsOverHTTPS goes over the network")
	}
	return talk
}

// A processServer is 'parley serve' with an installation made for one talk.
type processServer struct {
	t        *testing.T
	d        *daemon
	requests chan xmpptest.Request // nil without a receiver
}

func newProcessServer(t *testing.T, talk *xmpptest.Talk) *processServer {
	t.Helper()
	dir := t.TempDir()
	config := castIn(t, dir, talk, "-starttls", "127.0.0.1:0", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0",
		"-set", `webhook.allow=["127.0.0.0/8"]`)
	s := &processServer{t: t}
	var env []string
	if talk.Hooks() {
		receiver := s.receive()
		env = append(env, "SSL_CERT_FILE="+certificateFile(t, dir, receiver))
		must(t, "", "webhook", "add", "-account", accountOf(talk.Cast[0].Domain), "-url", receiver.URL+"/parley", "-config", config)
	}
	s.d = startDaemon(t, dir, env...)
	t.Cleanup(func() { s.sound(s.stop()) })
	return s
}

// receive starts the receiver of webhooks.
func (s *processServer) receive() *httptest.Server {
	s.requests = make(chan xmpptest.Request, 1000)
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(body) {
			s.t.Errorf("webhook with a body that is no JSON: %q, %v", body, err)
		}
		s.requests <- xmpptest.Request{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body}
	}))
	s.t.Cleanup(receiver.Close)
	return receiver
}

// certificateFile writes a receiver's certificate into a file, so that a process can
// trust it.
func certificateFile(t *testing.T, dir string, receiver *httptest.Server) string {
	t.Helper()
	path := filepath.Join(dir, "receiver.pem")
	writePEM(t, path, "CERTIFICATE", receiver.Certificate().Raw)
	return path
}

// Dial opens a connection to the server.
func (s *processServer) Dial(ctx context.Context, how string) (net.Conn, error) {
	addr := s.d.tls
	if how == "starttls" {
		addr = s.d.starttls
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// Roots is quickstart's throw-away CA.
func (s *processServer) Roots() *x509.CertPool { return s.d.roots() }

// Webhooks is what the receiver got.
func (s *processServer) Webhooks() <-chan xmpptest.Request { return s.requests }

// Restart ends the process with SIGTERM and starts another one.
func (s *processServer) Restart() error {
	if err := s.stop(); err != nil {
		return err
	}
	s.d.start()
	return nil
}

// Crash kills the process and starts another one.
func (s *processServer) Crash() error {
	s.d.end(syscall.SIGKILL)
	s.d.start()
	return nil
}

// stop ends the process in order.
func (s *processServer) stop() error {
	s.d.end(syscall.SIGTERM)
	if state := s.d.cmd.ProcessState; state == nil || !state.Success() {
		return fmt.Errorf("parley serve ended with %v, want exit code 0", state)
	}
	return nil
}

// sound fails the test if the process did not end well, or said that something went
// wrong.
func (s *processServer) sound(err error) {
	log := s.d.log()
	for _, sign := range []string{"level=ERROR", "DATA RACE", "panic", "fatal error"} {
		if strings.Contains(log, sign) {
			err = fmt.Errorf("the server's log has %q", sign)
		}
	}
	if err != nil {
		s.t.Errorf("%v:\n%s", err, log)
	}
}

// elsewhere is a server that somebody else runs.
type elsewhere struct {
	t                *testing.T
	addr, ca, config string
	roots            *x509.CertPool // nil for the system's
}

// play plays a talk there, unless it asks for what only the server's operator can do.
func (e *elsewhere) play(t *testing.T, path string) {
	talk := overNetwork(t, path)
	e.t = t
	switch {
	case talk.Restarts():
		t.Skip("this talk restarts the server, which is somebody else's")
	case talk.InClear():
		t.Skip("this talk uses STARTTLS, and PARLEY_TALK_ADDR is where direct TLS is")
	case talk.Hooks():
		t.Skip("this talk tells of webhooks, which go elsewhere")
	case talk.Config != "":
		t.Skip("this talk needs settings of its own")
	}
	if e.ca != "" {
		var err error
		if e.roots, err = readRoots(e.ca); err != nil {
			t.Fatal(err)
		}
	}
	for i, domain := range domainsOf(talk) {
		if err := e.shows(domain); err != nil && i == 0 {
			t.Fatal(err)
		} else if err != nil {
			t.Skipf("the server is not there for all of this talk's domains: %v", err)
		}
	}
	if e.config == "" {
		talk.Play(t, e)
		return
	}
	for _, p := range talk.Cast {
		must(t, p.Password+"\n", "agent", "add", "-password-stdin", "-no-policy", "-config", e.config, p.JID())
		// The test's context has ended by then.
		t.Cleanup(func() {
			if err := run(context.Background(), []string{"agent", "delete", "-config", e.config, p.JID()}, strings.NewReader(""), io.Discard, t.Output()); err != nil {
				t.Error(err)
			}
		})
	}
	talk.Play(t, e)
}

// shows tries whether the server has a certificate for a domain.
func (e *elsewhere) shows(domain string) error {
	dialer := tls.Dialer{Config: &tls.Config{ServerName: domain, RootCAs: e.roots, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(e.t.Context(), "tcp", e.addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Dial opens a connection to the server.
func (e *elsewhere) Dial(ctx context.Context, how string) (net.Conn, error) {
	if how != "tls" {
		return nil, fmt.Errorf("no listener %q", how)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", e.addr)
}

// Roots are the authorities that may vouch for it.
func (e *elsewhere) Roots() *x509.CertPool { return e.roots }

// Webhooks go elsewhere.
func (e *elsewhere) Webhooks() <-chan xmpptest.Request { return nil }

// Restart is somebody else's to do.
func (e *elsewhere) Restart() error { return fmt.Errorf("%s cannot be restarted from here", e.addr) }

// Crash is somebody else's to do.
func (e *elsewhere) Crash() error { return fmt.Errorf("%s cannot be killed from here", e.addr) }

// The same talks can be played against a server that runs already, one after the
// other, and nobody of their casts stays there.
func TestTalkElsewhere(t *testing.T) {
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "", "desk.example")
	d := startDaemon(t, dir)
	e := &elsewhere{addr: d.tls, ca: filepath.Join(dir, "tls/ca.pem"), config: config}
	for _, name := range []string{"08-two-devices", "09-while-you-were-away", "10-history"} {
		t.Run(name, func(t *testing.T) { e.play(t, "../../testdata/talks/"+name+".talk") })
	}
	if list := must(t, "", "agent", "list", "-config", config); list != "" {
		t.Errorf("after the talks there are agents:\n%s", list)
	}
}
