package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/web"
)

// WCP-10: an answer that was kept shows a webhook's secret again, which has a record of its
// own; what is refused shows nothing and has none.
func TestRecordOfARepeatedAnswer(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config := filepath.Join(d.dir, "parley.toml")
	c := d.api("-role", "admin")
	const wish = `{"url":"https://shop.example/parley"}`
	records := func() (list []string) {
		var all []audit.Record
		if err := json.Unmarshal([]byte(must(t, "", "audit", "list", "-account", "desk", "-json", "-config", config)), &all); err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.Action == "webhook.create" {
				list = append(list, fmt.Sprint(r.Actor.Kind, "/", r.Actor.ID, " ", r.Address, " ", r.Outcome, " ", r.Detail))
			}
		}
		return list
	}
	c.headers.Set("Idempotency-Key", "order-17")
	var first, second web.WebhookInfo
	c.ask("POST", "/v1/webhooks", wish, 201, &first)
	c.ask("POST", "/v1/webhooks", wish, 201, &second)
	c.ask("POST", "/v1/webhooks", `{"url":"https://shop.example/other"}`, 422, nil)
	if first.Secret == "" || first.Secret != second.Secret {
		t.Errorf("%+v, and the second time %+v", first, second)
	}
	who := "key/" + c.key.ID + " 127.0.0.1 done "
	if got := strings.Join(records(), "\n"); got != who+"map[]\n"+who+"map[repeated:true]" {
		t.Errorf("records:\n%s", got)
	}
}
