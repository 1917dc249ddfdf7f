package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley.im/parley/xmppd/web"
)

// SMO-1, KIS-2, KIS-3: whoever cannot say who it is hears nothing.
func TestAPIAuthentication(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "owner")
	signing := d.newKey("-role", "owner", "-signing")
	narrow := d.newKey("-role", "owner", "-scopes", "agents:read")
	c.with(narrow).ask("GET", "/v1/agents", "", 200, nil)
	c.with(narrow).ask("GET", "/v1/webhooks", "", 403, nil)
	c.with(narrow).ask("POST", "/v1/keys", `{"role":"owner"}`, 403, nil)

	now := time.Now()
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"aud": "desk.example", "exp": now.Add(4 * time.Minute).Unix(), "iat": now.Unix()}
	}
	token := func(m jwt.SigningMethod, key any, header map[string]any, change func(jwt.MapClaims)) string {
		claims := good()
		if change != nil {
			change(claims)
		}
		j := jwt.NewWithClaims(m, claims)
		j.Header["kid"] = signing.ID
		for name, value := range header {
			j.Header[name] = value
		}
		text, err := j.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + text
	}
	secret := []byte(signing.Secret)
	hs := jwt.SigningMethodHS256
	_, edKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	try := func(authorization string) apiAnswer {
		r := c.request("GET", "/v1/agents", "")
		r.Header.Set("Authorization", authorization)
		return c.send(r)
	}
	for name, authorization := range map[string]string{
		"a good one":          token(hs, secret, nil, nil),
		"of five minutes":     token(hs, secret, nil, func(m jwt.MapClaims) { m["exp"] = time.Now().Add(5 * time.Minute).Unix() }),
		"narrowed to agents":  token(hs, secret, nil, func(m jwt.MapClaims) { m["scope"] = "agents:read webhooks:read" }),
		"a list of audiences": token(hs, secret, nil, func(m jwt.MapClaims) { m["aud"] = []string{"desk.example"} }),
	} {
		if a := try(authorization); a.status != 200 {
			t.Errorf("token, %s: %d %s", name, a.status, a.body)
		}
	}
	for _, scope := range []string{"webhooks:read", ""} {
		if a := try(token(hs, secret, nil, func(m jwt.MapClaims) { m["scope"] = scope })); a.status != 403 {
			t.Errorf("a token narrowed to %q reads agents: %d", scope, a.status)
		}
	}
	refused := try("")
	unknown := func(name, authorization string) {
		t.Helper()
		if a := try(authorization); a.status != 401 || a.body != refused.body || !strings.Contains(a.header.Get("WWW-Authenticate"), "PARLEY-HMAC-SHA512") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	}
	for name, authorization := range map[string]string{
		"nothing":                 "",
		"another scheme":          "Digest x",
		"a wrong secret":          basic(c.key.ID, "x"),
		"a signing key's secret":  basic(signing.ID, signing.Secret),
		"another account's key":   basic(strings.Replace(c.key.ID, "desk", "shop", 1), c.key.Secret),
		"no key":                  basic("anna@desk.example", "correct horse 42"),
		"alg none":                token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"HS512":                   token(jwt.SigningMethodHS512, secret, nil, nil),
		"EdDSA":                   token(jwt.SigningMethodEdDSA, edKey, nil, nil),
		"a basic key's secret":    token(hs, []byte(c.key.Secret), map[string]any{"kid": c.key.ID}, nil),
		"no kid":                  token(hs, secret, map[string]any{"kid": ""}, nil),
		"a list for a kid":        token(hs, secret, map[string]any{"kid": []string{signing.ID}}, nil),
		"critical headers":        token(hs, secret, map[string]any{"crit": []string{"exp"}}, nil),
		"expired":                 token(hs, secret, nil, func(m jwt.MapClaims) { m["exp"] = now.Add(-time.Minute).Unix() }),
		"no exp":                  token(hs, secret, nil, func(m jwt.MapClaims) { delete(m, "exp") }),
		"good for an hour":        token(hs, secret, nil, func(m jwt.MapClaims) { m["exp"] = now.Add(time.Hour).Unix() }),
		"not yet":                 token(hs, secret, nil, func(m jwt.MapClaims) { m["nbf"] = now.Add(2 * time.Minute).Unix() }),
		"another audience":        token(hs, secret, nil, func(m jwt.MapClaims) { m["aud"] = "shop.example" }),
		"no audience":             token(hs, secret, nil, func(m jwt.MapClaims) { delete(m, "aud") }),
		"another's too":           token(hs, secret, nil, func(m jwt.MapClaims) { m["aud"] = []string{"desk.example", "shop.example"} }),
		"a token with a bad sign": token(hs, []byte("x"), nil, nil),
	} {
		unknown(name, authorization)
	}
}

