package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley.im/parley/xmppd/web"
)

// An apiClient asks a running server.
type apiClient struct {
	t       *testing.T
	d       *daemon
	http    *http.Client
	key     web.KeyInfo // sent by HTTP Basic
	headers http.Header // besides
}

// api is a client with a key of the operator's making.
func (d *daemon) api(options ...string) *apiClient {
	d.t.Helper()
	c := &apiClient{t: d.t, d: d, http: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.roots(), ServerName: "desk.example"}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}, headers: make(http.Header)}
	d.t.Cleanup(c.http.CloseIdleConnections)
	c.key = d.newKey(options...)
	return c
}

func (d *daemon) newKey(options ...string) (k web.KeyInfo) {
	d.t.Helper()
	out := must(d.t, "", append([]string{"apikey", "add", "-json", "-config", filepath.Join(d.dir, "parley.toml")}, options...)...)
	if err := json.Unmarshal([]byte(out), &k); err != nil {
		d.t.Fatal(err)
	}
	return k
}

// with is the same client with another key.
func (c *apiClient) with(k web.KeyInfo) *apiClient {
	other := *c
	other.key, other.headers = k, make(http.Header)
	return &other
}

// An apiAnswer is what the server said.
type apiAnswer struct {
	status int
	header http.Header
	body   string
}

func (c *apiClient) request(method, path, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "https://"+c.d.https+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, values := range c.headers {
		r.Header[name] = values
	}
	if c.key.Secret != "" {
		r.SetBasicAuth(c.key.ID, c.key.Secret)
	}
	return r
}

func (c *apiClient) send(r *http.Request) apiAnswer {
	c.t.Helper()
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return apiAnswer{resp.StatusCode, resp.Header, string(body)}
}

// ask sends a request and reads the answer, which must have that status, into out.
func (c *apiClient) ask(method, path, body string, status int, out any) apiAnswer {
	c.t.Helper()
	a := c.send(c.request(method, path, body))
	if a.status != status {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	if status >= 400 {
		if p := web.ReadProblem([]byte(a.body)); p == nil || p.Status != status || p.Text == "" || a.header.Get("Content-Type") != "application/problem+json" {
			c.t.Errorf("%s %s: %q is no problem as RFC 9457 has it", method, path, a.body)
		}
	}
	if out != nil {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
		}
	}
	return a
}

// say has one agent write to another, and returns when all of it has arrived.
func (d *daemon) say(from, to string, texts ...string) {
	d.t.Helper()
	a, b := d.login(from, "correct horse 42", "desk").in(d.t), d.login(to, "correct horse 42", "desk").in(d.t)
	b.available("")
	for n, text := range texts {
		id := fmt.Sprintf("m%d", n)
		a.send("<message to='%s@desk.example' id='%s' type='chat'><body>%s</body></message>", to, id, text)
		b.message(id)
	}
	a.drop()
	b.drop()
}

// direct is the id of the only conversation between people.
func (d *daemon) direct() string {
	d.t.Helper()
	var list []web.ConversationInfo
	out := must(d.t, "", "conversation", "list", "-json", "-config", filepath.Join(d.dir, "parley.toml"))
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		d.t.Fatal(err)
	}
	for _, v := range list {
		if v.Kind == "direct" {
			return v.ID
		}
	}
	d.t.Fatal("there is no conversation between people")
	return ""
}

