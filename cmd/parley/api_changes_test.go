package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"parley.im/parley/xmppd/web"
)

// A POST with an idempotency key is done once, whoever crashes in between.
func TestAPIIdempotencyKeys(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "admin")
	c.headers.Set("Idempotency-Key", "order-17")
	const wish = `{"url":"https://shop.example/parley"}`
	var first, second web.WebhookInfo
	c.ask("POST", "/v1/webhooks", wish, 201, &first)
	c.ask("POST", "/v1/webhooks", wish, 201, &second)
	if first.Secret == "" || first.ID != second.ID || first.Secret != second.Secret {
		t.Errorf("%+v, and the second time %+v", first, second)
	}
	c.ask("POST", "/v1/webhooks", `{"url":"https://shop.example/other"}`, 422, nil)
	d.end(syscall.SIGKILL)
	d.start()
	c.ask("POST", "/v1/webhooks", wish, 201, &second)
	if first.Secret != second.Secret {
		t.Errorf("after a crash: %+v", second)
	}
	var all web.List[web.WebhookInfo]
	c.ask("GET", "/v1/webhooks", "", 200, &all)
	if len(all.Items) != 1 {
		t.Errorf("%d webhooks, want 1", len(all.Items))
	}

	// What was refused can be asked for again under the same key, and another's key is another's.
	c.headers.Set("Idempotency-Key", "order-18")
	c.ask("POST", "/v1/webhooks", `{"url":"ftp://shop.example/"}`, 422, nil)
	c.ask("POST", "/v1/webhooks", wish, 201, nil)
	other := c.with(d.newKey("-role", "admin"))
	other.headers.Set("Idempotency-Key", "order-18")
	other.ask("POST", "/v1/webhooks", wish, 201, &second)
	if second.ID == first.ID {
		t.Error("two keys share an idempotency key")
	}
}

// Nobody overwrites what has changed since it was read.
func TestAPIETags(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "admin")
	var hook web.WebhookInfo
	c.ask("POST", "/v1/webhooks", `{"url":"https://shop.example/parley"}`, 201, &hook)
	path := "/v1/webhooks/" + hook.ID
	seen := c.ask("GET", path, "", 200, nil).header.Get("ETag")
	c.headers.Set("If-Match", seen)
	changed := c.ask("PATCH", path, `{"description":"the shop's"}`, 200, nil).header.Get("ETag")
	if seen == "" || changed == seen {
		t.Errorf("ETag %q, then %q", seen, changed)
	}
	c.ask("PATCH", path, `{"description":"the other's"}`, 412, nil)
	c.headers.Set("If-Match", changed)
	c.ask("PATCH", path, `{"description":"the other's"}`, 200, nil)
}

// Of many who change what they have seen at the same moment, one does.
func TestAPIChangesAtOnce(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "admin")
	var hook web.WebhookInfo
	c.ask("POST", "/v1/webhooks", `{"url":"https://shop.example/parley"}`, 201, &hook)
	path := "/v1/webhooks/" + hook.ID
	for round := range 10 {
		c.headers.Del("If-Match")
		c.headers.Set("If-Match", c.ask("GET", path, "", 200, nil).header.Get("ETag"))
		var changed atomic.Int32
		var all sync.WaitGroup
		for n := range 6 {
			r := c.request("PATCH", path, fmt.Sprintf(`{"description":"%d of %d"}`, n, round))
			all.Go(func() {
				if resp, err := c.http.Do(r); err == nil {
					if resp.StatusCode == 200 {
						changed.Add(1)
					}
					resp.Body.Close()
				}
			})
		}
		all.Wait()
		if n := changed.Load(); n != 1 {
			t.Errorf("%d changes of what one has seen, want 1", n)
		}
	}
	// What is changed beside a rotation does not undo it.
	c.headers.Del("If-Match")
	var rotated web.WebhookInfo
	patches := make([]*http.Request, 4)
	for n := range patches {
		patches[n] = c.request("PATCH", path, fmt.Sprintf(`{"description":"%d"}`, n))
	}
	var all sync.WaitGroup
	for _, r := range patches {
		all.Go(func() {
			if resp, err := c.http.Do(r); err == nil {
				resp.Body.Close()
			}
		})
	}
	c.ask("POST", path+"/rotate", "", 200, &rotated)
	all.Wait()
	var now web.WebhookInfo
	c.ask("GET", path, "", 200, &now)
	if now.PreviousUntil == nil {
		t.Errorf("the rotation was undone: %+v", now)
	}
}

// VIV-8: the account's own setting shortens what the operator allows, and never makes it
// longer; it holds over a restart, and is an event.
func TestAPISettings(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "account.desk.retention=30d")
	c := d.api("-role", "owner")
	set := func(retention string) (s web.Settings) {
		t.Helper()
		tag := c.ask("GET", "/v1/settings", "", 200, &s).header.Get("ETag")
		c.headers.Set("If-Match", tag)
		c.ask("PATCH", "/v1/settings", fmt.Sprintf(`{"retention":%q}`, retention), 200, &s)
		return s
	}
	for retention, kept := range map[string]string{"7d": "7d", "90d": "30d", "": "30d"} {
		if s := set(retention); s.Retention != retention || s.Kept != kept || s.Limit != "30d" {
			t.Errorf("with %q: %+v, want that %s are in force", retention, s, kept)
		}
	}
	set("") // so that the next one changes something, whatever the last one was
	set("7d")
	c.ask("PATCH", "/v1/settings", `{"retention":"8d"}`, 412, nil) // with the tag of before
	c.headers.Del("If-Match")
	c.ask("PATCH", "/v1/settings", `{"retention":"1h"}`, 422, nil)
	d.end(syscall.SIGKILL)
	d.start()
	var s web.Settings
	c.ask("GET", "/v1/settings", "", 200, &s)
	var account web.AccountInfo
	c.ask("GET", "/v1/account", "", 200, &account)
	if s.Kept != "7d" || account.Retention != "7d" || account.ExportKey == "" {
		t.Errorf("after a crash: %+v, %+v", s, account)
	}
	var events web.List[web.Event]
	c.ask("GET", "/v1/events?types=security.policy_changed", "", 200, &events)
	if len(events.Items) == 0 {
		t.Error("no event tells of it")
	}
}

// No argument of a command leads it to something else than it names.
func TestCommandsStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, _ func() []string) {
		must(t, "anna@desk.example\tcorrect horse 42\nben@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
		for _, args := range [][]string{
			{"apikey", "delete", ".."}, {"apikey", "delete", "."}, {"apikey", "delete", "../agents/ben@desk.example"},
			{"device", "revoke", "anna@desk.example", ".."}, {"device", "revoke", "anna@desk.example", "../../ben@desk.example"},
			{"webhook", "delete", ".."}, {"webhook", "delete", "%2e%2e"}, {"conversation", "show", ".."}, {"agent", "delete", ".."},
			{"account", "disable", ".."}, {"account", "delete", "desk/../desk"},
		} {
			if _, prose, err := typed(t, "", append(args, "-config", config)...); err == nil {
				t.Errorf("parley %s: %s", strings.Join(args, " "), prose)
			}
		}
		if out := must(t, "", "agent", "list", "-config", config); strings.Count(out, "\n") != 2 {
			t.Errorf("the agents are %q", out)
		}
	})
}
