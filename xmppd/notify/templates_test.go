package notify

import (
	"context"
	"slices"
	"strings"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/notify/postbox"
)

// Each event that is mailed has a text of its own, that says what to do about it.
func TestEachAlertHasItsText(t *testing.T) {
	found := 0
	for k := range store.Kind(255) {
		name := k.Event()
		if name == "" || !Alerts(name) {
			continue
		}
		found++
		if _, err := files.ReadFile("templates/" + name + ".txt"); err != nil {
			t.Errorf("%s is mailed with the general text", name)
		}
	}
	if found < 8 {
		t.Errorf("only %d events are mailed", found)
	}
}

// Of messages that visitors leave nothing is mailed but when, and of which contact: to those who want that, and to nobody else.
func TestLeftMessagesAreMailed(t *testing.T) {
	d := newDesk(t, postbox.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	n := New(d.c)
	ended := make(chan error, 1)
	go func() { // ends with ctx
		ended <- n.RunLeft(ctx, Account{ID: "desk", Domain: "desk.example", Store: d}, []string{"shop@desk.example"})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	d.start()
	defer func() { d.stop() }()
	d.begun(leftSetting)
	d.box.Refuse(451)
	d.happens(store.KindOfflineMessage, `{"contact":{"id":"mwq4xk2m7t","state":"offline"},"person":{"name":"Mia Rossi","fields":{"email":"mia@home.example"}},"by":"visitor"}`)
	d.box.AwaitTries(1)
	d.box.Refuse(0)
	m := d.box.Next()
	if m.Subject != "[desk.example] desk.example: somebody has left a message" || strings.Join(m.To, " ") != "shop@desk.example" ||
		!strings.Contains(m.Text, " UTC, contact mwq4xk2m7t\n") || strings.Contains(m.Text, "Mia") || strings.Contains(m.Text, "home.example") {
		t.Errorf("%s to %s\n%s", m.Subject, m.To, m.Text)
	}
	d.happens(store.KindTokenRotated, `{}`)
	if m := d.box.Next(); !strings.Contains(m.Subject, "token") || m.To[0] != "ops@desk.example" {
		t.Errorf("%s to %s", m.Subject, m.To)
	}
	if d.box.Waiting() != 0 {
		t.Errorf("there is another mail: %+v", d.box.Next())
	}
}

// What the mails of rare events say, from the event to the mail box.
func TestRareAlertsAreMailed(t *testing.T) {
	d := newDesk(t, postbox.Options{})
	d.start()
	defer func() { d.stop() }()
	for _, c := range []struct {
		kind          store.Kind
		data, subject string
		want          []string
	}{
		{store.KindCertificateExpiring, `{"certificate":{"names":["desk.example","chat.example"],"expires":"2026-12-05T00:00:00Z","days":7}}`,
			"a certificate ends soon", []string{"[[certificate]]", "parley check -dns", "certificate.names: desk.example\n  certificate.names: chat.example\n", "certificate.days: 7\n"}},
		{store.KindBackupStale, `{"of":"keys","age":1200}`, "copies are too old", []string{"'parley backup'", "age: 1200\n  of: keys\n"}},
		{store.KindKeyUnavailable, `{"conversation":{"id":"7","kind":"direct"},"generation":3}`, "a key is missing",
			[]string{"parley restore", "parley verify", "conversation.id: 7\n  conversation.kind: direct\n  generation: 3\n"}},
		{store.KindWebhookFailing, `{"endpoint":"wh_1","reason":"the receiver answered 503 Service Unavailable","since":"2026-11-22T09:30:00Z"}`, "a webhook fails",
			[]string{"'parley webhook deliveries'", "endpoint: wh_1\n  reason: the receiver answered 503 Service Unavailable\n  since: 2026-11-22T09:30:00Z\n"}},
		{store.KindTokenRotated, `{"previous_until":"2026-11-22T09:30:00Z"}`, "the secret token is another one",
			[]string{"parley audit list -account desk -action secret.rotate", "previous_until: 2026-11-22T09:30:00Z\n"}},
	} {
		d.happens(c.kind, c.data)
		m := d.box.Next()
		missing := slices.DeleteFunc(c.want, func(w string) bool { return strings.Contains(m.Text, w) })
		if m.Subject != "[desk.example] desk: "+c.subject || len(missing) > 0 || !strings.Contains(m.Text, "ccount desk (desk.example)") {
			t.Errorf("%s\n%s\nlacks %q", m.Subject, m.Text, missing)
		}
	}
}