// An integrator's day: agents, devices, webhooks, conversations, transcripts, events.
func TestAPI(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "owner")

	var account web.AccountInfo
	c.ask("GET", "/v1/account", "", 200, &account)
	if account.ID != "desk" || account.Domain != "desk.example" || *account.Agents != 2 || account.Declared != "" {
		t.Errorf("account: %+v", account)
	}

	// An agent, who signs in with a device's secret until that is revoked.
	var cleo web.AgentInfo
	c.ask("POST", "/v1/agents", `{"jid":"cleo@desk.example","password":"correct horse 42"}`, 201, &cleo)
	if cleo.Role != "agent" || cleo.JID != "cleo@desk.example" {
		t.Errorf("agent: %+v", cleo)
	}
	c.ask("POST", "/v1/agents", `{"jid":"cleo@desk.example","password":"correct horse 42"}`, 409, nil)
	c.ask("POST", "/v1/agents", `{"jid":"dora@desk.example","password":"short"}`, 422, nil)
	c.ask("POST", "/v1/agents", `{"jid":"dora@desk.example","password":"correct horse 42","no_policy":true}`, 403, nil)
	var phone web.CredentialInfo
	c.ask("POST", "/v1/agents/cleo@desk.example/credentials", `{"label":"phone"}`, 201, &phone)
	withPhone := d.login("cleo", phone.Secret, "phone").in(t)
	withPassword := d.login("cleo", "correct horse 42", "laptop").in(t)
	c.ask("DELETE", "/v1/agents/cleo@desk.example/credentials/"+phone.ID, "", 204, nil)
	withPhone.until("the end", func(e *tree) bool { return strings.Contains(e.String(), "this device may sign in no more") })
	withPassword.lives()
	d.login("cleo", phone.Secret, "phone").refused(t, "not-authorized")

	c.ask("PATCH", "/v1/agents/cleo@desk.example", `{"role":"supervisor"}`, 200, &cleo)
	if cleo.Role != "supervisor" {
		t.Errorf("agent after the change: %+v", cleo)
	}
	c.ask("PUT", "/v1/agents/cleo@desk.example/password", `{"password":"another horse 43"}`, 204, nil)
	d.login("cleo", "another horse 43", "laptop").in(t)
	c.ask("DELETE", "/v1/agents/cleo@desk.example", "", 204, nil)
	c.ask("GET", "/v1/agents/cleo@desk.example", "", 404, nil)

	// What was said, in every form.
	var orders []string
	for n := range 30 {
		orders = append(orders, fmt.Sprintf("order %d", n))
	}
	d.say("anna", "ben", orders...)
	var list web.List[web.ConversationInfo]
	c.ask("GET", "/v1/conversations", "", 200, &list)
	var direct web.ConversationInfo
	for _, v := range list.Items {
		if v.Kind == "direct" {
			direct = v
		}
	}
	if direct.Records != 30 || strings.Join(direct.Agents, " ") != "anna@desk.example ben@desk.example" {
		t.Fatalf("conversations: %+v", list)
	}
	one := "/v1/conversations/" + direct.ID
	n, after := 0, ""
	for {
		var part web.List[web.RecordInfo]
		c.ask("GET", one+"/records?limit=7&after="+after, "", 200, &part)
		for _, r := range part.Items {
			if want := fmt.Sprintf("order %d", n); r.Text != want || r.N != int64(n+1) || r.From != "anna@desk.example/desk" {
				t.Errorf("record %+v, want %q", r, want)
			}
			n++
		}
		if after = part.Next; after == "" {
			break
		}
	}
	if n != 30 {
		t.Errorf("%d records, want 30", n)
	}
	var record web.RecordInfo
	c.ask("GET", one+"/records/17", "", 200, &record)
	if record.Text != "order 16" {
		t.Errorf("record 17: %+v", record)
	}
	c.ask("GET", one+"/records/31", "", 404, nil)
	if text := c.ask("GET", one+"/transcript?format=text", "", 200, nil); strings.Count(text.body, "\n") != 30 || !strings.Contains(text.body, "  anna@desk.example: order 29\n") {
		t.Errorf("text:\n%s", text.body)
	}
	verifyExport(t, c.ask("GET", one+"/transcript?format=signed", "", 200, nil).body, direct.ID, 30)

	// The same as events, from a cursor.
	said, after := 0, ""
	for {
		var part web.List[web.Event]
		c.ask("GET", "/v1/events?limit=11&after="+after, "", 200, &part)
		if after == part.Next {
			break
		}
		for after = part.Next; len(part.Items) > 0; part.Items = part.Items[1:] {
			if part.Items[0].Type == "message.created" {
				said++
			}
		}
	}
	if said != 30 {
		t.Errorf("%d events of messages, want 30", said)
	}
}

