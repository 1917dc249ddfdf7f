package main

import (
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
	"strings"
	"syscall"
	"testing"
	"time"

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
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.roots(), ServerName: d.host()}},
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
		if p := web.ReadProblem([]byte(a.body)); p == nil || p.Status != status || p.Text == "" || web.Refuse(p.Kind, "").Status != status || a.header.Get("Content-Type") != "application/problem+json" {
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
	if part := verifyExport(t, c.ask("GET", one+"/transcript?format=signed", "", 200, nil).body, direct.ID, 30); part != nil {
		t.Errorf("all of it is said to be %+v", part)
	}

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
func verifyExport(t *testing.T, text, conversation string, records int64) *web.ExportRange {
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
	signed := fmt.Sprintf("%s\n%s\n%d\n%s\n%s\n", s.Account, s.Conversation, s.Records, s.At, s.SHA256)
	if r := s.Range; r == nil {
		signed = "parley transcript v1\n" + signed
	} else {
		signed = fmt.Sprintf("parley transcript v2\n%s%s\n%s\n%s\n%s\n", signed, r.From, r.To, r.Since, r.Until)
	}
	if s.SHA256 != hex.EncodeToString(hash[:]) || !ed25519.Verify(key, []byte(signed), sig) || s.Conversation != conversation || s.Records != records {
		t.Errorf("the export does not verify: %+v", s)
	}
	return s.Range
}

// A part of a conversation, by number and by time, in each form. A signed one says which part
// it is.
func TestAPITranscriptRanges(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	texts := strings.Fields("one two three four five six seven eight")
	d.say("anna", "ben", texts...)
	c := d.api("-role", "supervisor")
	id := d.direct()
	path := "/v1/conversations/" + id
	var all web.List[web.RecordInfo]
	c.ask("GET", path+"/records", "", 200, &all)
	if len(all.Items) != len(texts) {
		t.Fatalf("%d records, want %d", len(all.Items), len(texts))
	}
	since, until := all.Items[2].At, all.Items[5].At
	stamp := func(at time.Time) string { return at.Format(time.RFC3339Nano) }
	for _, r := range []struct {
		query string
		in    func(web.RecordInfo) bool
		want  web.ExportRange
	}{
		{"from=3&to=5", func(r web.RecordInfo) bool { return r.N >= 3 && r.N <= 5 }, web.ExportRange{From: "3", To: "5"}},
		{"from=7", func(r web.RecordInfo) bool { return r.N >= 7 }, web.ExportRange{From: "7"}},
		{"to=2", func(r web.RecordInfo) bool { return r.N <= 2 }, web.ExportRange{To: "2"}},
		{"from=99", func(web.RecordInfo) bool { return false }, web.ExportRange{From: "99"}},
		{"since=" + stamp(since), func(r web.RecordInfo) bool { return !r.At.Before(since) }, web.ExportRange{Since: stamp(since)}},
		{"to=4&since=" + stamp(since) + "&until=" + stamp(until), func(r web.RecordInfo) bool { return r.N <= 4 && !r.At.Before(since) && !r.At.After(until) },
			web.ExportRange{To: "4", Since: stamp(since), Until: stamp(until)}},
	} {
		var want []string
		for _, info := range all.Items {
			if r.in(info) {
				want = append(want, info.Text)
			}
		}
		text := c.ask("GET", path+"/transcript?format=text&"+r.query, "", 200, nil).body
		var got []string
		for line := range strings.Lines(text) {
			_, said, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "anna@desk.example: ")
			got = append(got, said)
		}
		same(t, r.query, got, want)
		lines := c.ask("GET", path+"/transcript?"+r.query, "", 200, nil).body
		export := c.ask("GET", path+"/transcript?format=signed&"+r.query, "", 200, nil).body
		if !strings.HasPrefix(export, lines) || strings.Count(lines, "\n") != len(want) {
			t.Errorf("%s: lines\n%s\nsigned\n%s", r.query, lines, export)
		}
		if said := verifyExport(t, export, id, int64(len(want))); said == nil || *said != r.want {
			t.Errorf("%s: the signature says %+v, want %+v", r.query, said, r.want)
		}
	}
	for _, query := range []string{"from=0", "from=5&to=4", "since=" + stamp(until.Add(time.Second)) + "&until=" + stamp(since), "since=yesterday", "from=1&from=2"} {
		if a := c.send(c.request("GET", path+"/transcript?"+query, "")); a.status != 422 && a.status != 400 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
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
	for _, format := range []string{"text", "json", "signed", "signed&from=3"} { // a part is no less proven
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
