package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"parley.im/parley/xmppd/web"
)

// movesBehindProxy is the chapter in deeds: the files of docs/proxies are taken as they are.
func (d *firstday) movesBehindProxy() {
	d.given(strings.ReplaceAll("ben@desk,carl@desk,dora@desk,eve@shop.desk,finn@shop.desk,gail@shop.desk,", ",", ".example\tcorrect horse 42\n"),
		"runuser -u parley -- parley account add -domain shop.desk.example shop && runuser -u parley -- parley agent import")
	d.write(shop, d.read(shop)+"retention = '30d'\n")

	receiver := httptest.NewTLSServer(d.in)
	d.t.Cleanup(receiver.Close)
	ca := d.read("/etc/parley/tls/ca.pem")
	d.write(authorities, ca+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw}))+contentsOf(d.t, d.box.CA))
	d.roots = x509.NewCertPool()
	if !d.roots.AppendCertsFromPEM([]byte(ca)) {
		d.t.Fatal("ca.pem holds no certificate")
	}
	d.here["https://shop.example/parley"] = receiver.URL
	d.here["mail.example:465"] = d.box.Addr

	const name = "/etc/parley/parley.toml"
	listen := regexp.MustCompile(`(?m)^\[listen\]\n(.+\n)+`)
	d.write(name, d.ways.configure(d.t, listen.ReplaceAllString(d.read(name), ""), "webhook = { allow = ['127.0.0.0/8'] }\n"))
	d.systemctl("restart parley")
	d.do("mkdir -p /etc/haproxy")
}

// startsProxy runs docs/proxies/haproxy.cfg beside the files that the chapter makes for it.
func (d *firstday) startsProxy() {
	file := filepath.Join(d.t.TempDir(), "haproxy.cfg")
	text := docsProxy(d.t, "haproxy.cfg", append([]string{"/etc/haproxy/", d.dir + "/etc/haproxy/"}, d.ways.outside...)...)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.ways.start(d.t, exec.Command(program(d.t, "haproxy", "haproxy"), "-db", "-f", file), func() string {
		if d.running == nil {
			return "does not run"
		}
		return d.running.log.String()
	})
	d.here["desk.example:8443"], d.here["desk.example:5223"] = d.ways.port["8443"], d.ways.port["5223"]
}

// integrates is what docs/webhooks.md has for who may type commands.
func (d *firstday) integrates() {
	for _, f := range fences(pages(d.t)["docs/webhooks.md"]) {
		if f.language != "" {
			continue
		}
		for _, line := range f.typed() {
			said := d.do(line)
			if strings.Contains(line, "webhook add ") {
				d.here["wh_…"], d.secret = regexp.MustCompile(`wh_\w+`).FindString(said), regexp.MustCompile(`whsec_\S+`).FindString(said)
			}
		}
	}
	d.tells(`"type":"webhook.test"`)
	if err := json.Unmarshal([]byte(d.do("parley apikey add -json -account desk -role supervisor")), &d.key); err != nil {
		d.t.Fatal(err)
	}
}

// tells waits for a genuine event with that text.
func (d *firstday) tells(text string) {
	d.t.Helper()
	hook, err := standardwebhooks.NewWebhook(d.secret)
	if err != nil {
		d.t.Fatal(err)
	}
	eventually(d.t, "there is an event with "+text, func() bool {
		d.in.mu.Lock()
		defer d.in.mu.Unlock()
		for i, body := range d.in.body {
			if strings.Contains(body, text) && hook.Verify([]byte(body), d.in.came[i].Header) == nil {
				return true
			}
		}
		return false
	})
}

func (d *firstday) getsMail() {
	d.do("test -s audit.jsonl") // of the chapter before
	d.do("runuser -u parley -- sh -c 'umask 077 && echo hidden 42 >/etc/parley/mail.password'")
	d.do("cp /etc/parley/mail.password /mnt/safe/")
}

// scrapes asks for the figures as Prometheus is told to.
func (d *firstday) scrapes(config string) {
	target := regexp.MustCompile(`"(.+)"`).FindStringSubmatch(d.translate(config))
	if target == nil || !strings.Contains(config, "scheme: https\n") {
		d.t.Fatalf("not a target that is asked by https:\n%s", config)
	}
	d.target = target[1]
	if status, body := d.metrics(); status != http.StatusOK || figures(d.t, body)["parley_accounts"] != 2 {
		d.t.Errorf("/metrics: %d %s", status, body)
	}
}

func (d *firstday) metrics() (status int, body string) {
	d.t.Helper()
	r, err := http.NewRequest("GET", "https://"+d.target+"/metrics", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.ask(r)
}

func (d *firstday) ask(r *http.Request) (status int, body string) {
	d.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: d.roots, ServerName: "desk.example"},
	}}
	r.Host = "desk.example"
	resp, err := client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// talks is what people say through the proxy: some of it is to stay, some is for a month, some of
