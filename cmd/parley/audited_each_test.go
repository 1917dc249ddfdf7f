package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/seal"
	"parley.im/parley/xmppd/web"
)

// talk is the number of desk's newest conversation.
func (c *changing) talk() int64 {
	c.t.Helper()
	a, err := c.i.account(c.t.Context(), "desk")
	if err != nil {
		c.t.Fatal(err)
	}
	all, err := a.store.Conversations(c.t.Context(), 0, 100)
	if err != nil || len(all) == 0 {
		c.t.Fatalf("%d conversations, %v", len(all), err)
	}
	return int64(all[len(all)-1].ID)
}

var registered = regexp.MustCompile(`(?m)^\s*o\.(?:handle|stream)\("([A-Z]+ [^"]+)"`)

// WCP-10: each command about the installation that changes something gives exactly one
// record; none that only lists gives one.
func TestEachChangeHasOneRecord(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "desk.example")
	must(t, "", "account", "add", "shop", "-domain", "shop.example", "-config", config)
	for _, name := range []string{"anna", "ben"} {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", name+"@desk.example", "-config", config)
	}
	said(t, config, "anna", "ben", "<body>hello</body>", time.Now())
	_, options := safes(t, dir, "5m")
	c := newChanging(t, config, options...)
	talk := c.talk()
	next := seal.NewKey()
	print := keys.Fingerprint(next)[:8]
	hold, held := "/v1/accounts/{account}/hold", "/v1/accounts/{account}/conversations/{conversation}/hold"
	deskTalk, spoken := fmt.Sprintf("/v1/accounts/desk/conversations/%d/hold", talk), fmt.Sprint("conversation/", talk)
	disabled := "PUT /v1/accounts/{account}/disabled"
	tried := c.all([]try{
		{"GET /v1/accounts", "/v1/accounts", "", 200, ""},
		{"POST /v1/accounts", "/v1/accounts", `{"id":"new","domain":"new.example","profile":"solo"}`, 200,
			": account.create account/new done map[domain:new.example id:new profile:solo]"},
		{"POST /v1/accounts", "/v1/accounts", `{"id":"new","domain":"new.example","profile":"solo"}`, 409,
			": account.create account refused map[domain:new.example id:new profile:solo]"},
		{"POST /v1/accounts", "/v1/accounts", `nonsense`, 422, ": account.create account refused map[]"},
		{disabled, "/v1/accounts/shop/disabled", `{"disabled":true}`, 200, "shop: account.disable account/shop done map[]"},
		{disabled, "/v1/accounts/new/disabled", `{"disabled":true}`, 200, "new: account.disable account/new done map[]"},
		{disabled, "/v1/accounts/new/disabled", `{"disabled":false}`, 200, "new: account.enable account/new done map[]"},
		{disabled, "/v1/accounts/nobody/disabled", `{"disabled":true}`, 404, ": account.disable account/nobody refused map[]"},
		{"DELETE /v1/accounts/{account}", "/v1/accounts/new", "", 422, ": account.delete account/new refused map[]"},
		{"DELETE /v1/accounts/{account}", "/v1/accounts/shop", "", 200, ": account.delete account/shop done map[]"},
		{"POST /v1/accounts/{account}/reissue", "/v1/accounts/new/reissue", "", 200, "new: account.reissue account/new done map[]"},
		{"POST /v1/import", "/v1/import?no_policy=yes", "emil@desk.example\tx\nfred@new.example\tx\n", 200, ": agents.import account done map[imported:2 no_policy:true]"},
		{"PUT " + hold, "/v1/accounts/desk/hold", `{"until":"2100-01-01T00:00:00Z"}`, 200, "desk: account.hold account/desk done map[until:2100-01-01T00:00:00Z]"},
		{"PUT " + hold, "/v1/accounts/desk/hold", `{"until":"2020-01-01T00:00:00Z"}`, 422, "desk: account.hold account/desk refused map[until:2020-01-01T00:00:00Z]"},
		{"DELETE " + hold, "/v1/accounts/desk/hold", "", 200, "desk: account.release account/desk done map[]"},
		{"PUT " + held, deskTalk, `{}`, 200, "desk: conversation.hold " + spoken + " done map[]"},
		{"PUT " + held, "/v1/accounts/desk/conversations/99/hold", `{}`, 404, "desk: conversation.hold conversation/99 refused map[]"},
		{"DELETE " + held, deskTalk, "", 200, "desk: conversation.release " + spoken + " done map[]"},
		{"POST /v1/accounts/{account}/verify", "/v1/accounts/desk/verify", "", 200, "desk: account.verify account/desk done map[]"},
		{"POST /v1/accounts/{account}/accept", "/v1/accounts/desk/accept", "", 200, "desk: account.accept account/desk done map[]"},
		{"POST /v1/accounts/{account}/rotate-key", "/v1/accounts/desk/rotate-key", "", 200, "desk: account.rotate-key account/desk done map[]"},
		{"GET /v1/keys", "/v1/keys", "", 200, ""},
		{"POST /v1/keys/root", "/v1/keys/root", `{"key":"secret"}`, 422, ": rootkey.rotate account refused map[]"},
		{"POST /v1/keys/root", "/v1/keys/root", `{"key":"` + base64.StdEncoding.EncodeToString(next[:]) + `"}`, 200, ": rootkey.rotate account done map[]"},
		{"POST /v1/keys/copy", "/v1/keys/copy", `{"fingerprint":"` + base64.StdEncoding.EncodeToString(next[:]) + `"}`, 422, ": rootkey.confirm-copy account refused map[]"},
		{"POST /v1/keys/copy", "/v1/keys/copy", `{"fingerprint":"` + print + `"}`, 200, ": rootkey.confirm-copy account done map[fingerprint:" + print + "]"},
		{"GET /v1/backups", "/v1/backups", "", 200, ""},
		{"POST /v1/backups", "/v1/backups", `{"full":true}`, 200, ": backup.create account done map[full:true]"},
		{"POST /v1/backups", "/v1/backups", `{}`, 200, ": backup.create account done map[]"},
		{"GET /v1/audit", "/v1/audit", "", 200, ""},
		{"GET /v1/audit/verify", "/v1/audit/verify", "", 200, ""},
		{"GET /v1/accounts/{account}/audit", "/v1/accounts/desk/audit", "", 200, ""},
		{"GET /v1/accounts/{account}/audit/verify", "/v1/accounts/desk/audit/verify", "", 200, ""},
	})
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var patterns [][]string
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			patterns = append(patterns, registered.FindAllStringSubmatch(string(text), -1)...)
		}
	}
	if len(patterns) < 20 {
		t.Errorf("only %d routes found", len(patterns))
	}
	for _, m := range patterns {
		if _, named := deeds[m[1]]; !tried[m[1]] || !named && !strings.HasPrefix(m[1], "GET ") {
			t.Errorf("%s: give it a line in deeds, and in this test", m[1])
		}
	}
}

