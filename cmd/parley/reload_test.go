package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/hook"
)

// reloadSaid are the two things that the server says when it gets SIGHUP.
var reloadSaid = regexp.MustCompile(`.*msg="configuration (read again|not read again; the old one holds)".*\n`)

// hangUp sends SIGHUP, waits until the server has read its configuration again, and
// returns what it says about that.
func (d *daemon) hangUp() (line string) {
	d.t.Helper()
	before := len(d.log())
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		d.t.Fatal(err)
	}
	eventually(d.t, "the configuration is read again", func() bool {
		line = reloadSaid.FindString(d.log()[before:])
		return line != ""
	})
	return line
}

// reloads is hangUp where all is well.
func (d *daemon) reloads() {
	d.t.Helper()
	if line := d.hangUp(); !strings.Contains(line, `"configuration read again"`) {
		d.t.Fatalf("SIGHUP: %s", line)
	}
}

// keepsOld is hangUp where a fault is to be told, and nothing to be changed.
func (d *daemon) keepsOld(want string) {
	d.t.Helper()
	if line := d.hangUp(); !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "not read again") || !strings.Contains(line, want) {
		d.t.Errorf("SIGHUP: %s want a complaint of %s", line, want)
	}
}

// edit adds to one of the installation's files, or makes it.
func (d *daemon) edit(name, text string) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	before, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	if err := replaceFile(path, append(before, text...)); err != nil {
		d.t.Fatal(err)
	}
}