// that is held, and some goes with those who said it.
func (d *firstday) talks() {
	if m := d.box.Next(); !strings.Contains(m.Subject, "a test of mail") { // of the chapter on mail
		d.t.Errorf("a mail about %q", m.Subject)
	}
	d.talk("desk.example", "anna", "ben", "the first order", "the second order")
	d.tells("the second order")
	d.talk("desk.example", "carl", "dora", "what goes with them")
	d.talk("shop.desk.example", "eve", "finn", "what expires")
	d.talk("shop.desk.example", "eve", "gail", "what is held")
	var list []web.ConversationInfo
	if err := json.Unmarshal([]byte(d.do("parley conversation list -json -account shop")), &list); err != nil {
		d.t.Fatal(err)
	}
	for _, v := range list {
		if strings.Contains(strings.Join(v.Agents, " "), "gail") {
			d.do("parley conversation hold -account shop " + v.ID)
		}
	}
}

// enter signs in through the proxy, which takes seconds to see that a server is back that was away
// for long.
func (d *firstday) enter(domain, name string) (j *jabber) {
	d.t.Helper()
	l := login{
		dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", d.ways.port["443"])
		},
		roots: d.roots, domain: domain, name: name, password: "correct horse 42", resource: "desk", protocols: []string{"xmpp-client"},
	}
	eventually(d.t, name+" signs in", func() bool {
		var err error
		j, err = l.try(d.t)
		return err == nil
	})
	return j
}

func (d *firstday) talk(domain, from, to string, texts ...string) {
	d.t.Helper()
	a, b := d.enter(domain, from), d.enter(domain, to)
	b.available("")
	for n, text := range texts {
		id := fmt.Sprintf("m%d", n)
		a.send("<message to='%s@%s' id='%s' type='chat'><body>%s</body></message>", to, domain, id, text)
		b.message(id)
	}
	a.drop()
	b.drop()
}

// loses is how the day goes wrong, a month later for one of the accounts.
func (d *firstday) loses() {
	d.here["2026-11-28T09:30:00Z"] = time.Now().UTC().Format(time.RFC3339Nano) // what is restored in the end
	d.talk("desk.example", "ben", "anna", "the third order")
	d.do("parley agent delete carl@desk.example && parley agent delete dora@desk.example")
	d.expires()
	d.do("parley backup")
	d.before = d.readable("")
	for text, there := range map[string]bool{"first order": true, "second order": true, "third order": true, "is held": true, "goes with them": false, "expires": false} {
		if strings.Contains(d.before, text) != there {
			d.t.Errorf("%q can be read: %t, want %t, in\n%s", text, !there, there, d.before)
		}
	}
	d.place.loses()
}

// expires lets retention look. The installed server does so by itself, after a minute; in
// a folder it is done for a server that was not there for 41 days.
func (d *firstday) expires() {
	d.t.Helper()
	if d.on != nil {
		d.write(shop, strings.Replace(d.read(shop), "30d", "1s", 1))
		d.systemctl("restart parley")
		within(d.t, 2*time.Minute, "what has expired is destroyed", func() bool {
			_, body := d.metrics()
			return figures(d.t, body)["parley_retention_records_destroyed_total"] > 0
		})
		return
	}
	d.stop()
	i := laterInstallation(d.t, d.dir+"/etc/parley/parley.toml", 41*24*time.Hour)
	newRetention(i).look(d.t.Context(), i.now(), func(time.Time) bool { return true })
	if err := i.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.start()
}

// readable is all that was said and is there.
func (d *firstday) readable(options string) string {
	d.t.Helper()
	return d.do("parley conversation show -account desk" + options + " && parley conversation show -account shop" + options)
}

// isAsBefore is the end of the page.
func (d *firstday) isAsBefore() {
	if got := d.readable(""); got != d.before {
		d.t.Errorf("what can be read is\n%s\nand was\n%s", got, d.before)
	}
	// The earlier state, too, has nothing of what was destroyed since.
	earlier := d.readable(" -config earlier/parley.toml -set data=data -set keys=keys -set root_key.file=/etc/parley/root.key")
	for text, there := range map[string]bool{"second order": true, "is held": true, "third order": false, "goes with them": false, "expires": false} {
		if strings.Contains(earlier, text) != there {
			d.t.Errorf("in the earlier state %q can be read: %t, want %t, in\n%s", text, !there, there, earlier)
		}
	}
	// Agents sign in and have their archive, webhooks go on, programs have their keys, the server is
	// watched, and copies go on.
	anna := d.enter("desk.example", "anna")
	var said []string
	for _, m := range anna.archive() {
		said = append(said, m.child("body").text())
	}
	same(d.t, "Anna's archive", said, []string{"the first order", "the second order", "the third order"})
	anna.drop()
	d.talk("desk.example", "anna", "ben", "the fourth order")
	d.tells("the fourth order")
	r, err := http.NewRequest("GET", "https://"+d.ways.port["443"]+"/v1/conversations", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.SetBasicAuth(d.key.ID, d.key.Secret)
	if status, body := d.ask(r); status != http.StatusOK || strings.Count(body, `"kind":"direct"`) != 2 || strings.Count(body, `"shredded":true`) != 1 {
		d.t.Errorf("conversations for a program: %d %s", status, body)
	}
	d.follow("parley backup")
	d.follow("parley probe")
	d.follow("parley audit verify")
}
