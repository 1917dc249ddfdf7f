package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/hook"
	"parley.im/parley/xmppd/xmpptest"
)

// TestTalk plays the golden talks of testdata/talks against the whole server, in
// a bubble where time is pretended.
func TestTalk(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../testdata/talks/*.talk")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no talks: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".talk")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			talk, err := xmpptest.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				s := newTalkServer(t, talk)
				talk.Play(t, s)
			})
		})
	}
}

// A talkServer is the whole server on pipes, in a folder of its own.
type talkServer struct {
	t        *testing.T
	dir      string
	net      *pipeNet
	conf     *conf.File
	log      *slog.Logger
	server   *server // the one that runs now
	stop     context.CancelFunc
	ended    chan error
	requests chan xmpptest.Request
	receiver *http.Server
}

const (
	talkStartTLS = "starttls:1"
	talkTLS      = "tls:1"
	talkHTTPS    = "https:1"
	talkHooks    = "hooks:1"
)

func newTalkServer(t *testing.T, talk *xmpptest.Talk) *talkServer {
	s := &talkServer{t: t, dir: t.TempDir(), net: newPipeNet(), log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	https := ""
	if talk.Visits() {
		https = talkHTTPS
	}
	config := castIn(t, s.dir, talk, "-starttls", talkStartTLS, "-tls", talkTLS, "-https", https)
	if talk.Hooks() {
		s.receive()
		domain := talk.Cast[0].Domain
		must(t, "", "webhook", "add", "-account", accountOf(domain), "-url", "https://hooks."+domain+"/parley", "-config", config)
	}
	var err error
	if s.conf, err = conf.Load(config, nil); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.close)
	return s
}

// castIn makes an installation for a talk: its domains and settings, and its cast. The
// options are quickstart's.
func castIn(t *testing.T, dir string, talk *xmpptest.Talk, options ...string) (config string) {
	t.Helper()
	config = filepath.Join(dir, "parley.toml")
	options = append(options, "-set", "auth.iterations=10000")
	if talk.Visits() {
		options = append(options, "-set", "account."+accountOf(talk.Cast[0].Domain)+".visitors=true")
	}
	for _, domain := range domainsOf(talk) {
		must(t, "", append(append([]string{"quickstart", "-dir", dir}, options...), domain)...)
		options = nil
	}
	for path, more := range map[string]string{config: talk.Config, filepath.Join(dir, "accounts.d", accountOf(talk.Cast[0].Domain)+".toml"): talk.Account} {
		if more == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, "\n"+more...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range talk.Agents() {
		must(t, p.Password+"\n", "agent", "add", "-password-stdin", "-no-policy", "-role", p.Role, "-config", config, p.JID())
	}
	return config
}

// domainsOf are the domains of a talk's cast, each once.
func domainsOf(talk *xmpptest.Talk) (domains []string) {
	for _, p := range talk.Cast {
		if !slices.Contains(domains, p.Domain) {
			domains = append(domains, p.Domain)
		}
	}
	return domains
}

// accountOf is the account that quickstart makes for a domain.
func accountOf(domain string) string { return strings.Split(domain, ".")[0] }

func (s *talkServer) start() {
	s.t.Helper()
	w := world{
		listen:  s.net.listen,
		control: func(path string) (net.Listener, error) { return s.net.listen("unix", path) },
		hook: func(c *hook.Config) {
			c.Roots = s.Roots()
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.net.dial(ctx, talkHooks) }
		},
	}
	ctx, stop := context.WithCancel(context.Background())
	server, err := newServer(ctx, s.conf, s.log, w)
	if err != nil {
		stop()
		s.t.Fatal(err)
	}
	s.server, s.stop, s.ended = server, stop, make(chan error, 1)
	go func() { s.ended <- server.run(ctx) }()
}

func (s *talkServer) close() {
	if s.receiver != nil {
		defer s.receiver.Close()
	}
	s.stop()
	if err := <-s.ended; err != nil {
		s.t.Errorf("server: %v", err)
	}
}

// receive starts the receiver of webhooks.
func (s *talkServer) receive() {
	cert, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "tls/cert.pem"), filepath.Join(s.dir, "tls/key.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := s.net.listen("pipe", talkHooks)
	if err != nil {
		s.t.Fatal(err)
	}
	s.requests = make(chan xmpptest.Request, 1000)
	s.receiver = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(body) {
			s.t.Errorf("webhook with a body that is no JSON: %q, %v", body, err)
		}
		s.requests <- xmpptest.Request{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body}
	})}
	go s.receiver.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
}

// Dial opens a connection to the server.
func (s *talkServer) Dial(ctx context.Context, how string) (net.Conn, error) {
	switch how {
	case "starttls":
		return s.net.dial(ctx, talkStartTLS)
	case "tls":
		return s.net.dial(ctx, talkTLS)
	case "https":
		return s.net.dial(ctx, talkHTTPS)
	}
	return nil, fmt.Errorf("no listener %q", how)
}

// Roots is quickstart's throw-away CA.
func (s *talkServer) Roots() *x509.CertPool {
	pool, err := readRoots(filepath.Join(s.dir, "tls/ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	return pool
}

// Webhooks is what the receiver got.
func (s *talkServer) Webhooks() <-chan xmpptest.Request { return s.requests }

// Crash starts another server on what was on disk, and cuts all lines, before the old
// one can do anything about it. What that then writes, it writes elsewhere.
func (s *talkServer) Crash() error {
	dir := s.t.TempDir()
	if err := copyFiles(dir, s.dir); err != nil {
		return err
	}
	s.net.cut(talkStartTLS, talkTLS, talkHTTPS)
	s.stop()
	if err := <-s.ended; err != nil {
		return err
	}
	var err error
	if s.conf, err = conf.Load(filepath.Join(dir, "parley.toml"), nil); err != nil {
		return err
	}
	s.dir = dir
	s.start()
	return nil
}

// copyFiles copies a folder, for nobody else's eyes.
func copyFiles(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		copied := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.MkdirAll(copied, 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(copied, text, 0o600)
	})
}

// Restart stops the server as SIGTERM does, and starts it again.
func (s *talkServer) Restart() error {
	s.stop()
	if err := <-s.ended; err != nil {
		return err
	}
	s.start()
	return nil
}
