package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"parley.im/parley/store/sqlite/conn"

	"parley.im/parley/xmppd/web"
)

// An ordeal is an installation that goes through all that can happen to it, with markers
// in everything that somebody says, types or sends.
type ordeal struct {
	t     *testing.T
	m     *markers
	dir   string
	conf  string
	d     *daemon
	prose strings.Builder // what commands complained of

	passwords map[string]string
	answer    string // what the receiver of webhooks says
	receiver  *httptest.Server

	mu      sync.Mutex
	retries int // requests that were not a first attempt
}

// newOrdeal makes an installation whose account has this profile, with options that are
// set, and serves it.
func newOrdeal(t *testing.T, profile string, set ...string) *ordeal {
	return newOrdealIn(t, t.TempDir(), profile, set...)
}

// newOrdealIn is newOrdeal in a folder of the caller's.
func newOrdealIn(t *testing.T, dir, profile string, set ...string) *ordeal {
	o := &ordeal{t: t, m: newMarkers(), dir: dir, passwords: make(map[string]string)}
	o.conf = filepath.Join(o.dir, "parley.toml")
	args := []string{"quickstart", "-dir", o.dir, "-profile", profile, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0",
		"-set", "auth.iterations=10000", "-set", "auth.lockout=false", "-set", "log.level=debug", "-set", "log.wire=true",
		"-set", `webhook.allow=["127.0.0.0/8"]`}
	for _, option := range set {
		args = append(args, "-set", option)
	}
	o.must("", append(args, "desk.example")...)
	for _, name := range []string{"anna", "ben"} {
		o.passwords[name] = o.m.make(secret, "password of "+name) + "-42"
		o.must(o.passwords[name]+"\n", "agent", "add", "-config", o.conf, "-password-stdin", name+"@desk.example")
	}
	o.receive()
	o.d = startDaemon(t, o.dir, "SSL_CERT_FILE="+filepath.Join(o.dir, "receiver.pem"), "GOTRACEBACK=crash")
	o.operate()
	return o
}

func (o *ordeal) must(stdin string, args ...string) string {
	o.t.Helper()
	return must(o.t, stdin, args...)
}

// fails runs a command that is to fail, and keeps what it says.
func (o *ordeal) fails(stdin string, args ...string) {
	o.t.Helper()
	_, prose, err := typed(o.t, stdin, args...)
	if err == nil {
		o.t.Errorf("parley %s did not fail", strings.Join(args, " "))
	}
	o.prose.WriteString(prose)
}

// receive starts a receiver of webhooks that fails at first, and always answers with
// what it got and a marker.
func (o *ordeal) receive() {
	o.answer = o.m.make(spoken, "answer of a receiver")
	o.receiver = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			o.t.Errorf("webhook: %v", err)
		}
		if r.Header.Get("X-Parley-Attempt") == "1" {
			w.Header().Set("Location", "https://127.0.0.1/"+o.answer)
			w.WriteHeader(http.StatusInternalServerError)
		} else {
			o.mu.Lock()
			o.retries++
			o.mu.Unlock()
		}
		_, _ = io.WriteString(w, o.answer+string(body)) // a receiver does not care who reads it
	}))
	// One of the endpoints has a name for which the certificate is not; that is all that
	// would be told.
	o.receiver.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	o.receiver.StartTLS()
	o.t.Cleanup(o.receiver.Close)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.receiver.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(o.dir, "receiver.pem"), cert, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// operate gives the operator's commands to the running server, right and wrong ones.
func (o *ordeal) operate() {
	o.passwords["cleo"] = o.m.make(secret, "imported password") + "-42"
	o.must("cleo@desk.example\t"+o.passwords["cleo"]+"\n", "agent", "import", "-config", o.conf)
	wrong := o.m.make(secret, "password in an import that fails")
	o.fails("no tab "+wrong+"\nanna@desk.example\t"+wrong+"\nnobody@shop.example\t"+wrong+"\nx y@desk.example\t"+wrong+"\n",
		"agent", "import", "-config", o.conf)
	o.fails(o.m.make(secret, "weak password")[:7]+"\n", "agent", "add", "-config", o.conf, "-password-stdin", "dora@desk.example")
	o.fails(wrong+"-42\n", "agent", "passwd", "-config", o.conf, "-password-stdin", "nobody@desk.example")
	o.fails("", "webhook", "add", "-config", o.conf, "-url", "https://me:"+o.m.make(secret, "password in a URL")+"@127.0.0.1/")
	o.fails("", "check", "-config", o.conf, "-set", "root_key="+o.m.make(secret, "root key of the wrong form"))

	for _, url := range []string{o.receiver.URL, "https://127.0.0.1:9/", "https://localhost:" + o.receiver.URL[strings.LastIndexByte(o.receiver.URL, ':')+1:]} {
		var hook web.WebhookInfo
		if err := json.Unmarshal([]byte(o.must("", "webhook", "add", "-json", "-config", o.conf, "-url", url)), &hook); err != nil {
			o.t.Fatal(err)
		}
		o.m.add(secret, "secret of a webhook", hook.Secret)
		o.m.add(secret, "secret of a webhook, without its prefix", strings.TrimPrefix(hook.Secret, "whsec_"))
	}
	o.m.add(secret, "secret token", strings.TrimSpace(o.must("", "account", "show", "-secret", "-config", o.conf, "desk")))
	root, err := os.ReadFile(filepath.Join(o.dir, "root.key"))
	if err != nil {
		o.t.Fatal(err)
	}
	o.m.add(secret, "root key", strings.TrimSpace(string(root)))
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(root))); err == nil {
		o.m.add(secret, "root key, decoded", string(raw))
	}
}

