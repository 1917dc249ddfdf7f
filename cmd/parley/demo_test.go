package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A screen is what somebody sees who watches a program.
type screen struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
}

// Write takes what the program says.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// What a newcomer copies from the demo into a client.
var (
	demoAccount  = regexp.MustCompile(`(?m)^  address   (\S+)@(\S+)\n  password  (\S+)$`)
	demoServer   = regexp.MustCompile(`(?m)^  server    (\S+), port \d+ \(STARTTLS\) or (\d+) \(TLS from the start\)$`)
	demoVisitors = regexp.MustCompile(`(?m)^Visitors come from (https://localhost:\d+)(/demo) `)
	demoTrust    = regexp.MustCompile(`(?m)^  trust     (\S+) `)
)

// The first minute: what the demo prints is all that two clients need; what they say is
// shown as a verified event; Ctrl-C ends it, and it leaves nothing behind, unless it is
// told to.
func TestDemo(t *testing.T) {
	t.Run("nothing is left", func(t *testing.T) {
		if left := watchDemo(t); len(left) > 0 {
			t.Errorf("the demo leaves %q behind", left)
		}
	})
	t.Run("-keep", func(t *testing.T) {
		left := watchDemo(t, "-keep")
		if len(left) != 1 || !strings.HasPrefix(filepath.Base(left[0]), "parley-demo-") {
			t.Fatalf("the demo leaves %q behind, want its folder", left)
		}
		// It is an installation like any other.
		said := must(t, "", "conversation", "show", "-config", filepath.Join(left[0], "parley.toml"))
		if !strings.Contains(said, " anna@localhost: Tür & Tor\n") {
			t.Errorf("the conversation that was kept is %q", said)
		}
	})
}

// watchDemo starts the demo as a process, lets its two agents talk, presses Ctrl-C, and
// returns what is in the folder of temporary files afterwards.
func watchDemo(t *testing.T, args ...string) (left []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	var out, prose screen
	demo := exec.Command(self, append([]string{"demo"}, args...)...)
	demo.Env = append(os.Environ(), beParley+"=1", "TMPDIR="+temporary)
	demo.Stdout, demo.Stderr = &out, &prose
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }() // ends with the process
	defer demo.Process.Kill()            // which has ended, unless the test failed
	shows := func(what string) {
		t.Helper()
		eventually(t, "the demo shows "+what, func() bool {
			select {
			case err := <-ended:
				t.Fatalf("the demo ended: %v\n%s%s", err, &out, &prose)
			default:
			}
			return strings.Contains(out.String(), what)
		})
	}
	shows("Ctrl-C ends everything.\n")

	accounts := demoAccount.FindAllStringSubmatch(out.String(), -1)
	at, trust := demoServer.FindStringSubmatch(out.String()), demoTrust.FindStringSubmatch(out.String())
	if len(accounts) != 2 || at == nil || trust == nil {
		t.Fatalf("two accounts, a server and a CA are to be shown:\n%s", &out)
	}
	roots, err := readRoots(trust[1])
	if err != nil {
		t.Fatal(err)
	}
	var agents []*jabber
	for _, a := range accounts {
		j := login{
			dial: func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(at[1], at[2]))
			},
			roots: roots, name: a[1], domain: a[2], password: a[3], resource: "first",
		}.in(t)
		j.available("")
		agents = append(agents, j)
	}
	agents[0].send("<message to='%s' id='m1' type='chat'><body>Tür &amp; Tor</body></message>", agents[1].bare)
	agents[1].message("m1")

	// A visitor on the page that it names, which both hear of.
	page := demoVisitors.FindStringSubmatch(out.String())
	if page == nil {
		t.Fatalf("no page for visitors is shown:\n%s", &out)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	for url, want := range map[string]string{page[1] + page[2]: `data-account="demo"`, page[1] + "/visit/demo/config": `"open":true`} {
		if got := fetch(t, &client, url, nil); !strings.Contains(got, want) {
			t.Errorf("%s is\n%s", url, got)
		}
	}
	fetch(t, &client, page[1]+"/visit/demo/contacts", strings.NewReader(`{"id":"0123456789abcdef","name":"Mia","text":"Is anybody there?"}`))
	for _, j := range agents {
		j.until("an offer", func(x *tree) bool { return strings.HasPrefix(x.child("body").text(), "Is anybody there?\n") })
	}
	shows("contact.created")

	// VIV-6: before the reader's eyes.
	shows(`"text": "Tür & Tor"`)
	shows("webhook agent.available\n")
	for _, block := range strings.Split(out.String(), "\nwebhook ")[1:] {
		if strings.Count(block, "  ✓ verified  ") != 2 || strings.Contains(block, "NOT VALID") {
			t.Errorf("an event is not shown as verified twice:\nwebhook %s", block)
		}
	}

	if said := prose.String(); said != "" {
		t.Errorf("beside that it says\n%s", said)
	}
	if err := demo.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after Ctrl-C: %v, want exit code 0\n%s", err, &prose)
		}
	case <-time.After(processPatience):
		t.Errorf("the demo does not end\n%s", &prose)
	}
	if left, err = filepath.Glob(filepath.Join(temporary, "*")); err != nil {
		t.Fatal(err)
	}
	return left
}

// fetch gets a page, or posts JSON if there is a body.
func fetch(t *testing.T, c *http.Client, url string, body io.Reader) string {
	t.Helper()
	method := "GET"
	if body != nil {
		method = "POST"
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: %s %s, %v", url, resp.Status, text, err)
	}
	return string(text)
}
