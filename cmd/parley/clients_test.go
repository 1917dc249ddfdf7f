package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/xmppd/hook"
	"parley.im/parley/xmppd/visit/widget/chromium"
)

// A visitor in a real browser is answered by two real clients at once, slixmpp and Profanity: one of them has the
// chat, the other hears so. It is handed over with a note, over a kill of the server, and another of the client and
// of the browser; each of them sends the visitor a file and gets one; it is closed and rated. Whoever asks later is told all of it,
// and nobody else.
func TestClientsAnswerVisitor(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // Debian's, for which the packages are
	if err := exec.Command(python, "-c", "import slixmpp, aiohttp, pexpect, shutil; exit(not shutil.which('profanity'))").Run(); err != nil {
		const why = "clients are not here; on Debian: apt-get install python3-slixmpp python3-aiohttp python3-pexpect profanity"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	page := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Lamps</title><script src="https://desk.example/visit/loader.js" data-account="desk" async></script></html>`)
	}))
	_, port, _ := net.SplitHostPort(page.Listener.Addr().String())
	shop, addrs := "https://localhost:"+port, freeAddresses(t, 2)
	_, https, _ := net.SplitHostPort(addrs[0])
	browser := chromium.Start(t, "--host-resolver-rules=MAP desk.example:443 "+addrs[0])
	page.StartTLS()
	t.Cleanup(page.Close)
	dir, config := quickstarted(t, "-set", "account.desk.visitors=true", "-set", "account.desk.widget.sites=['"+shop+"']",
		"-set", `webhook.allow=["127.0.0.0/8"]`, "-set", "hosts.files='https://localhost:"+https+"'", "-starttls", "", "-tls", addrs[1], "-https", addrs[0], "desk.example")
	alsoFor(t, dir, "localhost") // which clients find
	must(t, "anna@desk.example\tcorrect horse 42\nbob@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	events, roots := receiveAll(t, config)
	d := startDaemon(t, dir, "SSL_CERT_FILE="+roots)

	m := newMarkers()
	client := func(kind, name string) *clientProcess {
		host, port, _ := net.SplitHostPort(d.tls)
		return startClient(t, python, "../../testdata/clients/agent.py", kind, host, port, filepath.Join(dir, "tls/ca.pem"), name+"@desk.example", "correct horse 42")
	}
	anna, bob := client("slixmpp", "anna"), client("profanity", "bob")
	anna.until("here", func(s map[string]any) bool { return s["here"] == true })
	bob.until("here", func(s map[string]any) bool { return s["here"] == true })
	bob.sees("anna") // is online, which he hears when he is

	p := browser.Open(t, 1000, 700, false)
	p.Visit(shop)
	p.Button("Open the chat", false)
	p.Page("parley('open')")
	p.Await("document.activeElement.id === 'first'")
	question := m.make(spoken, "question")
	p.Write(question)
	p.Press("Enter")
	offer := anna.until("an offer", func(s map[string]any) bool { return strings.Contains(fmt.Sprint(s["body"]), question) })
	address, _, _ := strings.Cut(fmt.Sprint(offer["from"]), "/")
	bob.sees("win 2")
	bob.order(map[string]any{"type": "/win 2"})
	bob.sees(question)

	// Both answer at once.
	texts := map[string]string{"anna": m.make(spoken, "Anna's reply"), "bob": m.make(unkept, "Bob's reply")}
	bob.order(map[string]any{"type": texts["bob"]})
	anna.order(map[string]any{"to": address, "id": "a1", "body": texts["anna"]})
	p.Shows("is here for you now.")
	owner := "bob"
	if p.In("document.body.innerText.includes('Anna')") == "true" {
		owner = "anna"
	}
	loser := map[string]string{"anna": "bob", "bob": "anna"}[owner]
	p.Shows(texts[owner])
	if owner == "anna" {
		bob.finds("another agent took this chat; your text was not sent")
	} else {
		refused := anna.until("a refusal", func(s map[string]any) bool { return s["id"] == "a1" })
		if refused["error"] != "conflict" || refused["text"] != "another agent took this chat; your text was not sent" {
			t.Errorf("Anna hears %v", refused)
		}
	}
	say := func(who, text string) {
		if who == "anna" {
			anna.order(map[string]any{"to": address, "body": text})
		} else {
			bob.order(map[string]any{"type": "/msg " + address + " " + text})
		}
	}
	// Whoever has the chat sends a file, and gets the visitor's.
	sendFiles := func(who string) {
		kind := map[string]string{"anna": "pdf", "bob": "png"}[who]
		sent, got := makeFile(t, m, who, kind), makeFile(t, m, "the visitor's to "+who, "png")
		if who == "anna" {
			anna.order(map[string]any{"to": address, "file": sent.path})
		} else {
			bob.order(map[string]any{"type": "/sendfile " + sent.path})
		}
		pageGets(t, p, sent)
		chosenFile(p, got)
		pageGets(t, p, got)
		if who == "bob" { // who is shown the link; a screen breaks it somewhere
			bob.sees("https://localhost:" + https + "/files/desk/")
			return
		}
		said := anna.until("the visitor's file", func(s map[string]any) bool { return strings.HasSuffix(fmt.Sprint(s["url"]), "/"+got.name) })
		if said["body"] != said["url"] {
			t.Errorf("Anna is shown %s, with the link %s", said["body"], said["url"])
		}
		anna.order(map[string]any{"get": said["url"]})
		if is := anna.until("what the link leads to", func(s map[string]any) bool { return s["got"] == said["url"] }); is["sum"] != got.sum {
			t.Errorf("Anna gets %v, want %s", is, got.sum)
		}
	}
	typing := func() { // slixmpp's, since this Profanity says nothing of it
		anna.order(map[string]any{"to": address, "state": "composing"})
		p.Shows("is writing")
		p.Await("document.activeElement.id === 'text'")
		p.Write("Well")
		anna.until("typing", func(s map[string]any) bool { return s["state"] == "composing" })
		p.In("document.querySelector('#text').value = ''")
	}
	if owner == "anna" {
		typing()
	}
	sendFiles(owner)

	// It goes to the other one, with a note; before that the server is killed.
	note := m.make(spoken, "note")
	d.end(syscall.SIGKILL)
	p.Shows("The connection is lost.")
	d.start()
	anna.end()
	anna = client("slixmpp", "anna")
	anna.until("here", func(s map[string]any) bool { return s["here"] == true })
	bob.end()
	bob = client("profanity", "bob")
	bob.until("here", func(s map[string]any) bool { return s["here"] == true })
	bob.sees("anna") // is online, which he hears when he is
	p.In("dispatchEvent(new Event('online'))")
	say(owner, "!transfer @"+loser+" "+note)
	if loser == "anna" {
		anna.until("the note", func(s map[string]any) bool { return strings.Contains(fmt.Sprint(s["body"]), "note: "+note) })
	} else {
		bob.sees("win 2")
		bob.order(map[string]any{"type": "/win 2"})
		bob.sees("note: " + note)
	}
	taken := m.make(spoken, "reply of who takes it over")
	say(loser, taken)
	p.Shows(taken)
	if loser == "anna" {
		typing()
	}
	sendFiles(loser)

	// The browser is closed and opened again: it is the same conversation.
	p.Visit(shop + "/next")
	p.Shows(taken)
	thanks := m.make(spoken, "thanks")
	p.Page("parley('open')")
	p.Await("(document.querySelector('#text').focus(), document.activeElement.id === 'text')")
	p.Write(thanks)
	p.Press("Enter")
	if loser == "anna" {
		anna.until("thanks", func(s map[string]any) bool { return s["body"] == thanks })
	} else {
		bob.sees(thanks)
	}
	if got := p.In("[...document.querySelectorAll('#log .text:not(:has(.file))')].map(e => e.firstChild.data).join('|')"); got != strings.Join([]string{question, texts[owner], taken, thanks}, "|") {
		t.Errorf("the visitor sees %s", got)
	}
	say(loser, "!close")
	p.Shows("How was it?")
	p.In("document.querySelectorAll('#stars input')[4].click()")
	p.Await("!document.querySelector('#rated').hidden")
	comment := m.make(spoken, "comment")
	p.In("document.querySelector('#comment').focus()")
	p.Write(comment)
	p.In("document.getElementById('rated').click()")
	p.Shows("Thank you!")
	say(loser, "!done")

	// The receiver has heard of all of it, signed, without a gap.
	eventually(t, "contact.finalized", func() bool { return events.has("contact.finalized") })
	events.whole(t)
	if n := strings.Count(events.all(), `"type":"attachment.created"`); n != 4 {
		t.Errorf("the receiver has heard of %d files, want 4", n)
	}
	shown := must(t, "", "conversation", "show", "-config", config)
	for _, text := range []string{question, texts[owner], taken, thanks} {
		if !strings.Contains(shown, text) {
			t.Errorf("conversation show leaves out %q", text)
		}
	}
	for where, said := range map[string]string{"conversation show": shown, "an event": events.all()} {
		if strings.Contains(said, texts[loser]) {
			t.Errorf("%s has what was refused", where)
		}
	}
	for _, j := range []*jabber{d.login("anna", "correct horse 42", "phone").in(t), d.login("bob", "correct horse 42", "phone").in(t)} {
		for _, x := range j.archive() {
			if x.child("body").text() == texts[loser] {
				t.Errorf("%s has what was refused in the archive", j.jid)
			}
		}
	}
	for path, in := range m.below(t, dir, func(string) bool { return false }, spoken, unkept) {
		t.Errorf("%s holds %q in clear", path, in)
	}
}

// A clientProcess is an agent's client that obeys testdata/clients/agent.py's orders.
type clientProcess struct {
	t     *testing.T
	in    io.WriteCloser
	said  chan map[string]any // closed at its end
	ended chan struct{}
	cmd   *exec.Cmd
}

func startClient(t *testing.T, args ...string) *clientProcess {
	t.Helper()
	c := &clientProcess{t: t, cmd: exec.Command(args[0], append([]string{"-B"}, args[1:]...)...), said: make(chan map[string]any, 1000), ended: make(chan struct{})}
	c.cmd.Stderr = t.Output()
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(c.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var s map[string]any
			if json.Unmarshal(lines.Bytes(), &s) == nil {
				c.said <- s
			}
		}
		close(c.said)
		_ = c.cmd.Wait() // how it ends is nothing that a test asks for
	}()
	t.Cleanup(c.end)
	return c
}

// end closes the client. It may be called twice.
func (c *clientProcess) end() {
	_ = c.in.Close()
	select {
	case <-c.ended:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

func (c *clientProcess) order(what map[string]any) {
	c.t.Helper()
	if err := json.NewEncoder(c.in).Encode(what); err != nil {
		c.t.Fatal(err)
	}
}

// sees waits for what Profanity's user is to see.
func (c *clientProcess) sees(text string) {
	c.t.Helper()
	c.order(map[string]any{"see": text})
	c.until(text, func(s map[string]any) bool { return s["saw"] == text })
}

// finds is sees for what Profanity shows in the chat's window or in its console, depending on what it believes of the
// visitor's devices.
func (c *clientProcess) finds(text string) {
	c.t.Helper()
	c.order(map[string]any{"find": text})
	c.until(text, func(s map[string]any) bool { return s["saw"] == text })
}

func (c *clientProcess) until(what string, fits func(map[string]any) bool) map[string]any {
	c.t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case s, ok := <-c.said:
			if !ok {
				c.t.Fatalf("the client ended before %s", what)
			}
			if fits(s) {
				return s
			}
		case <-late:
			c.t.Fatalf("the client never told %s", what)
		}
	}
}

// contactEvents are the events of contacts that a receiver has got.
type contactEvents struct {
	mu     sync.Mutex // guards what follows
	bad    []string
	bodies map[string]string         // by id
	seqs   map[string]map[int64]bool // by contact
}

// receiveAll registers a receiver of all events of desk, and answers a file of who vouches for it.
func receiveAll(t *testing.T, config string) (l *contactEvents, roots string) {
	t.Helper()
	roots = filepath.Join(t.TempDir(), "roots.pem")
	ca, err := newAuthority(time.Now())
	if err == nil {
		err = os.WriteFile(roots, ca.certPEM, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := ca.issue(time.Now(), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	l = &contactEvents{bodies: make(map[string]string), seqs: make(map[string]map[int64]bool)}
	var hooked, account struct{ Secret string }
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed at it
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !verifyStandard(hooked.Secret, r.Header, body) || !hmac.Equal([]byte(hook.HMAC(account.Secret, body)), []byte(r.Header.Get("x-vvc-hmac"))) {
			l.bad = append(l.bad, string(body))
			return
		}
		var e struct {
			Type string
			Data struct {
				Seq     int64
				Contact struct{ ID string }
			}
		}
		if err := json.Unmarshal(body, &e); err != nil {
			l.bad = append(l.bad, string(body))
		} else if c := e.Data.Contact; c.ID != "" {
			l.bodies[r.Header.Get("webhook-id")] = string(body)
			if l.seqs[c.ID] == nil {
				l.seqs[c.ID] = make(map[int64]bool)
			}
			l.seqs[c.ID][e.Data.Seq] = true
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // a killed sender breaks off
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for v, text := range map[any]string{
		&hooked:  must(t, "", "webhook", "add", "-json", "-account", "desk", "-events", "contact.*,message.*,attachment.*", "-url", "https://localhost:"+port+"/parley", "-config", config),
		&account: must(t, "", "account", "show", "-json", "-secret", "-config", config, "desk"),
	} {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return l, roots
}

func (l *contactEvents) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(slices.Collect(maps.Values(l.bodies)), "\n")
}

func (l *contactEvents) has(kind string) bool { return strings.Contains(l.all(), `"type":"`+kind+`"`) }

// whole waits until the events of each contact are there from the first to the last, each with a seq of its own.
func (l *contactEvents) whole(t *testing.T) {
	t.Helper()
	eventually(t, "all events", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		n := 0
		for _, seqs := range l.seqs {
			for seq := range seqs {
				if seq > int64(len(seqs)) {
					return false
				}
				n++
			}
		}
		return n == len(l.bodies)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bad) > 0 {
		t.Errorf("not as they are to be: %s", l.bad)
	}
}
