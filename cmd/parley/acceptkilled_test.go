package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Anna replies to a visitor whom Bob is asked to take, too, and the server is killed on the way: at each write and
// sync that keeps it, and at each word to anybody after that. Then she sends it again, as her client does. The visitor
// reads it once, from her; Bob, who may have been told or not, hears that he was too late.
func TestKilledBetweenAcceptAndNotice(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "visitors.opens_per_minute=0")
	wal := filepath.Join(d.dir, "data/accounts/desk/data.db-wal")
	for _, at := range []struct {
		what    string
		options []string
	}{
		{"writing", []string{"-P", wal, "-e", "trace=pwrite64", "-e", "inject=pwrite64:signal=KILL:when="}},
		{"syncing", []string{"-P", wal, "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:signal=KILL:when="}},
		{"telling", []string{"-e", "trace=write", "-e", "inject=write:signal=KILL:when="}},
	} {
		deaths := 0
		for n := 1; n <= 4; n++ { // strace counts what each thread does
			options := slices.Clone(at.options)
			options[len(options)-1] += strconv.Itoa(n)
			if !d.acceptKilled(t, fmt.Sprintf("%s %d", at.what, n), options) {
				break
			}
			deaths++
		}
		if deaths == 0 {
			t.Errorf("it was not killed at %s", at.what)
		}
	}
}

// acceptKilled is one such story; it answers whether the server was killed before all had heard of it.
func (d *daemon) acceptKilled(t *testing.T, what string, options []string) (killed bool) {
	t.Helper()
	text := "Hello from Anna at " + what
	signIn := func() (anna, bob *jabber) {
		anna, bob = d.login("anna", "correct horse 42", "phone").in(t), d.login("ben", "correct horse 42", "phone").in(t)
		anna.available("")
		bob.available("")
		return anna, bob
	}
	anna, bob := signIn()
	is := d.openContact(`{"id":"0123456789abcdef-` + strings.ReplaceAll(what, " ", "-") + `","name":"Mia","text":"Who is there?"}`)
	address := is.Contact.ID + "@visitors.desk.example"
	said := func(text string) func(*tree) bool {
		return func(e *tree) bool {
			from, _, _ := strings.Cut(e.attr("from"), "/")
			return from == address && strings.Contains(e.child("body").text(), text)
		}
	}
	for _, j := range []*jabber{anna, bob} {
		j.until("an offer", said("Who is there?"))
	}
	ws, next := d.joinContact(is.Token, 0)
	next("message")

	detach := d.attach(t, options...)
	anna.send("<message type='chat' to='%s' id='a1'><body>%s</body></message>", address, text)
	ends := func(j *jabber, fits func(*tree) bool) bool {
		for e := j.next(); ; e = j.next() {
			if e == nil || fits(e) {
				return e == nil
			}
		}
	}
	killed = ends(bob, said("anna took this chat"))
	for heard := ""; !killed && !strings.Contains(heard, text); {
		_, data, err := ws.Read(t.Context())
		heard, killed = string(data), err != nil
	}
	anna.send("<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>")
	killed = ends(anna, func(e *tree) bool { return e.attr("id") == "last" }) || killed
	detach()
	ws.CloseNow()
	if !killed { // but it may be just now
		anna.send("<iq type='get' id='now'><ping xmlns='urn:xmpp:ping'/></iq>")
		killed = ends(anna, func(e *tree) bool { return e.attr("id") == "now" })
	}
	anna.drop()
	bob.drop()
	if !killed {
		return false
	}
	<-d.ended
	d.start()
	anna, bob = signIn()
	ws, next = d.joinContact(is.Token, 0)
	defer ws.CloseNow()
	anna.send("<message type='chat' to='%s' id='a1'><body>%s</body></message>", address, text)
	anna.rest()
	bob.send("<message type='chat' to='%s' id='b1'><body>Hello from Bob</body></message>", address)
	refused := bob.message("b1")
	if refused.attr("type") != "error" || refused.child("error").child("conflict") == nil || !strings.Contains(refused.child("error").child("text").text(), "another agent took this chat") {
		t.Errorf("%s: Bob hears %s", what, refused)
	}
	anna.send("<message type='chat' to='%s' id='a2'><body>!close</body></message>", address)
	var heard []string
	for owner, state := "", "offered"; state != "closed"; {
		switch f := next(""); f.Type {
		case "message":
			heard = append(heard, f.From.Name+": "+f.Text)
		case "state":
			state = f.Contact.State
			if f.Contact.Agent.Name != "" {
				owner = f.Contact.Agent.Name
			}
			if owner == "Ben" {
				t.Errorf("%s: Bob has it", what)
			}
		}
	}
	if got := strings.Join(heard, "\n"); got != ": Who is there?\nAnna: "+text {
		t.Errorf("%s: the visitor reads\n%s", what, got)
	}
	anna.drop()
	bob.drop()
	return true
}

// attach has strace do something to the server from now on, until detach.
func (d *daemon) attach(t *testing.T, options ...string) (detach func()) {
	t.Helper()
	args := append(strace(t, filepath.Join(t.TempDir(), "trace"), options...), "-p", strconv.Itoa(d.cmd.Process.Pid))
	said := new(processLog)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with strace
		_ = cmd.Wait() // as its process does
		close(ended)
	}()
	detach = func() {
		// Killed, since of a process that it has killed it may wait for ever; a living one goes on (ptrace(2)).
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(detach)
	eventually(t, "strace is attached", func() bool {
		select {
		case <-ended:
			t.Fatalf("strace: %s", said)
		default:
		}
		return bytes.Contains([]byte(said.String()), []byte("attached"))
	})
	return detach
}
