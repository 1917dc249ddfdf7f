package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"parley.im/parley/xmppd/web"
)

// permitted is who may ask for what: for each operation the scope and the least role.
// WCP-1
var permitted = map[string]string{
	"get-account":            "account:read auditor",
	"get-secret":             "secret:read owner", // VIV-7
	"rotate-secret":          "secret:write owner",
	"get-settings":           "settings:read auditor",
	"change-settings":        "settings:write owner",
	"get-desk":               "desk:read supervisor",
	"change-desk":            "desk:write admin",
	"get-widget":             "widget:read auditor",
	"change-widget":          "widget:write admin",
	"get-key":                "key:read auditor",
	"list-agents":            "agents:read auditor",
	"get-agent":              "agents:read auditor",
	"create-agent":           "agents:write admin",
	"change-agent":           "agents:write admin",
	"delete-agent":           "agents:write admin",
	"set-password":           "credentials:write admin",
	"list-credentials":       "credentials:read admin",
	"create-credential":      "credentials:write admin",
	"delete-credential":      "credentials:write admin",
	"list-sessions":          "sessions:read admin",
	"end-session":            "sessions:write admin",
	"list-webhooks":          "webhooks:read auditor",
	"get-webhook":            "webhooks:read auditor",
	"create-webhook":         "webhooks:write admin",
	"change-webhook":         "webhooks:write admin",
	"delete-webhook":         "webhooks:write admin",
	"rotate-webhook":         "webhooks:write admin",
	"enable-webhook":         "webhooks:write admin",
	"test-webhook":           "webhooks:write admin",
	"replay-webhook":         "webhooks:write admin",
	"list-deliveries":        "webhooks:read admin",
	"list-conversations":     "conversations:read supervisor",
	"get-conversation":       "conversations:read supervisor",
	"list-records":           "transcripts:read supervisor",
	"get-record":             "transcripts:read supervisor",
	"get-transcript":         "transcripts:read supervisor",
	"list-contacts":          "contacts:read supervisor",
	"get-contact":            "contacts:read supervisor",
	"change-contact":         "contacts:write supervisor",
	"get-contact-transcript": "transcripts:read supervisor",
	"export-contact":         "transcripts:read supervisor",
	"get-contact-file":       "transcripts:read supervisor",
	"create-message":         "contacts:write supervisor",
	"create-note":            "contacts:write supervisor",
	"submit-contact":         "contacts:write supervisor",
	"transfer-contact":       "contacts:write supervisor",
	"close-contact":          "contacts:write supervisor",
	"list-desk-agents":       "desk:read supervisor",
	"pause-agent":            "desk:write supervisor",
	"ready-agent":            "desk:write supervisor",
	"list-bans":              "bans:read supervisor",
	"create-ban":             "bans:write supervisor",
	"delete-ban":             "bans:write supervisor",
	"find-visitors":          "visitors:read supervisor",
	"get-visitor":            "visitors:read supervisor",
	"erase-visitor":          "visitors:write admin",
	"list-events":            "events:read supervisor",
	"list-keys":              "keys:read admin",
	"create-key":             "keys:write admin",
	"delete-key":             "keys:write admin",
}

// bodies are what a route wants to read before it looks further.
var bodies = map[string]string{
	"create-agent":      `{"jid":"nobody@elsewhere.example","password":"correct horse 42"}`,
	"change-agent":      `{}`,
	"set-password":      `{"password":"correct horse 42"}`,
	"create-credential": `{"label":"phone"}`,
	"change-settings":   `{"retention":"soon"}`,
	"change-desk":       `{"steps":11}`,
	"change-widget":     `{"colour":"red"}`,
	"create-webhook":    `{}`,
	"change-webhook":    `{}`,
	"rotate-webhook":    `{}`,
	"rotate-secret":     `{"overlap":"999h"}`,
	"replay-webhook":    `{}`,
	"create-message":    `{"text":"hello"}`,
	"create-note":       `{"text":"hello"}`,
	"transfer-contact":  `{"group":"billing"}`,
	"change-contact":    `{}`,
	"create-key":        `{"scopes":["none:such"]}`,
	"create-ban":        `{"for":"soon"}`,
}

