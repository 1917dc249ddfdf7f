package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"parley.im/parley/xmppd/web"
)

// An operator's first day, after the package is installed: the server stands behind its proxy
// and is watched, copies are made, two agents leave, the disk is lost, and what comes back is
// every conversation that should be there, and none that should not. The chapters of
// docs/operations.md are run word by word by tests of their own.
func TestAnOperatorsFirstDay(t *testing.T) {
	t.Parallel()
	f := behindHAProxy(t)
	config := filepath.Join(f.dir, "parley.toml")
	identity, options := safes(t, f.dir, `"5m"`)
	f.end(syscall.SIGTERM)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = append([]byte(strings.Replace(string(text), "networks = '127.0.0.3'", "networks = ['127.0.0.1', '127.0.0.3']", 1)), backupTable(t, options)...)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f.start()
	must(t, "ben@desk.example\tcorrect horse 42\ncarl@desk.example\tcorrect horse 42\ndora@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	key := f.newKey("-role", "supervisor")

	// They talk, through the proxy.
	f.talk(t, "anna", "ben", "the first order", "the second order")
	f.talk(t, "carl", "dora", "what goes with them")
	before := f.talks()
	if len(before) != 2 {
		t.Fatalf("conversations: %v", before)
	}
	f.probed(t, config)
	must(t, "", "backup", "-full", "-config", config)
	f.talk(t, "ben", "anna", "the third order")
	for _, gone := range []string{"carl", "dora"} {
		must(t, "", "agent", "delete", gone+"@desk.example", "-config", config)
	}
	must(t, "", "backup", "-config", config)

	// The disk is lost, at once and without a word.
	f.end(syscall.SIGKILL)
	for _, lost := range []string{"data", "keys"} {
		if err := os.RemoveAll(filepath.Join(f.dir, lost)); err != nil {
			t.Fatal(err)
		}
	}
	f.dir = restored(t, f.dir, identity)
	config = filepath.Join(f.dir, "parley.toml")
	must(t, "", "verify", "-config", config)
	must(t, "", "audit", "verify", "-account", "desk", "-config", config)
	f.start()
	f.probed(t, config)

	after := f.talks()
	if len(after) != 1 || !strings.Contains(fmt.Sprint(after), "anna@desk.example ben@desk.example] 3") {
		t.Errorf("conversations before: %v, afterwards: %v", before, after)
	}
	anna := f.enter(t, "anna")
	var said []string
	for _, m := range anna.archive() {
		for _, order := range []string{"first", "second", "third"} {
			if strings.Contains(m.String(), "the "+order+" order") {
				said = append(said, order)
			}
		}
	}
	same(t, "Anna's archive", said, []string{"first", "second", "third"})
	// A program goes on with the key that it has.
	c := f.api("-role", "auditor").with(key)
	r := c.request("GET", "/v1/conversations", "")
	r.URL.Host, r.Host = f.port["443"], "desk.example"
	if a := c.send(r); a.status != 200 || strings.Count(a.body, `"kind":"direct"`) != 2 || !strings.Contains(a.body, `"shredded":true`) {
		t.Errorf("conversations for a program: %d %s", a.status, a.body)
	}
}

// backupTable is the table [backup] of the options.
func backupTable(t *testing.T, options []string) string {
	t.Helper()
	text := "\n[backup]\n"
	for _, o := range options {
		text += strings.TrimPrefix(o, "backup.") + "\n"
	}
	return text
}

// enter signs in through the proxy.
func (f *front) enter(t *testing.T, name string) *jabber {
	t.Helper()
	l := f.login(name, "correct horse 42", "desk")
	l.protocols = []string{"xmpp-client"}
	l.dial = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", f.port["443"])
	}
	return l.in(t)
}

func (f *front) talk(t *testing.T, from, to string, texts ...string) {
	t.Helper()
	a, b := f.enter(t, from), f.enter(t, to)
	b.available("")
	for n, text := range texts {
		id := fmt.Sprintf("m%d", n)
		a.send("<message to='%s@desk.example' id='%s' type='chat'><body>%s</body></message>", to, id, text)
		b.message(id)
	}
	a.drop()
	b.drop()
}

// talks are the conversations between people that can be read, with how much was said.
func (d *daemon) talks() (list []string) {
	d.t.Helper()
	c := d.api("-role", "supervisor")
	var all web.List[web.ConversationInfo]
	c.ask("GET", "/v1/conversations", "", 200, &all)
	for _, v := range all.Items {
		if v.Kind == "direct" && !v.Shredded {
			list = append(list, fmt.Sprint(v.Agents, " ", v.Records))
		}
	}
	return list
}

// probed asks the server as a monitoring system does.
func (f *front) probed(t *testing.T, config string) {
	t.Helper()
	out, prose, err := typed(t, "", "probe", "-config", config, "-ca", filepath.Join(filepath.Dir(config), "tls/ca.pem"))
	if err != nil {
		t.Errorf("parley probe: %v: %s%s", err, out, prose)
	}
}