func (o *ordeal) login(name, resource string) login {
	return o.d.login(name, o.passwords[name], resource)
}

// talk says everything that can be said, once; each time with markers of its own. It
// returns the id with which Ben's session can be resumed.
func (o *ordeal) talk() (resumption string) {
	o.t.Helper()
	m := o.m
	o.strangers()

	ben := o.login("ben", m.make(named, "resource")).in(o.t)
	ben.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	resumption = ben.until("enabled", func(e *tree) bool { return e.name.Local == "enabled" }).attr("id")
	ben.available("<status>" + m.make(unkept, "status") + "</status><x xmlns='urn:x'>" + m.make(unkept, "payload of presence") + "</x>")
	phone := o.login("anna", "phone").in(o.t)
	phone.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>")
	anna := o.login("anna", "laptop").in(o.t)
	anna.available("<show>dnd</show><status>" + m.make(unkept, "status") + "</status>")

	// What is kept: to Ben, who acknowledges nothing, and to Cleo, who is away.
	id := m.make(named, "id")
	anna.send("<message to='ben@desk.example' id='%s' type='chat'><subject>%s</subject><body>a %s b</body><thread>%s</thread>"+
		"<x xmlns='urn:x' file='%s.pdf'>%s</x><origin-id xmlns='urn:xmpp:sid:0' id='%s'/></message>", id,
		m.make(spoken, "subject"), m.make(spoken, "body"), m.make(spoken, "thread"), m.make(spoken, "file name"),
		m.make(spoken, "payload"), m.make(named, "origin-id"))
	ben.message(id)
	anna.send("<message to='cleo@desk.example' id='for-cleo'><body>%s</body></message>", m.make(spoken, "offline message"))
	anna.send("<message to='ben@desk.example' id='long'><body>%s</body></message>", strings.Repeat(m.make(spoken, "long message")+" ", 2000))
	ben.message("long")

	// What waits for Cleo's answer, unless she is a colleague: sealed in every profile.
	anna.send("<presence type='subscribe' to='cleo@desk.example'><status>%s</status><x xmlns='urn:x'>%s</x></presence>",
		m.make(unkept, "status of a request"), m.make(unkept, "payload of a request"))

	// What is not.
	for _, form := range []string{
		"<message to='ben@desk.example' id='fleeting' type='chat'><body>%s</body><no-store xmlns='urn:xmpp:hints'/></message>",
		"<message to='ben@desk.example' type='headline'><body>%s</body></message>",
		"<message to='nobody@desk.example' type='chat'><body>%s</body></message>",
		"<message to='ben@elsewhere.example' type='chat'><body>%s</body></message>",
		"<message to='not a jid@@' type='chat'><body>%s</body></message>",
		"<presence><priority>999</priority><status>%s</status></presence>",
		"<presence to='" + ben.jid + "'><status>%s</status></presence>",
		"<presence type='odd'><status>%s</status></presence>",
		"<iq type='get' id='i1' to='" + ben.jid + "'><x xmlns='urn:x'>%s</x></iq>",
		"<iq type='set' id='i2'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='start'><value>%s</value></field></x></query></iq>",
		"<iq type='set' id='i3' to='cleo@desk.example'><vCard xmlns='vcard-temp'><FN>%s</FN></vCard></iq>",
		"<iq type='set' id='i5'><block xmlns='urn:xmpp:blocking'><item jid='%s@@'/></block></iq>",
		"<iq type='set' id='i6'><query xmlns='jabber:iq:roster'><item jid='%s@@' name='x'/></query></iq>",
		"<presence type='subscribe' to='nobody@desk.example'><status>%s</status></presence>",
		"<iq type='odd' id='i4'><x xmlns='urn:x'>%s</x></iq>",
	} {
		anna.send(form, m.make(unkept, form))
	}
	anna.rest()
	ben.message("fleeting")
	phone.rest()
	o.keep(anna)
	o.retried()
	o.choose(anna)
	return resumption
}