// WCP-10: so does every route of the API, for operators as for keys, if it changes something
// or shows what was said, or a secret.
func TestEachRouteHasOneRecord(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	for _, name := range []string{"anna", "ben"} {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", name+"@desk.example", "-config", config)
	}
	said(t, config, "anna", "ben", "<body>hello</body>", time.Now())
	c := newChanging(t, config, "account.desk.visitors=true")
	const desk = "/v1/accounts/desk/"
	made := func(path, body string, v any) {
		t.Helper()
		if w := c.call("POST", desk+path, body); json.Unmarshal(w.Body.Bytes(), v) != nil || w.Code != 201 {
			t.Fatal(w.Body)
		}
	}
	var hook web.WebhookInfo
	var key web.KeyInfo
	var device web.CredentialInfo
	made("webhooks", `{"url":"https://shop.example/"}`, &hook)
	made("keys", `{"kind":"basic","role":"admin"}`, &key)
	made("agents/ben@desk.example/credentials", `{"label":"phone"}`, &device)
	talk := fmt.Sprint("conversations/", c.talk())
	a, err := c.i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	mia, err := a.people.Know(t.Context(), people.Said{Subject: "customer-17", Email: "mia@home.example"})
	if err != nil {
		t.Fatal(err)
	}
	spoken := "conversation/" + strings.TrimPrefix(talk, "conversations/")
	visitor := c.openContact("desk", "hello")
	visits := desk + "contacts/" + visitor
	met := "contact/" + visitor
	hooks, ref := desk+"webhooks/"+hook.ID, "webhook/"+hook.ID
	phone := fmt.Sprint("/credentials/", device.ID)
	tried := c.all([]try{
		{"GET /v1/account", desk + "account", "", 200, ""},
		{"GET /v1/account/secret", desk + "account/secret", "", 200, "desk: secret.get account/desk done map[]"},
		{"POST /v1/account/secret/rotate", desk + "account/secret/rotate", `{"overlap":"1h"}`, 200, "desk: secret.rotate account/desk done map[]"},

		{"GET /v1/settings", desk + "settings", "", 200, ""},
		{"PATCH /v1/settings", desk + "settings", `{"retention":"40d"}`, 200, "desk: settings.change account/desk done map[]"},

		{"GET /v1/desk", desk + "desk", "", 200, ""},
		{"PATCH /v1/desk", desk + "desk", `{"steps":4,"wait":null}`, 200, "desk: desk.change account/desk done map[steps:4 wait:null]"},
		{"GET /v1/widget", desk + "widget", "", 200, ""},
		{"PATCH /v1/widget", desk + "widget", `{"colour":"red"}`, 422, "desk: widget.change account/desk refused map[colour:\"red\"]"},

		{"GET /v1/agents", desk + "agents", "", 200, ""},
		{"POST /v1/agents", desk + "agents", `{"jid":"cleo@desk.example","role":"agent","password":"x","no_policy":true}`, 201,
			"desk: agent.create agent/3 done map[no_policy:true role:agent]"},
		{"POST /v1/agents", desk + "agents", `{"jid":"dora@desk.example","role":"agent","password":"x"}`, 422, "desk: agent.create account/desk refused map[]"},
		{"GET /v1/agents/{jid}", desk + "agents/anna@desk.example", "", 200, ""},
		{"PUT /v1/agents/{jid}/password", desk + "agents/anna@desk.example/password", `{"password":"correct horse 43"}`, 204, "desk: password.set agent/1 done map[]"},
		{"PATCH /v1/agents/{jid}", desk + "agents/ANNA@desk.example", `{"disabled":true,"role":"admin"}`, 200, "desk: agent.change agent/1 done map[disabled:true role:admin]"},
		{"PATCH /v1/agents/{jid}", "/v1/domains/desk.example/agents/anna@desk.example", `{"disabled":false}`, 200, "desk: agent.change agent/1 done map[disabled:false]"},
		{"PATCH /v1/agents/{jid}", desk + "agents/anna@desk.example", `{"tags":["it","de"],"limit":null}`, 200, "desk: agent.change agent/1 done map[limit:null tags:it de]"},
		{"DELETE /v1/agents/{jid}", desk + "agents/cleo@desk.example", "", 204, "desk: agent.delete agent/3 done map[]"},
		{"DELETE /v1/agents/{jid}", desk + "agents/zoe@desk.example", "", 404, "desk: agent.delete agent refused map[]"},
		{"GET /v1/agents/{jid}/credentials", desk + "agents/ben@desk.example/credentials", "", 200, ""},
		{"POST /v1/agents/{jid}/credentials", desk + "agents/ben@desk.example/credentials", `{"label":"password"}`, 422, "desk: credential.create agent/2 refused map[]"},
		{"DELETE /v1/agents/{jid}/credentials/{credential}", desk + "agents/ben@desk.example" + phone, "", 204,
			fmt.Sprintf("desk: credential.delete agent/2 done map[credential:%s]", device.ID)},

		{"GET /v1/agents/{jid}/sessions", desk + "agents/ben@desk.example/sessions", "", 200, ""},
		{"DELETE /v1/agents/{jid}/sessions/{session}", desk + "agents/ben@desk.example/sessions/none", "", 404, "desk: session.end agent/2 refused map[]"},

		{"GET /v1/webhooks", desk + "webhooks", "", 200, ""},
		{"POST /v1/webhooks", desk + "webhooks", `{"url":"ftp://user:pass@x"}`, 422, "desk: webhook.create account/desk refused map[]"},
		{"GET /v1/webhooks/{webhook}", hooks, "", 200, ""},
		{"PATCH /v1/webhooks/{webhook}", hooks, `{"description":"ours"}`, 200, "desk: webhook.change " + ref + " done map[]"},
		{"PATCH /v1/webhooks/{webhook}", hooks, `{"confirm_clear":true}`, 422, "desk: webhook.change " + ref + " refused map[confirm_clear:true]"},
		{"POST /v1/webhooks/{webhook}/rotate", hooks + "/rotate", `{"overlap":"1h"}`, 200, "desk: webhook.rotate " + ref + " done map[]"},
		{"POST /v1/webhooks/{webhook}/enable", hooks + "/enable", "", 200, "desk: webhook.enable " + ref + " done map[]"},
		{"POST /v1/webhooks/{webhook}/replay", hooks + "/replay", `{}`, 422, "desk: webhook.replay " + ref + " refused map[]"},
		{"POST /v1/webhooks/{webhook}/test", hooks + "/test", "", 200, "desk: webhook.test " + ref + " done map[]"},
		{"GET /v1/webhooks/{webhook}/deliveries", hooks + "/deliveries", "", 200, "desk: deliveries.list " + ref + " done map[]"},
		{"DELETE /v1/webhooks/{webhook}", hooks, "", 204, "desk: webhook.delete " + ref + " done map[]"},
		{"DELETE /v1/webhooks/{webhook}", desk + "webhooks/Anna%20Smith", "", 404, "desk: webhook.delete webhook refused map[]"},

		{"GET /v1/conversations", desk + "conversations", "", 200, ""},
		{"GET /v1/conversations/{conversation}", desk + talk, "", 200, ""},
		{"GET /v1/conversations/{conversation}/records", desk + talk + "/records", "", 200, "desk: records.list " + spoken + " done map[]"},
		{"GET /v1/conversations/{conversation}/records/{n}", desk + talk + "/records/1", "", 200, "desk: record.get " + spoken + " done map[]"},
		{"GET /v1/conversations/{conversation}/transcript", desk + talk + "/transcript", "", 200, "desk: transcript.get " + spoken + " done map[]"},
		{"GET /v1/conversations/{conversation}/transcript", desk + "conversations/99/transcript", "", 404, "desk: transcript.get conversation/99 refused map[]"},
		{"GET /v1/contacts", desk + "contacts?live=true", "", 200, ""},
		{"GET /v1/contacts/{contact}", visits, "", 200, "desk: contact.get " + met + " done map[]"},
		{"GET /v1/contacts/{contact}", desk + "contacts/anna", "", 404, "desk: contact.get contact refused map[]"},
		{"PATCH /v1/contacts/{contact}", visits, `{"tags":["hello"]}`, 200, "desk: contact.change " + met + " done map[]"},
		{"POST /v1/contacts/{contact}/messages", visits + "/messages", `{"text":"hello"}`, 201, "desk: message.create " + met + " done map[]"},
		{"POST /v1/contacts/{contact}/notes", visits + "/notes", `{"text":"hello"}`, 200, "desk: note.create " + met + " done map[]"},
		{"POST /v1/contacts/{contact}/submit", visits + "/submit", "", 200, "desk: contact.submit " + met + " done map[]"},
		{"POST /v1/contacts/{contact}/transfer", visits + "/transfer", `{"agent":"ben"}`, 409, "desk: contact.transfer " + met + " refused map[]"},
		{"POST /v1/contacts/{contact}/close", visits + "/close", `{"reason":"hello"}`, 200, "desk: contact.close " + met + " done map[]"},
		{"GET /v1/contacts/{contact}/transcript", visits + "/transcript", "", 200, "desk: contact-transcript.get " + met + " done map[]"},
		{"GET /v1/contacts/{contact}/export", visits + "/export", "", 200, "desk: contact.export " + met + " done map[]"},
		{"GET /v1/contacts/{contact}/files/{file}", visits + "/files/none", "", 404, "desk: contact-file.get " + met + " refused map[]"},
		{"GET /v1/desk/agents", desk + "desk/agents", "", 200, ""},
		{"POST /v1/desk/agents/{name}/pause", desk + "desk/agents/ben/pause", `{"reason":"hello"}`, 200, "desk: agent.pause agent/2 done map[]"},
		{"POST /v1/desk/agents/{name}/ready", desk + "desk/agents/ben/ready", "", 200, "desk: agent.ready agent/2 done map[]"},

		{"GET /v1/events", desk + "events", "", 200, "desk: events.list account/desk done map[]"},

		{"GET /v1/visitors", desk + "visitors?email=mia@home.example", "", 200, "desk: visitors.find account/desk done map[]"},
		{"GET /v1/visitors/{visitor}", desk + "visitors/v_aaaaaaaaaaaaaaaaaaaaaaaa", "", 404, "desk: visitor.get visitor/v_aaaaaaaaaaaaaaaaaaaaaaaa refused map[]"},
		{"GET /v1/visitors/{visitor}", desk + "visitors/" + mia, "", 200, "desk: visitor.get visitor/" + mia + " done map[]"},
		{"DELETE /v1/visitors/{visitor}", desk + "visitors/mia@home.example", "", 404, "desk: visitor.erase visitor refused map[]"},
		{"DELETE /v1/visitors/{visitor}", desk + "visitors/" + mia, "", 200, "desk: visitor.erase visitor/" + mia + " done map[contacts:0]"},

		{"GET /v1/bans", desk + "bans", "", 200, ""},
		{"POST /v1/bans", desk + "bans", `{"visitor":"v_aaaaaaaaaaaaaaaaaaaaaaaa","for":"1d"}`, 201, "desk: ban.create visitor/v_aaaaaaaaaaaaaaaaaaaaaaaa done map[for:1d]"},
		{"POST /v1/bans", desk + "bans", `{"address":"192.0.2.7","for":"1d"}`, 201, "desk: ban.create account/desk done map[for:1d]"},
		{"POST /v1/bans", desk + "bans", `{"contact":"aaaaaaaaaa","for":"1d"}`, 404, "desk: ban.create contact/aaaaaaaaaa refused map[for:1d]"},
		{"POST /v1/bans", desk + "bans", `{"contact":"aaaaaaaaaa","visitor":"v_x","for":"1d"}`, 422, "desk: ban.create account/desk refused map[]"},
		{"DELETE /v1/bans/{ban}", desk + "bans/ban_NONE", "", 404, "desk: ban.delete ban/ban_NONE refused map[]"},

		{"GET /v1/key", desk + "key", "", 404, ""}, // an operator has none
		{"GET /v1/keys", desk + "keys", "", 200, ""},
		{"POST /v1/keys", desk + "keys", `{"kind":"basic","role":"agent","scopes":["no:such"]}`, 422, "desk: key.create account/desk refused map[]"},
		{"DELETE /v1/keys/{key}", desk + "keys/" + key.ID, "", 204, "desk: key.delete key/" + key.ID + " done map[]"},
	})
	var doc struct {
		Paths map[string]map[string]any
	}
	w := httptest.NewRecorder()
	c.i.api.ServeHTTP(w, httptest.NewRequest("GET", "/v1/openapi.json", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || len(doc.Paths) < 15 {
		t.Fatalf("%d paths, %v", len(doc.Paths), err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			if route := strings.ToUpper(method) + " " + path; !tried[route] {
				t.Errorf("%s: give it a line in this test", route)
			}
		}
	}
	// No name, password, URL or word of what was said.
	for name, text := range contents(t, filepath.Dir(config)) {
		if !strings.Contains(name, "audit") {
			continue
		}
		for _, secret := range []string{"anna", "cleo", "correct", "hello", "pass", hook.Secret, key.Secret, device.Secret, "shop.example", "Smith", "phone", "192.0.2.7", "home.example", "customer-17"} {
			// As a word: four letters stand in some id sooner or later.
			if regexp.MustCompile(`\b` + regexp.QuoteMeta(secret) + `\b`).MatchString(text) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
	}
}