// KIS-2: signed requests, and what becomes of them when they are sent again, changed, or
// kept for later.
func TestAPISignedRequests(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "owner")
	k := d.newKey("-role", "owner", "-signing")
	nonces := 0
	signed := func(method, path, body string, at time.Time, nonce string) *http.Request {
		t.Helper()
		r := c.request(method, path, body)
		sig := web.Sign([]byte(k.Secret), method, r.URL.EscapedPath(), r.URL.Query(), at.Unix(), nonce, []byte(body))
		r.Header.Set("Authorization", fmt.Sprintf("PARLEY-HMAC-SHA512 key=%s, ts=%d, nonce=%s, sig=%x", k.ID, at.Unix(), nonce, sig))
		return r
	}
	fresh := func() string { nonces++; return fmt.Sprintf("n-%d", nonces) }
	want := func(what string, r *http.Request, status int) {
		t.Helper()
		if a := c.send(r); a.status != status {
			t.Errorf("%s: %d %s, want %d", what, a.status, a.body, status)
		}
	}
	later := time.Now().Add(2 * time.Second) // than the start
	want("a good one", signed("GET", "/v1/agents?limit=1&after=a%20b", "", later, fresh()), 200)
	want("with a body", signed("POST", "/v1/webhooks", `{"url":"https://shop.example/"}`, later, fresh()), 201)
	want("the same nonce with another time", signed("GET", "/v1/agents", "", later.Add(time.Second), "n-1"), 401)
	r := signed("GET", "/v1/agents", "", later, fresh())
	again := r.Clone(t.Context())
	want("once", r, 200)
	want("twice", again, 401)

	for what, change := range map[string]func(*http.Request){
		"another method": func(r *http.Request) { r.Method = "DELETE" },
		"another path":   func(r *http.Request) { r.URL.Path = "/v1/webhooks" },
		"another query":  func(r *http.Request) { r.URL.RawQuery = "limit=2" },
		"a body":         func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader([]byte("{}"))) },
		"another time": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "ts=1", "ts=2", 1))
		},
		"another nonce": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "nonce=n", "nonce=m", 1))
		},
		"two headers": func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) },
	} {
		r := signed("GET", "/v1/agents", "", later, fresh())
		change(r)
		want(what, r, 401)
	}
	mine := k
	k.ID = other(d).ID // KIS-2: another's id with this one's secret
	want("another key's id", signed("GET", "/v1/agents", "", later, fresh()), 401)
	k = mine
	want("too old", signed("GET", "/v1/agents", "", time.Now().Add(-301*time.Second), fresh()), 401)
	want("too early", signed("GET", "/v1/agents", "", time.Now().Add(310*time.Second), fresh()), 401)

	want("asked for twice", signed("GET", "/v1/agents?limit=1&limit=2", "", later, fresh()), 400)

	// Captured before a crash and sent again after it, also if it was signed ahead of time.
	captured := signed("GET", "/v1/agents", "", time.Now(), fresh())
	ahead := signed("GET", "/v1/agents", "", time.Now().Add(4*time.Minute), fresh())
	want("now", captured, 200)
	want("ahead of time", ahead, 200)
	d.end(syscall.SIGKILL)
	d.start()
	replay := func(r *http.Request) *http.Request {
		r = r.Clone(t.Context())
		r.URL.Host, r.Host = d.https, ""
		return r
	}
	want("captured before the crash", replay(captured), 503)
	a := c.send(replay(ahead))
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != 503 || err != nil || wait < 200 || wait > 310 {
		t.Errorf("captured ahead of time: %d, Retry-After %s", a.status, a.header.Get("Retry-After"))
	}
	k = other(d) // who has nothing to do with that clock
	want("another key", signed("GET", "/v1/agents", "", time.Now().Add(time.Second), fresh()), 200)
	for _, secret := range []string{mine.Secret, k.Secret, c.key.Secret} {
		if strings.Contains(d.log(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// other is another signing key.
func other(d *daemon) web.KeyInfo { return d.newKey("-role", "owner", "-signing") }

// A token makes no keys, and a key none that is good for longer or for more than itself.
func TestAPIKeysBegetNothingBetter(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	c := d.api("-role", "owner", "-expires", until.Format(time.RFC3339))
	c.ask("POST", "/v1/keys", `{}`, 403, nil)
	c.ask("POST", "/v1/keys", fmt.Sprintf(`{"expires":%q}`, until.Add(time.Second).Format(time.RFC3339)), 403, nil)
	c.ask("POST", "/v1/keys", `{"expires":"9999-12-31T23:59:59-12:00"}`, 422, nil)
	var k web.KeyInfo
	c.ask("POST", "/v1/keys", fmt.Sprintf(`{"expires":%q}`, until.Format(time.RFC3339)), 201, &k)
	if k.By != c.key.ID {
		t.Errorf("made by %q, want %q", k.By, c.key.ID)
	}
	signing := d.newKey("-role", "owner", "-signing")
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": "desk.example", "exp": time.Now().Add(time.Minute).Unix()})
	token.Header["kid"] = signing.ID
	text, err := token.SignedString([]byte(signing.Secret))
	if err != nil {
		t.Fatal(err)
	}
	r := c.request("POST", "/v1/keys", `{}`)
	r.Header.Set("Authorization", "Bearer "+text)
	if a := c.send(r); a.status != 403 {
		t.Errorf("a token makes a key: %d %s", a.status, a.body)
	}
}

// Too much is answered by when to go on, and strangers are slowed down by where they are.
func TestAPIRateLimits(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "api.requests_per_minute=5")
	c := d.api("-role", "auditor")
	for n := range 5 {
		a := c.ask("GET", "/v1/account", "", 200, nil)
		if want := fmt.Sprintf(`"key";r=%d;t=`, 4-n); !strings.HasPrefix(a.header.Get("RateLimit"), want) || a.header.Get("RateLimit-Policy") != `"key";q=5;w=60` {
			t.Errorf("RateLimit: %s", a.header["Ratelimit"])
		}
	}
	if a := c.ask("GET", "/v1/account", "", 429, nil); a.header.Get("Retry-After") == "" {
		t.Errorf("headers %v, want Retry-After", a.header)
	}
	c.with(d.newKey("-role", "auditor")).ask("GET", "/v1/account", "", 200, nil) // another key goes on
	stranger := c.with(web.KeyInfo{ID: "ak_desk_x", Secret: "x"})
	for range 30 {
		stranger.ask("GET", "/v1/account", "", 401, nil)
	}
	stranger.ask("GET", "/v1/account", "", 429, nil)
}
