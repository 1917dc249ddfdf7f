package main

import (
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"parley.im/parley/xmppd/web"
)

// What was said goes over plain http where the owner confirms it, until the URL is another one
// or the bodies are thin; nobody else can, and it is written down who has.
func TestConfirmClear(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-profile", "solo", "-account", "desk", "-set", `webhook.allow=["127.0.0.0/8"]`)
	config := filepath.Join(d.dir, "parley.toml")
	in := new(inbox)
	receiver := httptest.NewServer(in)
	t.Cleanup(receiver.Close)
	admin, owner := d.api("-role", "admin"), d.api("-role", "owner")

	var hook web.WebhookInfo
	url := `{"url":"` + receiver.URL + `/","events":["message.created"]`
	admin.ask("POST", "/v1/webhooks", url+`,"confirm_clear":true}`, 403, nil)
	admin.ask("POST", "/v1/webhooks", url+`}`, 201, &hook)
	if hook.ConfirmClear {
		t.Error("nobody has confirmed it")
	}
	path := "/v1/webhooks/" + hook.ID
	came := func(n int) (all string) {
		t.Helper()
		eventually(t, "a message has come", func() bool {
			in.mu.Lock()
			defer in.mu.Unlock()
			all = strings.Join(in.body, "\n")
			return len(in.body) >= n
		})
		return all
	}
	d.say("anna", "ben", "between us")
	came(1)
	owner.ask("PATCH", path, `{"confirm_clear":true}`, 200, &hook)
	if !hook.ConfirmClear {
		t.Error("it is not confirmed")
	}
	d.say("anna", "ben", "for everybody")
	if all := came(2); strings.Contains(all, "between us") || !strings.Contains(all, `"text":"for everybody"`) {
		t.Errorf("what came:\n%s", all)
	}

	for _, c := range []struct {
		body   string
		status int
		want   bool
	}{
		{`{"description":"ours"}`, 200, true},
		{`{"url":"` + receiver.URL + `/other"}`, 200, false},
		{`{"confirm_clear":true}`, 200, true},
		{`{"payload":"thin"}`, 200, false},
		{`{"confirm_clear":true}`, 422, false},
		{`{"payload":"full","confirm_clear":true}`, 200, true},
		{`{"confirm_clear":false}`, 200, false},
		{`{"url":"https://shop.example/","confirm_clear":true}`, 422, false},
	} {
		owner.ask("PATCH", path, c.body, c.status, nil)
		var now web.WebhookInfo
		owner.ask("GET", path, "", 200, &now)
		if now.ConfirmClear != c.want {
			t.Errorf("after %s: confirmed %v, want %v", c.body, now.ConfirmClear, c.want)
		}
	}
	must(t, "", "webhook", "set", "-confirm-clear", hook.ID, "-config", config)
	if out := must(t, "", "webhook", "show", hook.ID, "-config", config); !strings.Contains(out, "confirmed") {
		t.Errorf("show: %s", out)
	}
	out := must(t, "", "audit", "list", "-account", "desk", "-config", config)
	for _, want := range []string{"refused +from 127.0.0.1 confirm_clear=true", "done +from 127.0.0.1 confirm_clear=true", "done +from 127.0.0.1 confirm_clear=false"} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the audit log has no %q:\n%s", want, out)
		}
	}
}

// Where the account encrypts nobody can confirm it.
func TestNoConfirmClearWhereEncrypted(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	refused(t, "what was said goes over https only", "", "webhook", "add", "-url", "http://shop.example/", "-confirm-clear", "-config", config)
	var hooks []web.WebhookInfo
	if err := json.Unmarshal([]byte(must(t, "", "webhook", "list", "-json", "-config", config)), &hooks); err != nil || len(hooks) != 0 {
		t.Errorf("webhooks: %+v, %v", hooks, err)
	}
}
