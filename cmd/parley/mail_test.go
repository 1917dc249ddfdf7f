package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/auth"
	"parley.im/parley/conf"
	"parley.im/parley/xmppd/notify/postbox"
)

// mailing are the options of an installation that mails to a box, whose user's password is
// in a file of dir.
func mailing(t *testing.T, dir string, b *postbox.Box) []string {
	t.Helper()
	password := filepath.Join(dir, "mail.password")
	if err := os.WriteFile(password, []byte("hidden 42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-set", "mail.server=" + b.Addr, "-set", "mail.roots=" + b.CA, "-set", "mail.user=parley", "-set", `mail.password={ file = "` + password + `" }`,
		"-set", "mail.from=parley@desk.example", "-set", `mail.to=["ops@desk.example", "boss@desk.example"]`, "-set", "mail.every=1s",
	}
}

func TestMailTest(t *testing.T) {
	t.Parallel()
	box := postbox.Open(t, postbox.Options{User: "parley"})
	dir := t.TempDir()
	_, config := quickstarted(t, append(mailing(t, dir, box), "desk.example")...)
	_, prose, err := typed(t, "", "mail", "test", "-config", config)
	if err != nil || !strings.Contains(prose, box.Addr+" took a mail to ops@desk.example, boss@desk.example") {
		t.Errorf("mail test: %v, %s", err, prose)
	}
	if m := box.Next(); !strings.Contains(m.Subject, "a test of mail") || !strings.Contains(m.Text, "\n  boss@desk.example\n") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	must(t, "", "check", "-config", config)
	if err := os.WriteFile(filepath.Join(dir, "mail.password"), []byte("wrong 42"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "mail server "+box.Addr+": ", "", "mail", "test", "-config", config)
	if err := os.Remove(filepath.Join(dir, "mail.password")); err != nil {
		t.Fatal(err)
	}
	refused(t, "mail.password", "", "mail", "test", "-config", config)
	refused(t, "mail.password: no such file", "", "check", "-config", config)
	_, other := quickstarted(t, "desk.example")
	refused(t, "mail is switched off", "", "mail", "test", "-config", other)
}

// An alert reaches the operators although the mail server was down and the server was killed
// meanwhile.
func TestAlertsOutliveTheServer(t *testing.T) {
	t.Parallel()
	box := postbox.Open(t, postbox.Options{User: "parley"})
	box.Refuse(451)
	d := healthy(t, mailing(t, t.TempDir(), box)...)
	if _, err := d.login("anna", "wrong horse 42", "desk").try(t); err == nil {
		t.Fatal("signed in with a wrong password")
	}
	box.AwaitTries(1)
	d.end(syscall.SIGKILL)
	box.Refuse(0)
	d.start()
	first, second := box.Next(), box.Next()
	if strings.Contains(first.Subject, "failed") {
		first, second = second, first
	}
	if !strings.Contains(first.Subject, "the server had ended without being told to") || !strings.Contains(first.Text, version()) {
		t.Errorf("%s\n%s", first.Subject, first.Text)
	}
	m := second
	if !strings.Contains(m.Subject, "desk: 1 failed sign-in") || !strings.Contains(m.Text, "login.name: anna\n") || !strings.Contains(m.Text, "login.address: 127.0.0.1\n") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	if text := d.log() + fmt.Sprint(contents(t, filepath.Join(d.dir, "data"))); strings.Contains(text, "hidden 42") {
		t.Error("the mail server's password is in the log or in the data")
	}
}

// WCP-11: a panic in a session, on an HTTPS page, in an operator's command: mailed within 60
// seconds, with its stack and nothing of what was said; the server goes on.
func TestPanicsAreMailed(t *testing.T) {
	t.Parallel()
	box := postbox.Open(t, postbox.Options{User: "parley"})
	dir, config := quickstarted(t, append(mailing(t, t.TempDir(), box), "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")...)
	must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "anna@desk.example", "-config", config)
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer // read when the server has ended
	s, err := newServer(t.Context(), f, slog.New(slog.NewTextHandler(&logged, nil)), realWorld)
	if err != nil {
		t.Fatal(err)
	}
	s.inst.onLoginFailed = func(*account, auth.Failure) { panic("anna said: my card number is 4111") }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }() // ends with stop
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		// I7
		if text := logged.String(); strings.Count(text, "msg=panic ") != 2 || strings.Contains(text, "4111") {
			t.Errorf("the log has\n%s", text)
		}
	}()
	d := &daemon{t: t, dir: dir, tls: s.xmppOn[0].Addr().String(), https: s.httpsOn[0].Addr().String()}
	mailed := func(what, function string, do func()) {
		t.Helper()
		began := time.Now()
		do()
		m := box.Next()
		if took := time.Since(began); took > time.Minute || !strings.Contains(m.Subject, "a mistake in the server was caught") || !strings.Contains(m.Text, function) {
			t.Errorf("%s: after %v: %s\n%s", what, took, m.Subject, m.Text)
		}
		for _, word := range []string{"4111", "anna", "0x"} {
			if strings.Contains(m.Text, word) {
				t.Errorf("%s: the mail holds %q:\n%s", what, word, m.Text)
			}
		}
	}
	mailed("a session", "xmppd.(*Server).greet", func() {
		if _, err := d.login("anna", "wrong horse 42", "desk").try(t); err == nil {
			t.Error("signed in with a wrong password")
		}
	})
	d.login("anna", "correct horse 42", "desk").in(t).drop()
	mailed("a page", "guarded", func() {
		broken := guarded(s.log, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("4111") }))
		w := httptest.NewRecorder()
		broken.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "4111") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	if got := s.notes.Stats.Panics.Load(); got != 2 {
		t.Errorf("%d panics counted", got)
	}
	if status, _ := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
}

