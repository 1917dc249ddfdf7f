package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/xmppd/web"
)

// beParley in the environment makes the test binary be parley.
const beParley = "PARLEY_TEST_PROCESS"

// TestMain lets tests start parley as a process of its own: it is this binary.
func TestMain(m *testing.M) {
	if os.Getenv(beParley) != "" {
		main()
		os.Exit(0)
	}
	if os.Getenv(beHostile) != "" {
		if err := hostile(); err != nil {
			fmt.Fprintln(os.Stderr, "hostile clients:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if config := os.Getenv(beForgetful); config != "" {
		fmt.Fprintln(os.Stderr, "forgetful:", forgetful(config))
		os.Exit(1)
	}
	// Under the race detector each process would linger for a second at its end.
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=10")
	}
	code := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

var builtIn string // the folder of builtParley's binary, once there is one

// builtParley is what a daemon runs: this binary or, when this one has the race detector, parley as
// it is built for people. A process of its own takes ten times as long with the detector,
// which has its share of tests where everything is in one process.
var builtParley = sync.OnceValues(func() (string, error) {
	if !raced {
		return os.Executable()
	}
	dir, err := os.MkdirTemp("", "parley-built-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	binary := filepath.Join(dir, "parley")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

// A daemon is 'parley serve' as a process of its own. What it says is in the file
// serve.log of the installation's folder, and so is whatever else it may write:
// that is its working directory and the folder of its temporary files.
type daemon struct {
	t     *testing.T
	name  string // of its domain; "" is desk.example
	dir   string
	env   []string
	cmd   *exec.Cmd
	ended chan struct{}

	keys                                map[string]web.KeyInfo                  // of the API, by their scopes
	starttls, tls, any, https, redirect string                                  // where it listens; "" where it does not
	pipe                                func(context.Context) (net.Conn, error) // for visitors, in place of https; nil for none
}

// startDaemon serves the installation in dir.
func startDaemon(t *testing.T, dir string, env ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: dir, env: env}
	d.start()
	t.Cleanup(func() { d.end(syscall.SIGKILL) })
	return d
}

// readyLine is as text or as JSON.
var readyLine = regexp.MustCompile(`"?msg"?[=:]"?ready"?(?:[ ,]"?starttls"?[=:]"?([^\s",}]+)"?)?(?:[ ,]"?tls"?[=:]"?([^\s",}]+)"?)?(?:[ ,]"?any"?[=:]"?([^\s",}]+)"?)?(?:[ ,]"?https"?[=:]"?([^\s",}]+)"?)?(?:[ ,]"?redirect"?[=:]"?([^\s",}]+)"?)?}?\n`)

// start returns when the server is ready.
func (d *daemon) start() {
	d.t.Helper()
	binary, err := builtParley()
	if err != nil {
		d.t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "serve.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		d.t.Fatal(err)
	}
	d.cmd = exec.Command(binary, "serve", "-config", filepath.Join(d.dir, "parley.toml"))
	d.cmd.Env = append(append(os.Environ(), beParley+"=1", "TMPDIR="+d.dir), d.env...)
	// Through a pipe, so that what holds for the process's files (see limitFiles) does
	// not hold for its log.
	out := struct{ io.Writer }{log}
	d.cmd.Dir, d.cmd.Stderr, d.cmd.Stdout = d.dir, out, out
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd, ended := d.cmd, make(chan struct{})
	d.ended = ended
	go func() { // ends with the process, which the test's end kills
		_ = cmd.Wait() // how it ended is nothing that a test asks for here
		_ = log.Close()
		close(ended)
	}()
	eventually(d.t, "the server is ready", func() bool {
		text := d.log()[before:]
		m := readyLine.FindStringSubmatch(text)
		if m != nil {
			d.starttls, d.tls, d.any, d.https, d.redirect = m[1], m[2], m[3], m[4], m[5]
			return true
		}
		select {
		case <-ended:
			d.t.Fatalf("parley serve ended: %s", text)
		default:
		}
		return false
	})
}

// end sends the signal and returns when the process has ended.
func (d *daemon) end(s os.Signal) {
	d.t.Helper()
	_ = d.cmd.Process.Signal(s) // it may have ended already
	select {
	case <-d.ended:
	case <-time.After(30 * time.Second):
		d.t.Errorf("parley serve did not end within 30 s of %v", s)
	}
}

// log is all it has said.
func (d *daemon) log() string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "serve.log"))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// says waits until the log holds the texts: it comes through a pipe, a moment late.
func (d *daemon) says(texts ...string) {
	d.t.Helper()
	for _, text := range texts {
		eventually(d.t, "the log holds "+text, func() bool { return strings.Contains(d.log(), text) })
	}
}

func (d *daemon) roots() *x509.CertPool {
	d.t.Helper()
	pool, err := readRoots(filepath.Join(d.dir, "tls/ca.pem"))
	if err != nil {
		d.t.Fatal(err)
	}
	return pool
}

// login is an agent of desk.example's.
func (d *daemon) login(name, password, resource string) login {
	return login{
		dial:  func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", d.tls) },
		roots: d.roots(), domain: "desk.example", name: name, password: password, resource: resource,
	}
}

// get asks the HTTPS listener; 0 when it does not answer.
func (d *daemon) get(path string) (status int, body string) {
	d.t.Helper()
	return d.getFrom("", path)
}

// getFrom is get from one of this machine's addresses; "" is any.
func (d *daemon) getFrom(address, path string) (status int, body string) {
	d.t.Helper()
	dialer := new(net.Dialer)
	if address != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(address)}
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       dialer.DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: d.roots(), ServerName: "desk.example"},
	}}
	resp, err := client.Get("https://" + d.https + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// eventually asks again and again until the answer is yes; for another process,
// which nobody tells when to look.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	within(t, 20*time.Second, what, yes)
}

// within is eventually for what may take longer.
func within(t *testing.T, limit time.Duration, what string, yes func() bool) {
	t.Helper()
	pause := time.NewTicker(limit / 2000)
	defer pause.Stop()
	late := time.After(limit)
	for !yes() {
		select {
		case <-pause.C:
		case <-late:
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