// choose changes Anna's password, which is refused first.
func (o *ordeal) choose(anna *jabber) {
	o.t.Helper()
	const form = "<query xmlns='jabber:iq:register'><username>anna</username><password>%s</password></query>"
	if answer := anna.ask("set", "desk.example", fmt.Sprintf(form, o.m.make(secret, "password that can't be sent")+"&#xE000;")); answer.attr("type") != "error" {
		o.t.Errorf("a password for private use: %s", answer)
	}
	o.passwords["anna"] = o.m.make(secret, "changed password") + "-42"
	if answer := anna.ask("set", "desk.example", fmt.Sprintf(form, o.passwords["anna"])); answer.attr("type") != "result" {
		o.t.Fatalf("a good password: %s", answer)
	}
}

// belongings are what an agent can have of her own: how it is kept, and asked for.
var belongings = []struct{ in, keep, ask string }{
	{"vCard", "<vCard xmlns='vcard-temp'><FN>%s</FN></vCard>", "<vCard xmlns='vcard-temp'/>"},
	{"private storage", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'>%s</x></query>", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>"},
	{"block list", "<block xmlns='urn:xmpp:blocking'><item jid='%s@desk.example'/></block>", "<blocklist xmlns='urn:xmpp:blocking'/>"},
	{"roster", "<query xmlns='jabber:iq:roster'><item jid='shop@elsewhere.example' name='%s'/></query>", "<query xmlns='jabber:iq:roster'/>"},
	{"preferences", "<prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>%s@desk.example</jid></never></prefs>", "<prefs xmlns='urn:xmpp:mam:2'/>"},
}

// keep keeps all that an agent can have of her own. Each answer says that it is durable.
func (o *ordeal) keep(j *jabber) {
	o.t.Helper()
	for _, x := range belongings {
		if answer := j.ask("set", "", fmt.Sprintf(x.keep, o.m.make(unkept, x.in))); answer.attr("type") != "result" {
			o.t.Errorf("%s is not kept: %s", x.in, answer)
		}
	}
	j.ask("set", "", "<query xmlns='jabber:iq:private'><x xmlns='urn:"+o.m.make(named, "name in private storage")+"'>1</x></query>")
	j.send("<presence type='unavailable'><status>%s</status></presence>", o.m.make(unkept, "status of who goes"))
	j.rest()
}

// has checks that what was kept last is there, where nobody is a colleague.
func (o *ordeal) has(j *jabber) {
	o.t.Helper()
	for _, x := range belongings {
		if answer := j.ask("get", "", x.ask); !strings.Contains(answer.String(), o.m.of(unkept, x.in)) {
			o.t.Errorf("%s is gone: %s", x.in, answer)
		}
	}
	cleo := o.login("cleo", "desk").in(o.t)
	cleo.available("")
	request := cleo.until("a request", func(e *tree) bool { return e.attr("type") == "subscribe" }).String()
	for _, in := range []string{"status of a request", "payload of a request"} {
		if !strings.Contains(request, o.m.of(unkept, in)) {
			o.t.Errorf("%s is gone: %s", in, request)
		}
	}
}

// strangers try to get in, and break rules.
func (o *ordeal) strangers() {
	o.t.Helper()
	wrong := o.login("anna", "laptop")
	wrong.password = o.m.make(secret, "wrong password")
	unknown := o.login("anna", "laptop")
	unknown.name, unknown.password = o.m.make(spoken, "name of nobody"), o.m.make(secret, "password of nobody")
	for _, l := range []login{wrong, unknown} {
		if _, err := l.try(o.t); err == nil {
			o.t.Errorf("%s signed in with a wrong password", l.name)
		}
	}
	for _, form := range []string{
		"<message to='ben@desk.example'><body>%s</bdy></message>",
		"<message to='ben@desk.example'><!-- %s --></message>",
		"<!DOCTYPE x [<!ENTITY e '%s'>]>",
		"<message from='ben@desk.example' to='anna@desk.example'><body>%s</body></message>",
		"<odd xmlns='urn:odd'>%s</odd>",
		"<message to='ben@desk.example'><body>%s\xff</body></message>",
		"<message to='ben@desk.example'><body>%s" + strings.Repeat("too much ", 40_000) + "</body></message>",
	} {
		j := o.login("anna", "odd").in(o.t)
		j.send(form, o.m.make(unkept, form))
		j.until("stream error", func(e *tree) bool { return e.name.Local == "error" })
	}
	for _, form := range []string{
		"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
		"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>%s</auth>",
		"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>not base64 %s</auth>",
		"<message><body>%s</body></message>",
	} {
		o.login("anna", "odd").refused(o.t, strings.ReplaceAll(form, "%s",
			base64.StdEncoding.EncodeToString([]byte("\x00anna\x00"+o.m.make(secret, form)))))
	}
}

// retried returns when a webhook was tried again, five seconds after it failed.
func (o *ordeal) retried() {
	o.t.Helper()
	eventually(o.t, "a webhook is tried again", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.retries > 0
	})
}

// change does something to the account's file that the server would not do.
func (o *ordeal) change(statement string) {
	o.t.Helper()
	db, err := conn.Open(conn.Config{Path: filepath.Join(o.dir, "data/accounts/desk/data.db")})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := errors.Join(db.Exec(statement), db.Close()); err != nil {
		o.t.Fatal(err)
	}
}