// An apiRoute is a route of the API as its own description tells it.
type apiRoute struct{ id, method, path string }

func (c *apiClient) routes() (list []apiRoute) {
	c.t.Helper()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID string }
	}
	c.ask("GET", "/v1/openapi.json", "", 200, &doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		c.t.Errorf("OpenAPI %s, want 3.1", doc.OpenAPI)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			list = append(list, apiRoute{op.OperationID, strings.ToUpper(method), path})
		}
	}
	slices.SortFunc(list, func(a, b apiRoute) int { return strings.Compare(a.id, b.id) })
	return list
}

// at is the route's path with these values in it.
func (r apiRoute) at(values map[string]string) string {
	path := r.path
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return path
}

// Every route is tried with every role, and with every scope but its own.
func TestAPIPermissions(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "api.requests_per_minute=0")
	c := d.api("-role", "owner")
	nothing := map[string]string{"jid": "nobody@desk.example", "credential": "1", "session": "none", "webhook": "wh_none", "conversation": "999", "n": "1", "key": "ak_none", "contact": "aaaaaaaaaa", "ban": "ban_none", "visitor": "v_none", "name": "nobody", "file": "none"}
	routes := c.routes()
	var ids []string
	for _, r := range routes {
		ids = append(ids, r.id)
	}
	same(t, "routes", ids, slices.Sorted(maps.Keys(permitted)))

	scopes := make(map[string]bool)
	for _, p := range permitted {
		scope, _, _ := strings.Cut(p, " ")
		scopes[scope] = true
	}
	ask := func(k web.KeyInfo, r apiRoute) int {
		return c.with(k).send(c.with(k).request(r.method, r.at(nothing), bodies[r.id])).status
	}
	for role, name := range web.Roles {
		k := d.newKey("-role", name)
		for _, r := range routes {
			_, least, _ := strings.Cut(permitted[r.id], " ")
			may := role >= slices.Index(web.Roles, least)
			if status := ask(k, r); (status == 403) == may || status == 401 || status >= 500 {
				t.Errorf("%s as %s: %d, want that it may: %v", r.id, name, status, may)
			}
		}
	}
	for _, r := range routes {
		scope, _, _ := strings.Cut(permitted[r.id], " ")
		if status := ask(d.scoped(scope), r); status == 403 {
			t.Errorf("%s with the scope %s: 403", r.id, scope)
		}
		others := maps.Clone(scopes)
		delete(others, scope)
		if status := ask(d.scoped(slices.Sorted(maps.Keys(others))...), r); status != 403 {
			t.Errorf("%s with all scopes but %s: %d, want 403", r.id, scope, status)
		}
	}
	stranger := c.with(web.KeyInfo{})
	for _, r := range routes {
		if a := stranger.send(stranger.request(r.method, r.at(nothing), "")); a.status != 401 && a.status != 429 {
			t.Errorf("%s of a stranger: %d", r.id, a.status)
		}
	}
}

// scoped is an owner's key with these scopes; there is one of each kind.
func (d *daemon) scoped(scopes ...string) web.KeyInfo {
	d.t.Helper()
	name := strings.Join(scopes, ",")
	if d.keys == nil {
		d.keys = make(map[string]web.KeyInfo)
	}
	if _, ok := d.keys[name]; !ok {
		d.keys[name] = d.newKey("-role", "owner", "-scopes", name)
	}
	return d.keys[name]
}

