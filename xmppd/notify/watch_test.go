package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/xmppd/notify/postbox"
)

// A desk is an account whose alerts are mailed to a box.
type desk struct {
	*sqlite.Account
	t    *testing.T
	box  *postbox.Box
	c    Config
	stop func()
}

func newDesk(t *testing.T, o postbox.Options) *desk {
	t.Helper()
	dir := t.TempDir()
	k, err := keys.Open(t.Context(), keys.Config{Dir: filepath.Join(dir, "keys"), Account: "desk", Root: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	a, err := sqlite.Open(t.Context(), sqlite.Config{Dir: filepath.Join(dir, "data"), Account: "desk", Keys: k, Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	d := &desk{Account: a, t: t, box: postbox.Open(t, o)}
	d.c = configOf(d.box)
	d.c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	return d
}

// start mails until stop, as after a start of the server.
func (d *desk) start() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	n := New(d.c)
	go func() { ended <- n.Run(ctx, Account{ID: "desk", Domain: "desk.example", Store: d}) }() // ends with stop
	d.stop = func() {
		d.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	}
	d.begun(alertsSetting)
}

// begun returns when something that reads the log knows where it begins.
func (d *desk) begun(setting string) {
	d.t.Helper()
	for {
		_, err := d.Setting(d.t.Context(), setting)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrNotFound) {
			d.t.Fatal(err)
		}
	}
}

func (d *desk) happens(kind store.Kind, data string) {
	d.t.Helper()
	if _, err := store.Journalize(d.t.Context(), d, kind, []byte(data), time.Now()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) failedLogin(name string) {
	d.t.Helper()
	text, err := json.Marshal(map[string]any{"login": map[string]any{"name": name, "known": true, "address": "192.0.2.7", "reason": "proof"}})
	if err != nil {
		d.t.Fatal(err)
	}
	d.happens(store.KindLoginFailed, string(text))
}

// WCP-12: a change of the security policy is mailed with what was and what is; other
// alerts each have their text, and what is no alert has none.
func TestAlertsAreMailed(t *testing.T) {
	d := newDesk(t, postbox.Options{})
	d.failedLogin("earlier") // before mail was switched on
	d.start()
	defer func() { d.stop() }()
	began := time.Now()
	d.happens(store.KindAgentAvailable, `{"agent":{"jid":"anna@desk.example"}}`)
	d.happens(store.KindPolicyChanged, `{"changes":[{"option":"auth.password_length","before":8,"after":12}]}`)
	m := d.box.Next()
	if m.Subject != "[desk.example] desk: the security policy was changed" || !strings.Contains(m.Text, "changes.after: 12\n  changes.before: 8\n  changes.option: auth.password_length\n") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("it took %v", took)
	}
	d.happens(store.KindWebhookDisabled, `{"endpoint":"wh_1","reason":"the receiver answered 410 Gone"}`)
	if m := d.box.Next(); m.Subject != "[desk.example] desk: a webhook is disabled" || !strings.Contains(m.Text, "reason: the receiver answered 410 Gone") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	d.happens(store.KindAuditHead, `{"head":{"n":3,"hash":"abc"}}`)
	if m := d.box.Next(); m.Subject != "[desk.example] desk: audit log, signed" || !strings.Contains(m.Text, "head.hash: abc\n  head.n: 3\n") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	// What a stranger chose adds no line and no header.
	d.failedLogin("anna\r\nBcc: all@desk.example\u202e" + strings.Repeat("x", 1000))
	m = d.box.Next()
	if m.Subject != "[desk.example] desk: 1 failed sign-in" || m.Header.Get("Bcc") != "" || !strings.Contains(m.Text, "login.name: anna\uFFFD\uFFFDBcc: all@desk.example\uFFFDxxx") ||
		strings.Contains(m.Text, strings.Repeat("x", fieldMax)) || strings.Contains(m.Text, "earlier") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
}

// Of one kind there is one mail in a while; the next one tells of all that happened
// meanwhile, over a restart as well, and none tells anything twice.
func TestAlertsAreGathered(t *testing.T) {
	d := newDesk(t, postbox.Options{})
	d.c.Every = 300 * time.Millisecond
	d.start()
	defer func() { d.stop() }()
	count := func(m postbox.Mail) int {
		t.Helper()
		var n int
		if _, err := fmt.Sscanf(m.Subject, "[desk.example] desk: %d failed sign-in", &n); err != nil {
			t.Fatalf("%s: %v", m.Subject, err)
		}
		return n
	}
	total, mails, began := 0, 0, time.Now()
	for i := range 60 {
		d.failedLogin(fmt.Sprint("name-", i))
		if i == 30 {
			d.stop()
			d.start()
		}
	}
	var last postbox.Mail
	for total < 60 {
		last = d.box.Next()
		total += count(last)
		mails++
	}
	if most := 2 + int(time.Since(began)/d.c.Every); mails > most || total != 60 {
		t.Errorf("%d mails of %d alerts, want at most %d of 60", mails, total, most)
	}
	if !strings.Contains(last.Text, "name-59") || strings.Count(last.Text, "login.name:") > listed {
		t.Errorf("the last mail:\n%s", last.Text)
	}
	if n := count(last); n > listed && !strings.Contains(last.Text, fmt.Sprintf("And %d more before.", n-listed)) {
		t.Errorf("the last mail does not count what it leaves out:\n%s", last.Text)
	}
	// Another kind waits for nobody.
	d.c.Every = time.Hour
	d.stop()
	d.start()
	d.failedLogin("later")
	d.happens(store.KindWebhookDisabled, `{"endpoint":"wh_1","reason":"x"}`)
	if m := d.box.Next(); m.Subject != "[desk.example] desk: a webhook is disabled" || d.box.Waiting() != 0 {
		t.Errorf("%s", m.Subject)
	}
}

// A server that is down, or does not want to, gets the alerts when it does; so it is when
// Parley was ended meanwhile.
func TestAlertsWaitForTheMailServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	d := newDesk(t, postbox.Options{})
	d.c.Server = addr // where nobody is
	d.start()
	d.failedLogin("one")
	d.failedLogin("two")
	d.stop()
	if d.box.Waiting() != 0 {
		t.Error("a mail from nowhere")
	}
	d.box.Refuse(451)
	d.c.Server = d.box.Addr
	d.start()
	d.box.AwaitTries(5)
	d.stop()
	d.box.Refuse(0)
	d.start()
	if m := d.box.Next(); m.Subject != "[desk.example] desk: 2 failed sign-ins" || !strings.Contains(m.Text, "name: one") || !strings.Contains(m.Text, "name: two") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	d.stop()
	// What was mailed is not mailed again.
	d.start()
	d.happens(store.KindPolicyChanged, `{}`)
	if m := d.box.Next(); !strings.Contains(m.Subject, "policy") {
		t.Errorf("%s", m.Subject)
	}
	d.stop()
}

// A mail that will never be taken is given up after three tries, and the next kind has its
// turn.
func TestRefusedAlertsAreGivenUp(t *testing.T) {
	d := newDesk(t, postbox.Options{})
	d.c.Every = time.Hour
	d.box.Refuse(554)
	d.start()
	defer func() { d.stop() }()
	d.failedLogin("one")
	d.box.AwaitTries(finalTries)
	d.box.Refuse(0)
	d.happens(store.KindPolicyChanged, `{}`)
	if m := d.box.Next(); !strings.Contains(m.Subject, "policy") {
		t.Errorf("%s", m.Subject)
	}
}

// Many messages between alerts are looked through, and a crash of anything costs at most a
// second mail of the same.
func TestAlertsAmongMessages(t *testing.T) {
	d := newDesk(t, postbox.Options{})
	d.start()
	defer func() { d.stop() }()
	c, err := d.Direct(t.Context(), d.agent("anna"), d.agent("ben"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ops := make([]store.Op, 40_000)
	for i := range ops {
		m := store.Message{Type: "chat", From: "anna@desk.example/x", To: "ben@desk.example", ID: "m", Inner: []byte("<body>a secret word</body>")}
		ops[i] = store.Op{Conversation: c, Kind: store.KindMessage, At: time.Now(), Data: store.AppendMessage(nil, &m)}
	}
	d.Append(&store.Batch{Ops: ops, Done: func(b *store.Batch) { done <- b.Err }})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.failedLogin("one")
	if m := d.box.Next(); strings.Contains(m.Raw, "secret word") || !strings.Contains(m.Text, "login.name: one") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
}

func (d *desk) agent(name string) store.AgentID {
	d.t.Helper()
	g, err := d.AddAgent(d.t.Context(), name, "agent", store.Credential{Scope: "xmpp", Label: "x"})
	if err != nil {
		d.t.Fatal(err)
	}
	return g.ID
}
