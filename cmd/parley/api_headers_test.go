package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"parley.im/parley/xmppd/web"
)

// usualHeaders come with every answer over HTTPS, or are HTTP's own.
var usualHeaders = map[string]bool{
	"Connection": true, "Content-Length": true, "Content-Type": true, "Date": true, "Content-Security-Policy": true, "Referrer-Policy": true,
	"X-Content-Type-Options": true, "X-Frame-Options": true, "X-Xss-Protection": true, "Cross-Origin-Resource-Policy": true,
}

// The description says of each answer which headers come with it, and they do.
func TestAPIDescribesHeaders(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "api.requests_per_minute=18")
	c := d.api("-role", "owner")
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Headers map[string]struct {
					Description string
					Schema      struct{ Type string }
				}
			}
		}
	}
	c.ask("GET", "/v1/openapi.json", "", 200, &doc)
	seen := make(map[string]bool) // header and status
	check := func(method, pattern string, a apiAnswer) {
		t.Helper()
		said, ok := doc.Paths[pattern][strings.ToLower(method)].Responses[fmt.Sprint(a.status)]
		if !ok {
			t.Errorf("%s %s: the description knows no %d", method, pattern, a.status)
		}
		described := make(map[string]bool)
		for name, h := range said.Headers {
			described[http.CanonicalHeaderKey(name)] = h.Description != "" && h.Schema.Type != ""
		}
		for name := range a.header {
			if !usualHeaders[name] && !described[name] {
				t.Errorf("%s %s: the description of %d tells nothing of %s", method, pattern, a.status, name)
			}
			seen[fmt.Sprint(name, " ", a.status)] = true
		}
	}
	ask := func(method, path, pattern, body string, status int) apiAnswer {
		t.Helper()
		a := c.ask(method, path, body, status, nil)
		check(method, pattern, a)
		return a
	}
	ask("GET", "/v1/agents/anna@desk.example", "/v1/agents/{jid}", "", 200)
	ask("GET", "/v1/agents/zoe@desk.example", "/v1/agents/{jid}", "", 404)
	ask("DELETE", "/v1/agents/ben@desk.example", "/v1/agents/{jid}", "", 204)
	c.headers.Set("Idempotency-Key", "once")
	ask("POST", "/v1/webhooks", "/v1/webhooks", `{"url":"https://shop.example/"}`, 201)
	ask("POST", "/v1/webhooks", "/v1/webhooks", `{"url":"https://shop.example/"}`, 201)
	ask("POST", "/v1/webhooks", "/v1/webhooks", `{"url":"https://shop.example/other"}`, 422)
	c.headers.Del("Idempotency-Key")
	ask("POST", "/v1/webhooks", "/v1/webhooks", `{"url":`, 400)
	ask("POST", "/v1/agents", "/v1/agents", `{"jid":"anna@desk.example","password":"correct horse 42"}`, 409)
	c.headers.Set("If-Match", `"old"`)
	ask("PATCH", "/v1/settings", "/v1/settings", `{"retention":"90d"}`, 412)
	c.headers.Del("If-Match")
	ask("GET", "/v1/settings", "/v1/settings", "", 200)
	ask("GET", "/v1/conversations/1/transcript", "/v1/conversations/{conversation}/transcript", "", 200)
	r := c.request("POST", "/v1/webhooks", "x")
	r.Header.Set("Content-Type", "text/plain")
	check("POST", "/v1/webhooks", c.send(r))
	auditor := c.with(d.newKey("-role", "auditor"))
	check("GET", "/v1/account/secret", auditor.ask("GET", "/v1/account/secret", "", 403, nil))
	for n := range 19 {
		if a := auditor.send(auditor.request("GET", "/v1/account", "")); n == 18 {
			check("GET", "/v1/account", a)
		}
	}
	check("GET", "/v1/account", c.with(web.KeyInfo{ID: "ak_desk_x", Secret: "x"}).ask("GET", "/v1/account", "", 401, nil))
	for _, want := range []string{
		"Etag 200", "Location 201", "Ratelimit 200", "Ratelimit 404", "Ratelimit-Policy 422", "Ratelimit 415", "Retry-After 429", "Www-Authenticate 401", "Cache-Control 204",
	} {
		if !seen[want] {
			t.Errorf("no answer had %s", want)
		}
	}
}
