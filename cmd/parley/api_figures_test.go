package main

import (
	"path/filepath"
	"testing"

	"parley.im/parley/xmppd/web"
)

// The API's figures follow what is asked, and operators' commands change none of them.
func TestAPIFigures(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "admin")
	before := d.figures()
	c.ask("GET", "/v1/webhooks", "", 200, nil)
	c.ask("POST", "/v1/webhooks", `{"url":"https://shop.example/parley"}`, 201, nil)
	c.ask("GET", "/v1/webhooks/wh_nothing", "", 404, nil)
	c.ask("POST", "/v1/webhooks", `{"url":"ftp://shop.example/"}`, 422, nil)
	c.with(web.KeyInfo{ID: "ak_desk_nobody", Secret: "wrong"}).ask("GET", "/v1/webhooks", "", 401, nil)
	must(t, "", "webhook", "list", "-config", filepath.Join(d.dir, "parley.toml"))
	after := d.figures()
	for name, want := range map[string]float64{
		`parley_api_requests_total{status="2xx"}`: 2, `parley_api_requests_total{status="3xx"}`: 0, `parley_api_requests_total{status="4xx"}`: 3,
		`parley_api_requests_total{status="5xx"}`: 0, "parley_api_strangers_total": 1, "parley_api_running": 0,
	} {
		if was, known := before[name]; !known || after[name]-was != want {
			t.Errorf("%s went from %v to %v, want %v more", name, was, after[name], want)
		}
	}
}
