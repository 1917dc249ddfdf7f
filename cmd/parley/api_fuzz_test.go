package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/web"
)

// Whatever a stranger sends, and whatever somebody with all rights does: every answer is
// one that the description knows of, and nothing breaks.
func FuzzAPI(f *testing.F) {
	dir := f.TempDir()
	config := filepath.Join(dir, "parley.toml")
	command := func(args ...string) string {
		var out, prose strings.Builder
		if err := run(f.Context(), args, strings.NewReader(""), &out, &prose); err != nil {
			f.Fatal(prose.String(), err)
		}
		return out.String()
	}
	command("quickstart", "-dir", dir, "-set", "auth.iterations=10000", "-set", "api.requests_per_minute=0", "desk.example")
	var key web.KeyInfo
	if err := json.Unmarshal([]byte(command("apikey", "add", "-role", "owner", "-json", "-config", config)), &key); err != nil {
		f.Fatal(err)
	}
	loaded, err := conf.Load(config, nil)
	if err != nil {
		f.Fatal(err)
	}
	i, err := openInstallation(f.Context(), loaded, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { i.Close() })

	for _, seed := range []struct{ method, target, authorization, body string }{
		{"GET", "/v1/account", "", ""},
		{"GET", "/v1/agents?limit=1&after=x", "", ""},
		{"POST", "/v1/agents", "", `{"jid":"cleo@desk.example","password":"correct horse 42"}`},
		{"POST", "/v1/webhooks", "", `{"url":"https://shop.example/","events":["agent.*"],"auth":{"scheme":"basic","user":"a"}}`},
		{"POST", "/v1/webhooks/wh_x/replay", "", `{"since":"2026-11-27T09:30:00Z"}`},
		{"GET", "/v1/conversations/1/records/1", "", ""},
		{"GET", "/v1/conversations/1/transcript?format=signed", "", ""},
		{"GET", "/v1/events?after=evt_qzv4xk2m7ts3hbc5ndyw6rpgle", "", ""},
		{"POST", "/v1/keys", "", `{"kind":"signing","role":"owner","scopes":["keys:read"],"expires":"2036-11-27T09:30:00Z"}`},
		{"PATCH", "/v1/agents/%61nna@desk.example", "", `{"role":null}`},
		{"DELETE", "/v1/keys/..%2f..", "Bearer eyJhbGciOiJub25lIn0.e30.", ""},
		{"GET", "/v1/account", "PARLEY-HMAC-SHA512 key=ak_desk_x, ts=1, nonce=n, sig=00", ""},
	} {
		f.Add(seed.method, seed.target, seed.authorization, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, target, authorization, body string) {
		r, err := http.NewRequest(method, "https://desk.example"+target, bytes.NewReader([]byte(body)))
		if err != nil || !strings.HasPrefix(target, "/") {
			return // net/http lets no such request in
		}
		r.RequestURI, r.RemoteAddr = target, "192.0.2.1:1"
		r.Header.Set("Content-Type", "application/json")
		if authorization == "" {
			r.SetBasicAuth(key.ID, key.Secret)
		} else {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		began := time.Now()
		i.api.ServeHTTP(w, r)
		switch a := w.Result(); {
		case a.StatusCode >= 500:
			t.Errorf("%s %s: %d %s", method, target, a.StatusCode, w.Body)
		case a.StatusCode >= 400 && web.ReadProblem(w.Body.Bytes()) == nil && method != "HEAD":
			t.Errorf("%s %s: %d %q is no problem document", method, target, a.StatusCode, w.Body)
		case a.StatusCode >= 300 && a.StatusCode < 400:
			t.Errorf("%s %s: sent to %s", method, target, a.Header.Get("Location"))
		case authorization != "" && a.StatusCode < 300 && !strings.HasPrefix(r.URL.Path, "/v1/openapi."):
			t.Errorf("%s %s: %d for a stranger", method, target, a.StatusCode)
		case time.Since(began) > 5*time.Second:
			t.Errorf("%s %s: took %v", method, target, time.Since(began))
		}
	})
}