// Nobody makes anybody more than she is herself. KIS-9
func TestAPINobodyRises(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	owner, admin := d.api("-role", "owner"), d.api("-role", "admin")
	var k web.KeyInfo
	admin.ask("POST", "/v1/keys", `{}`, 201, &k)
	if k.Role != "auditor" || k.Kind != "basic" {
		t.Errorf("a key that nothing is said of: %+v", k)
	}
	admin.ask("POST", "/v1/keys", `{"role":"owner"}`, 403, nil)
	admin.ask("DELETE", "/v1/keys/"+owner.key.ID, "", 403, nil)
	admin.ask("POST", "/v1/agents", `{"jid":"olga@desk.example","password":"correct horse 42","role":"owner"}`, 403, nil)
	admin.ask("PATCH", "/v1/agents/ben@desk.example", `{"role":"owner"}`, 403, nil)
	owner.ask("PATCH", "/v1/agents/ben@desk.example", `{"role":"owner"}`, 200, nil)
	for _, r := range []struct{ method, path, body string }{
		{"PATCH", "/v1/agents/ben@desk.example", `{"role":"agent"}`},
		{"PATCH", "/v1/agents/ben@desk.example", `{"disabled":true}`},
		{"PUT", "/v1/agents/ben@desk.example/password", `{"password":"another horse 43"}`},
		{"POST", "/v1/agents/ben@desk.example/credentials", `{"label":"phone"}`},
		{"DELETE", "/v1/agents/ben@desk.example/credentials/1", ""},
		{"DELETE", "/v1/agents/ben@desk.example/sessions/x", ""},
		{"DELETE", "/v1/agents/ben@desk.example", ""},
	} {
		admin.ask(r.method, r.path, r.body, 403, nil)
	}
	owner.ask("DELETE", "/v1/keys/"+admin.key.ID, "", 204, nil)
	admin.ask("GET", "/v1/account", "", 401, nil)
}

// WCP-9, I8: what is another account's is not there, with the same words as what is
// nowhere.
func TestAPIOfAnotherAccount(t *testing.T) {
	t.Parallel()
	d := twoAccounts(t)
	desk, shop := d.api("-role", "owner", "-account", "desk"), d.api("-role", "owner", "-account", "shop")
	var hook web.WebhookInfo
	shop.ask("POST", "/v1/webhooks", `{"url":"https://shop.example/parley"}`, 201, &hook)
	shop.ask("POST", "/v1/webhooks/"+hook.ID+"/test", "", 200, nil)
	contact := d.openContactAt("shop", `{"id":"0123456789abcdef","text":"Is anyone there?","form":true}`).Contact.ID
	var events web.List[web.Event]
	shop.ask("GET", "/v1/events", "", 200, &events)
	if len(events.Items) == 0 {
		t.Fatal("shop has no event")
	}
	theirs := map[string]string{"jid": "bob@shop.example", "credential": "1", "session": "none", "webhook": hook.ID, "conversation": "77", "n": "1", "key": shop.key.ID, "contact": contact, "ban": "ban_none", "visitor": "v_none", "name": "bob", "file": "none"}
	for _, r := range desk.routes() {
		if !strings.Contains(r.path, "{") {
			continue
		}
		a := desk.send(desk.request(r.method, r.at(theirs), bodies[r.id]))
		if a.status != 404 {
			t.Errorf("%s of another account: %d %s, want 404", r.id, a.status, a.body)
		}
		nowhere := map[string]string{"jid": "rob@shop.example", "credential": "1", "session": "none", "webhook": "wh_none", "conversation": "77", "n": "1", "key": "ak_none", "contact": "aaaaaaaaaa", "ban": "ban_none", "visitor": "v_none", "name": "rob", "file": "none"}
		b := desk.send(desk.request(r.method, r.at(nowhere), bodies[r.id]))
		for name, value := range theirs {
			a.body = strings.ReplaceAll(a.body, value, nowhere[name])
		}
		if b.status != a.status || b.body != a.body {
			t.Errorf("%s: %s, and of what is nowhere %s", r.id, a.body, b.body)
		}
	}
	desk.ask("GET", "/v1/events?after="+events.Items[0].ID, "", 404, nil)
	replay, err := json.Marshal(map[string]string{"event": events.Items[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	var mine web.WebhookInfo
	desk.ask("POST", "/v1/webhooks", `{"url":"https://shop.example/parley"}`, 201, &mine)
	desk.ask("POST", fmt.Sprintf("/v1/webhooks/%s/replay", mine.ID), string(replay), 404, nil)
	desk.ask("POST", "/v1/agents", `{"jid":"eve@shop.example","password":"correct horse 42"}`, 404, nil)
}

// twoAccounts serves desk.example, and shop.example, where Bob is and visitors come to.
func twoAccounts(t *testing.T) *daemon {
	t.Helper()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	must(t, "", "quickstart", "-dir", dir, "-set", "account.shop.visitors=true", "shop.example")
	must(t, "anna@desk.example\tcorrect horse 42\nbob@shop.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	return startDaemon(t, dir)
}