// verifyExport does what docs/api.md says about signed transcripts.
func verifyExport(t *testing.T, text, conversation string, records int64) {
	t.Helper()
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	var last struct{ Signed web.ExportSignature }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	s := last.Signed
	hash := sha256.Sum256([]byte(strings.Join(lines[:len(lines)-1], "")))
	key, err := base64.StdEncoding.DecodeString(s.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil {
		t.Fatal(err)
	}
	signed := fmt.Sprintf("parley transcript v1\n%s\n%s\n%d\n%s\n%s\n", s.Account, s.Conversation, s.Records, s.At, s.SHA256)
	if s.SHA256 != hex.EncodeToString(hash[:]) || !ed25519.Verify(key, []byte(signed), sig) || s.Conversation != conversation || s.Records != records {
		t.Errorf("the export does not verify: %+v", s)
	}
}

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

// A transcript that was changed outside the server breaks off: nobody takes it for all.
func TestAPITranscriptBreaksOff(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	d.say("anna", "ben", "one", "two", "three")
	path := "/v1/conversations/" + d.direct() + "/transcript"
	d.end(syscall.SIGTERM)
	db, err := sql.Open("sqlite3", filepath.Join(d.dir, "data/accounts/desk/data.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE log SET sealed = zeroblob(length(sealed)) WHERE n = 2 AND kind = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	d.start()
	c := d.api("-role", "supervisor")
	for _, format := range []string{"text", "json", "signed"} {
		resp, err := c.http.Do(c.request("GET", path+"?format="+format, ""))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil || !strings.Contains(string(text), "three") || strings.Contains(string(text), `"signed"`) {
			t.Errorf("%s: %v\n%s", format, err, text)
		}
	}
	var part web.List[web.Event]
	c.ask("GET", "/v1/events?types=message.created", "", 200, &part)
	if len(part.Items) != 3 || !part.Items[1].Locked || part.Items[2].Locked {
		t.Errorf("events: %+v", part.Items)
	}
}

// What nobody has signed in for costs no memory: no body is read.
func TestAPIReadsNoBodyOfStrangers(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "admin")
	body, w := io.Pipe()
	defer w.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+d.https+"/v1/webhooks", body)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.send(r); a.status != 401 { // while the body never comes
		t.Errorf("%d %s", a.status, a.body)
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

// Headers that browsers go by, and paths that are not what they seem. WCP-13 … WCP-17
func TestAPIHeadersAndPaths(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", `hosts.api="https://api.desk.example"`, "-set", `hosts.files="https://files.desk.example"`,
		"-set", `contact.security="mailto:security@desk.example"`)
	c := d.api("-role", "owner")
	at := func(host, path string) apiAnswer {
		r := c.request("GET", path, "")
		r.Host = host
		return c.send(r)
	}
	a := at("api.desk.example", "/v1/account")
	for name, want := range map[string]string{
		"Strict-Transport-Security": "max-age=31536000; includeSubDomains", "X-Frame-Options": "DENY", "X-XSS-Protection": "0",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		"Cache-Control": "no-store", "Server": "", "X-Powered-By": "", "Access-Control-Allow-Origin": "",
	} {
		if got := a.header.Get(name); got != want || a.status != 200 {
			t.Errorf("%d, %s: %q, want %q", a.status, name, got, want)
		}
	}
	for _, host := range []string{"files.desk.example", "desk.example"} {
		if a := at(host, "/v1/account"); a.status != http.StatusMisdirectedRequest {
			t.Errorf("the API under %s: %d", host, a.status)
		}
	}
	if a := at("desk.example", "/healthz"); a.header.Get("Strict-Transport-Security") != "" || a.header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("headers of another's name: %v", a.header)
	}
	text := at("api.desk.example", "/.well-known/security.txt").body
	var expires string
	if _, err := fmt.Sscanf(text, "Contact: mailto:security@desk.example\nExpires: %s\n", &expires); err != nil {
		t.Errorf("security.txt: %q: %v", text, err)
	}
	if e, err := time.Parse(time.RFC3339, expires); err != nil || time.Until(e) < 24*time.Hour || time.Until(e) > 366*24*time.Hour {
		t.Errorf("security.txt expires %s", expires)
	}
	for _, path := range []string{
		"/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "/v1//account", "/v1/account/", "/v1/account%00", "/v1/account%0a",
		"/v1/%61ccount/../account", "/v1/agents/..%2F..%2Fmetrics", "/v1/./account", `/v1/account%5c..`, "/V1/account", "/v1/nothing",
	} {
		if a := at("api.desk.example", path); a.status != 404 && a.status != 422 {
			t.Errorf("%s: %d %s %v", path, a.status, a.body, a.header["Location"])
		}
	}
	// WCP-16: what a browser sends for another site's page is refused, whatever it knows.
	for origin, want := range map[string]int{"": 422, "https://api.desk.example": 422, "https://evil.example": 403, "null": 403} {
		r := c.request("POST", "/v1/webhooks", "{}")
		r.Host = "api.desk.example"
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if a := c.send(r); a.status != want {
			t.Errorf("POST from a page of %q: %d %s, want %d", origin, a.status, a.body, want)
		}
	}
	r := c.request("PUT", "/v1/account", "{}")
	r.Host = "api.desk.example"
	if a := c.send(r); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("PUT: %d %s", a.status, a.header.Get("Allow"))
	}
	r = c.request("POST", "/v1/agents", `{"jid":"x@desk.example","password":"correct horse 42","rolle":"`+strings.Repeat("x", 1<<20)+`"}`)
	r.Host = "api.desk.example"
	if a := c.send(r); a.status != 413 {
		t.Errorf("a large body: %d", a.status)
	}
	r = c.request("POST", "/v1/agents", `{"jid":"x@desk.example","password":["correct horse 42"]}`)
	r.Host = "api.desk.example"
	if a := c.send(r); a.status != 422 || strings.Contains(a.body, "horse") {
		t.Errorf("a password in the wrong shape: %d %s", a.status, a.body)
	}
}