// A mail server that takes a connection and says nothing keeps nobody waiting: sessions go
// on, and the server ends in time.
func TestSilentMailServer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	box := postbox.Open(t, postbox.Options{})
	box.Addr = silent.Addr().String()
	d := healthy(t, mailing(t, t.TempDir(), box)...)
	if _, err := d.login("anna", "wrong horse 42", "desk").try(t); err == nil {
		t.Fatal("signed in with a wrong password")
	}
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	anna, ben := d.login("anna", "correct horse 42", "desk").in(t), d.login("ben", "correct horse 42", "desk").in(t)
	ben.available("")
	anna.send("<message to='ben@desk.example' id='m' type='chat'><body>x</body></message>")
	ben.message("m")
	began := time.Now()
	d.end(syscall.SIGTERM)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the server took %v to end", took)
	}
}

// WCP-11: whoever breaks again and again sends one mail in a while, and an end in order none.
func TestEndsAreNoticed(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "", "desk.example")
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	must(t, "", "account", "list", "-config", config) // which makes the folders
	now := time.Now()
	for i, c := range []struct {
		after   time.Duration
		orderly bool
		want    int // how many ends the mail tells of
	}{
		{0, true, 0}, {0, false, 0}, {0, false, 1}, {time.Minute, false, 0}, {time.Minute, false, 0}, {10 * time.Minute, false, 3},
		{-24 * time.Hour, true, 1}, {0, true, 0},
	} {
		now = now.Add(c.after)
		s := &server{inst: &installation{now: func() time.Time { return now }}, log: slog.New(slog.DiscardHandler)}
		ends, err := s.appear(f.Data, f.Mail.Every)
		if err != nil || ends != c.want {
			t.Errorf("%d: %d ends, %v, want %d", i, ends, err, c.want)
		}
		if c.orderly {
			s.disappear()
		}
	}
	// A real one leaves nothing behind.
	d := startDaemon(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "data/running")); err != nil {
		t.Error(err)
	}
	d.end(syscall.SIGTERM)
	if _, err := os.Stat(filepath.Join(dir, "data/running")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}
