package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/conf"
)

// A pebble is an authority that hands out certificates as Let's Encrypt does, and trusts nobody
// either: it looks at the ports of whoever asks, by names that it looks up.
type pebble struct {
	directory string
	roots     string // a file of the CA of its own HTTPS
	manage    string
	client    http.Client
	stop      func()
	said      func() string
}

// startPebble starts the authority: it looks at these ports of the zone's names, and its
// certificates live that long.
func startPebble(t *testing.T, httpPort, tlsPort int, life time.Duration) *pebble {
	t.Helper()
	binary, err := exec.Command("go", "tool", "-modfile="+filepath.Join("..", "..", "tools.mod"), "-n", "pebble").Output()
	if err != nil {
		missingTool(t, "pebble, an ACME server, cannot be built: "+err.Error())
	}
	dir, _ := quickstarted(t, "localhost") // for a certificate
	dns := (&zone{a: map[string][]string{"desk.example.": {"127.0.0.1"}, "shop.example.": {"127.0.0.1"}}}).serve(t)
	free := freeAddresses(t, 2)
	listen, manage := free[0], free[1]
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage,
		"certificate": filepath.Join(dir, "tls/cert.pem"), "privateKey": filepath.Join(dir, "tls/key.pem"),
		"httpPort": httpPort, "tlsPort": tlsPort, "retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "all there is", "validityPeriod": int(life / time.Second)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path, log := filepath.Join(dir, "pebble.json"), filepath.Join(dir, "pebble.log")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimSpace(string(binary)), "-config", path, "-strict", "-dnsserver", dns)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pool, err := readRoots(filepath.Join(dir, "tls/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	p := &pebble{
		directory: "https://localhost:" + portOf(listen) + "/dir", manage: "https://localhost:" + portOf(manage), roots: filepath.Join(dir, "tls/ca.pem"),
		client: http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}},
	}
	p.said = func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	p.stop = func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
			out.Close()
		}
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("pebble: %s", p.said())
		}
	})
	eventually(t, "pebble is ready", func() bool {
		resp, err := p.client.Get(p.directory)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	return p
}

// issuers are the roots of what it hands out; they are made anew at each start.
func (p *pebble) issuers(t *testing.T) *x509.CertPool {
	t.Helper()
	resp, err := p.client.Get(p.manage + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatalf("pebble's roots: %q, %v", text, err)
	}
	return pool
}

// missingTool ends a test that needs a program of others: where everything is installed, as
// an error.
func missingTool(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// freeAddresses are some of 127.0.0.1 where nobody listens at the moment, for programs that must
// be told a port. The system gives none of these ports to whoever does not care which.
func freeAddresses(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for len(addrs) < n {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(10_000+rand.IntN(20_000)))
		if err == nil {
			defer l.Close() // at the end, so that they are different
			addrs = append(addrs, l.Addr().String())
		}
	}
	return addrs
}

func freeAddress(t *testing.T) string { return freeAddresses(t, 1)[0] }

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func portNumber(t *testing.T, addr string) int {
	t.Helper()
	n, err := strconv.Atoi(portOf(addr))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// acmeOnly makes an installation whose certificates all come from an authority.
func acmeOnly(t *testing.T, p *pebble, options ...string) (dir string) {
	t.Helper()
	dir, config := quickstarted(t, append(options, "-starttls", "", "-tls", "", "-https", "",
		"-set", "acme.directory="+p.directory, "-set", "acme.email=help@desk.example", "-set", "acme.roots="+p.roots, "desk.example")...)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(text), "[[certificate]]")
	_, after, more := strings.Cut(string(text), `key = "tls/key.pem"`)
	if !found || !more {
		t.Fatalf("no certificate to leave out in %s", text)
	}
	if err := os.WriteFile(config, []byte(before+after), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "anna@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	return dir
}

// certificateAt is what a port shows for a name, checked against those roots; nil if there is
// none that they vouch for.
func certificateAt(addr, name string, roots *x509.CertPool) *x509.Certificate {
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"xmpp-client"}})
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// From nothing to signing in, by a challenge in the handshake (RFC 8737): an account that comes
// later gets its own, and a restart without the authority shows what was got. A certificate that is about
// to expire is replaced, and nobody notices.
func TestACMEByHandshake(t *testing.T) {
	t.Parallel()
	both := freeAddress(t)
	const life = 18 * time.Second
	p := startPebble(t, 1, portNumber(t, both), life)
	roots := p.issuers(t)
	dir := acmeOnly(t, p, "-set", `listener=[{ address = "`+both+`", for = "any" }]`)
	must(t, "", "check", "-config", filepath.Join(dir, "parley.toml"))
	d := startDaemon(t, dir)
	var first *x509.Certificate
	eventually(t, "a certificate for desk.example", func() bool {
		first = certificateAt(both, "desk.example", roots)
		return first != nil
	})
	anna := d.at(both).login("anna", "correct horse 42", "desk")
	anna.roots, anna.protocols = roots, []string{"xmpp-client"}
	j := anna.in(t) // bound to this certificate

	must(t, "", "account", "add", "-config", filepath.Join(dir, "parley.toml"), "-domain", "shop.example", "shop")
	eventually(t, "a certificate for shop.example", func() bool { return certificateAt(both, "shop.example", roots) != nil })

	var second *x509.Certificate
	renewed := time.Now().Add(life)
	for second == nil {
		got := certificateAt(both, "desk.example", roots)
		switch {
		case got == nil:
			t.Fatal("no good certificate is shown while another one is got")
		case !got.Equal(first):
			second = got
		case time.Now().After(renewed):
			t.Fatal("not renewed")
		}
	}
	j.lives()
	anna.in(t).drop()

	err := filepath.WalkDir(filepath.Join(dir, "keys/acme"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may look at %s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(d.log(), "PRIVATE") {
		t.Error("a key is in the log")
	}

	// What was kept is enough for the next start.
	d.end(syscall.SIGKILL)
	p.stop()
	d.start()
	if certificateAt(both, "desk.example", roots) == nil {
		t.Error("after kill -9 no certificate is shown")
	}
	d.end(syscall.SIGTERM)

	cache := filepath.Join(dir, "keys/acme")
	if err := os.Chmod(filepath.Join(cache, "desk.example"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, prose, err := typed(t, "", "check", "-config", filepath.Join(dir, "parley.toml")); err == nil || !strings.Contains(prose, "acme.cache: others may read the key in "+cache) {
		t.Errorf("check of a key that others may read: %s", prose)
	}
}

// By port 80, where nothing else is answered (VIV-3).
func TestACMEByHTTP(t *testing.T) {
	t.Parallel()
	plain := freeAddress(t)
	p := startPebble(t, portNumber(t, plain), 1, 90*day)
	roots := p.issuers(t)
	dir := acmeOnly(t, p, "-set", `listener=[{ address = "127.0.0.1:0", for = "tls" }]`, "-set", "listen.redirect="+plain)
	d := startDaemon(t, dir)
	if conn, err := tls.Dial("tcp", d.tls, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Logf("a certificate is there already: %s", conn.ConnectionState().PeerCertificates[0].DNSNames)
		conn.Close()
	}
	eventually(t, "a certificate for desk.example", func() bool { return certificateAt(d.tls, "desk.example", roots) != nil })
	for path, want := range map[string]int{"/": http.StatusPermanentRedirect, "/.well-known/acme-challenge/guessed": http.StatusNotFound} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+plain+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "desk.example"
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if got := d.log(); strings.Contains(got, "level=ERROR") {
		t.Errorf("the log: %s", got)
	}
}

// By the handshake of a port that is for HTTPS alone. Which authority it is cannot be changed
// meanwhile.
func TestACMEOnHTTPS(t *testing.T) {
	t.Parallel()
	https := freeAddress(t)
	p := startPebble(t, 1, portNumber(t, https), 90*day)
	roots := p.issuers(t)
	dir := acmeOnly(t, p, "-set", "listen.tls=127.0.0.1:0", "-set", "listen.https="+https)
	d := startDaemon(t, dir)
	eventually(t, "a certificate for desk.example", func() bool { return certificateAt(d.tls, "desk.example", roots) != nil })

	config := filepath.Join(dir, "parley.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(string(text), p.directory, "https://acme.example/directory")
	if err := os.WriteFile(config, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	d.keepsOld("acme: cannot be changed while it runs")
}

// What an authority says of a name is told on one line, and not for ever.
func TestACMEReason(t *testing.T) {
	for in, want := range map[string]string{
		`{"challenges":[{"type":"dns-01"},{"type":"http-01","error":{"detail":"no\nroute\u0000"}}]}`: "http-01: no route ",
		`{"challenges":[{"type":"dns-01"}]}`: "", `{"challenges":"x"}`: "", `no JSON`: "", ``: "",
		`{"challenges":[{"type":"x","error":{"detail":"` + strings.Repeat("ü", acmeReason) + `"}}]}`: "x: " + strings.Repeat("ü", acmeReason/2-2),
	} {
		if got := reasonIn([]byte(in)); got != want {
			t.Errorf("reasonIn(%s) = %q, want %q", in, got, want)
		}
	}
}

// An authority that is not there, or never answers, keeps nobody from anything: the server
// starts, shows no certificate rather than a wrong one, says so, and stops at once.
func TestACMEWithoutAuthority(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, addr := range map[string]string{"nobody": freeAddress(t), "somebody silent": silent.Addr().String()} {
		dir := acmeOnly(t, &pebble{directory: "https://" + addr + "/dir"}, "-set", "listen.tls=127.0.0.1:0", "-set", "listen.https=127.0.0.1:0")
		d := startDaemon(t, dir)
		for _, port := range []string{d.tls, d.https} {
			if conn, err := tls.Dial("tcp", port, &tls.Config{InsecureSkipVerify: true}); err == nil {
				t.Errorf("%s: shown %s", name, conn.ConnectionState().PeerCertificates[0].DNSNames)
				conn.Close()
			}
		}
		if name == "nobody" {
			eventually(t, "a complaint", func() bool { return strings.Contains(d.log(), "no certificate from the authority") })
		}
		began := time.Now()
		d.end(syscall.SIGTERM)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: stopped after %v", name, took)
		}
	}
}

// Where nothing can be written an account's key is not used, and a certificate is, so that it
// was not asked for in vain.
func TestACMEFolderFull(t *testing.T) {
	dir, config := quickstarted(t, "desk.example")
	var said bytes.Buffer
	k := &acmeKeys{log: slog.New(slog.NewTextHandler(&said, nil)), got: make(chan struct{}, 1)}
	k.folder = &acmeFolder{dir: filepath.Join(config, "acme"), log: k.log, got: k.got, unkept: make(map[string][]byte)} // within a file
	if err := k.folder.Put(t.Context(), "acme_account+key", []byte("x")); err == nil {
		t.Error("the account's key is said to be kept")
	}
	var both []byte
	for _, name := range []string{"tls/key.pem", "tls/cert.pem"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	if err := k.folder.Put(t.Context(), "desk.example", both); err != nil {
		t.Error(err)
	}
	if got := k.unkept(nil, time.Now()); len(got) != 1 || got[0].Leaf.DNSNames[0] != "desk.example" {
		t.Errorf("got %v", got)
	}
	if !strings.Contains(said.String(), "level=ERROR") || strings.Contains(said.String(), "PRIVATE") {
		t.Errorf("the log: %s", &said)
	}
	select {
	case <-k.got:
	default:
		t.Error("nobody is told")
	}
	// When there is room again the file is there, and the memory empty.
	k.folder.dir = filepath.Join(dir, "keys", "acme")
	if err := k.folder.Put(t.Context(), "desk.example", both); err != nil {
		t.Error(err)
	}
	f, err := conf.Load(config, []string{"acme.directory=https://acme.example/dir"})
	if err != nil {
		t.Fatal(err)
	}
	if got := fetched(f, nil, time.Now()); len(got) != 1 || len(k.unkept(nil, time.Now())) != 0 {
		t.Errorf("fetched %v, want one, and none in memory", got)
	}
}