// shown is the certificate that a port shows, verified, by its serial number.
func (d *daemon) shown(addr string) string {
	d.t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		d.t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		d.t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{ServerName: "desk.example", RootCAs: d.roots(), MinVersion: tls.VersionTLS12})
	if err := conn.Handshake(); err != nil {
		d.t.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// lives fails the test if the session has ended: nothing is to have come but the
// answer to a ping.
func (j *jabber) lives() {
	j.t.Helper()
	if got := j.rest(); len(got) > 0 {
		j.t.Errorf("%s got %s", j.jid, got)
	}
}

// renew writes a new certificate over the old one.
func (d *daemon) renew(now time.Time) {
	d.t.Helper()
	ca, err := readAuthority(filepath.Join(d.dir, "tls"))
	if err != nil {
		d.t.Fatal(err)
	}
	cert, key, err := ca.issue(now, "desk.example", "*.desk.example")
	if err != nil {
		d.t.Fatal(err)
	}
	for name, text := range map[string][]byte{"tls/cert.pem": cert, "tls/key.pem": key} {
		if err := os.WriteFile(filepath.Join(d.dir, name), text, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// HAP-4, VIV-1: a new certificate is shown to whoever comes, and nobody is sent away.
// A bad one is refused, and the old one stays.
func TestReloadCertificate(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	anna := d.login("anna", "correct horse 42", "laptop").in(t)
	first := d.shown(d.tls)
	both := func(what, want string) {
		t.Helper()
		for port, addr := range map[string]string{"tls": d.tls, "https": d.https} {
			if got := d.shown(addr); got != want {
				t.Errorf("%s: the port for %s shows certificate %s, want %s", what, port, got, want)
			}
		}
		anna.lives()
		d.login("ben", "correct horse 42", "desk").in(t).drop() // bound to the certificate that he is shown
	}
	both("at first", first)

	d.renew(time.Now())
	both("before SIGHUP", first)
	d.reloads()
	second := d.shown(d.tls)
	if second == first {
		t.Fatal("the old certificate is still shown")
	}
	both("renewed", second)

	// Each of these would have locked everybody out.
	d.renew(time.Now().Add(-2 * certificateLife))
	d.keepsOld("expired on ")
	both("an expired one", second)
	if err := os.WriteFile(filepath.Join(d.dir, "tls/cert.pem"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.keepsOld("certificate.cert")
	both("nonsense", second)
	if err := os.Remove(filepath.Join(d.dir, "tls/key.pem")); err != nil {
		t.Fatal(err)
	}
	d.keepsOld("certificate.key")
	both("no key", second)

	// What else was new is not taken over either: it is all or nothing.
	d.edit("accounts.d/help.toml", "id = 'help'\ndomain = 'help.desk.example'\n")
	d.edit("parley.toml", "\n[admin]\nnetworks = ['192.0.2.0/24']\n")
	d.keepsOld("certificate.key")
	both("no key, and more", second)
	if status, body := d.get("/readyz"); status != 200 {
		t.Errorf("/readyz: %d %s: the new [admin] holds", status, body)
	}
	if list := must(t, "", "account", "list", "-config", filepath.Join(d.dir, "parley.toml")); strings.Contains(list, "help") {
		t.Errorf("the new account is there:\n%s", list)
	}

	d.renew(time.Now())
	d.reloads()
	third := d.shown(d.tls)
	if third == second {
		t.Error("the certificate was mended, and the old one is still shown")
	}
	both("mended", third)
	if status, _ := d.get("/readyz"); status != 404 {
		t.Errorf("/readyz: %d: the new [admin] does not hold", status)
	}
}

// Limits hold for sessions to come; a configuration with a fault changes none.
func TestReloadLimits(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	in := func(name, resource string) *jabber { return d.login(name, "correct horse 42", resource).in(t) }
	long := strings.Repeat("long ", 4000) // 20 KB
	passes := func(j, ben *jabber, id string) {
		t.Helper()
		j.send("<message to='%s' id='%s' type='chat'><body>%s</body></message>", ben.jid, id, long)
		ben.message(id)
	}
	refused := func(j *jabber) {
		t.Helper()
		j.send("<message to='ben@desk.example' type='chat'><body>%s</body></message>", long)
		e := j.until("a stream error", func(e *tree) bool { return e.name.Local == "error" })
		if e.child("policy-violation") == nil || j.next() != nil {
			t.Errorf("a stanza over the limit is answered with %s, want policy-violation and the end", e)
		}
	}
	ben, anna := in("ben", "desk"), in("anna", "laptop")
	passes(anna, ben, "m1")

	d.edit("parley.toml", "\n[limits]\nstanza = '12 KiB'\nunauthenticated_per_address = 3\n")
	passes(anna, ben, "m2")
	d.reloads()
	refused(in("anna", "phone"))
	passes(anna, ben, "m3") // RFC 6120 §13.12: an old session keeps what it was promised

	// The fourth stranger from one address is one too many now.
	var strangers []net.Conn
	defer func() {
		for _, c := range strangers {
			c.Close()
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", d.tls)
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, c)
	}
	if got := inClear(t, d.tls, ""); got != "" {
		t.Errorf("the fourth gets %q, want a close without a word", got)
	}
	for _, c := range strangers {
		c.Close()
	}

	d.edit("parley.toml", "stanzas = 1\n")
	d.keepsOld("parley.toml:")
	eventually(t, "the strangers are gone", func() bool {
		j, err := d.login("anna", "correct horse 42", "tablet").try(t)
		if err != nil {
			return false
		}
		refused(j)
		return true
	})
	anna.lives()
}

// An account's file is all that it takes to serve it; one that is disabled ends its
// streams, and nobody else's. I8
func TestReloadAccounts(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config := filepath.Join(d.dir, "parley.toml")
	anna := d.login("anna", "correct horse 42", "laptop").in(t)
	dora := d.login("dora", "correct horse 42", "desk")
	dora.domain = "help.desk.example" // for which there is a certificate already
	turnedAway := func(when string) {
		t.Helper()
		// The stream is refused: host-unknown (RFC 6120 §4.9.3.6).
		if _, err := dora.try(t); err == nil {
			t.Errorf("%s: dora signs in", when)
		}
		anna.lives()
	}
	turnedAway("before")

	d.edit("accounts.d/help.toml", "id = 'help'\ndomain = 'help.desk.example'\n")
	d.reloads()
	must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", "dora@help.desk.example")
	j := dora.in(t)
	j.send("<message to='dora@help.desk.example/desk' id='m1' type='chat'><body>x</body></message>")
	j.message("m1")
	anna.lives()

	// The settings of one account change: another one takes its place at once.
	d.edit("accounts.d/help.toml", "disabled = true\n")
	d.reloads()
	e := j.until("a stream error", func(e *tree) bool { return e.name.Local == "error" })
	if e.child("system-shutdown") == nil || j.next() != nil {
		t.Errorf("a disabled account's stream ends with %s", e)
	}
	turnedAway("disabled")

	text, err := os.ReadFile(filepath.Join(d.dir, "accounts.d/help.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(filepath.Join(d.dir, "accounts.d/help.toml"), []byte(strings.TrimSuffix(string(text), "disabled = true\n"))); err != nil {
		t.Fatal(err)
	}
	d.reloads()
	j = dora.in(t)
	same(t, "dora's archive", ids(j.archive()), []string{"m1"})

	// A domain of its own, as quickstart adds it to a server that runs.
	must(t, "", "quickstart", "-dir", d.dir, "shop.example")
	d.reloads()
	must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", "mia@shop.example")
	mia := d.login("mia", "correct horse 42", "till")
	mia.domain = "shop.example"
	mia.in(t)
	j.lives()

	// The operator's command ends an account's streams at once, and takes no signal.
	must(t, "", "account", "disable", "help", "-config", config)
	if e := j.until("a stream error", func(e *tree) bool { return e.name.Local == "error" }); e.child("system-shutdown") == nil {
		t.Errorf("the stream of an account that was disabled by command ends with %s", e)
	}
	turnedAway("disabled by command")
	must(t, "", "account", "enable", "help", "-config", config)
	j = dora.in(t)

	// The file is gone, and so is the account.
	if err := os.Remove(filepath.Join(d.dir, "accounts.d/help.toml")); err != nil {
		t.Fatal(err)
	}
	d.reloads()
	if e := j.until("a stream error", func(e *tree) bool { return e.name.Local == "error" }); e.child("system-shutdown") == nil {
		t.Errorf("a removed account's stream ends with %s", e)
	}
	turnedAway("removed")
}

// SIGHUP while the server stops comes too late: what is closed stays closed.
func TestReloadWhenStopped(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "tls:1", "-https", "", "desk.example")
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	pipes := newPipeNet()
	s, err := newServer(t.Context(), f, slog.New(slog.NewTextHandler(t.Output(), nil)), world{
		listen:  pipes.listen,
		control: func(path string) (net.Listener, error) { return pipes.listen("unix", path) },
		hook:    func(*hook.Config) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	if err := os.WriteFile(filepath.Join(dir, "accounts.d/help.toml"), []byte("id = 'help'\ndomain = 'help.desk.example'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.reload(t.Context()); err == nil || err.Error() != "the server stops" {
		t.Errorf("reload of a server that has stopped: %v", err)
	}
}

// What the sample says of SIGHUP is so, also of what only a restart changes.
func TestWhatSIGHUPTakes(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", `trusted_proxies="192.0.2.1"`, "-set", `admin.networks="127.0.0.1/32"`, "-set", `api.requests_per_minute=600`)
	c := d.api("-role", "admin")
	limit := func() string { return c.ask("GET", "/v1/webhooks", "", 200, nil).header.Get("RateLimit-Policy") }
	replace := func(old, new string) {
		t.Helper()
		path := filepath.Join(d.dir, "parley.toml")
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatalf("%q is not in %s, %v", old, text, err)
		}
		if err := replaceFile(path, []byte(strings.Replace(string(text), old, new, 1))); err != nil {
			t.Fatal(err)
		}
	}
	const waits = `level=WARN msg="what has changed waits in part for a restart" options=`
	before := limit()
	replace(`"127.0.0.1/32"`, `"127.0.0.2/32"`)
	d.reloads()
	if strings.Contains(d.log(), waits) {
		t.Errorf("[admin] is said to wait:\n%s", d.log())
	}
	replace(`600`, `300`)
	d.reloads() // which is said after that
	if !strings.Contains(d.log(), waits+"api.requests_per_minute\n") {
		t.Errorf("nothing says that [api] waits:\n%s", d.log())
	}
	if a, _ := d.getFrom("127.0.0.1", "/readyz"); a != 404 {
		t.Errorf("[admin] after SIGHUP: %d", a)
	}
	if b, _ := d.getFrom("127.0.0.2", "/readyz"); b != 200 {
		t.Errorf("[admin] after SIGHUP: %d", b)
	}
	if after := limit(); before == "" || after != before {
		t.Errorf("[api] after SIGHUP: %q, before it %q", after, before)
	}
	d.end(syscall.SIGTERM)
	d.start()
	if after := limit(); after == before {
		t.Errorf("[api] after a restart: %q still", after)
	}
	replace("[admin]", "[acme]\ndirectory = \"https://acme.example/directory\"\n\n[admin]")
	d.keepsOld("cannot be changed while it runs")
}
