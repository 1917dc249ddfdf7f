package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"parley.im/parley/xmppd/web"
)

// visitConfig is what a visitor's page is told.
type visitConfig struct {
	Open      bool
	Languages []string
	Colours   map[string]string
	Form      []struct{ Name string }
}

func (d *daemon) visitConfig() (c visitConfig) {
	d.t.Helper()
	resp, err := d.visitors().Get("https://desk.example/visit/desk/config")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&c); err != nil {
		d.t.Fatal(err)
	}
	return c
}

// ancestors are who may frame the widget.
func (d *daemon) ancestors() string {
	d.t.Helper()
	resp, err := d.visitors().Get("https://desk.example/visit/desk/frame")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		d.t.Fatal(resp.Status)
	}
	_, policy, _ := strings.Cut(resp.Header.Get("Content-Security-Policy"), "frame-ancestors ")
	policy, _, _ = strings.Cut(policy, ";")
	return policy
}

// options is an answer about a table.
type options struct{ Options, Own map[string]any }

// What an account's own people set of its desk and its widget holds at once, over the file's and over a restart,
// option by option; null gives one back to the file.
func TestOptionsByTheAPI(t *testing.T) {
	t.Parallel()
	d := visited(t)
	c := d.api("-role", "admin")
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	var is options
	seen := c.ask("GET", "/v1/desk", "", 200, &is).header.Get("ETag")
	if is.Options["wait"] != "2m" || is.Options["steps"] != 3.0 || len(is.Own) != 0 || is.Options["agent"] != nil {
		t.Errorf("at first: %v", is)
	}
	c.headers.Set("If-Match", seen)
	is = options{}
	c.ask("PATCH", "/v1/desk", `{"wait":"3m","closed":["2026-12-25"],"group":[{"name":"billing","tags":["money"]}]}`, 200, &is)
	if is.Options["wait"] != "3m" || is.Options["steps"] != 3.0 || fmt.Sprint(is.Own["closed"]) != "[2026-12-25]" || len(is.Own) != 3 {
		t.Errorf("changed: %v", is)
	}
	c.ask("PATCH", "/v1/desk", `{"wait":"4m"}`, 412, nil)
	c.headers.Del("If-Match")
	c.ask("PATCH", "/v1/widget", `{"colour":"#0b5fff","languages":["it"],"sites":["https://other.example"],"field":[{"name":"email","label":["it: La tua e-mail"]}]}`, 200, nil)
	c.ask("PATCH", "/v1/desk", `{"hours":["mon 00:00-00:01"],"zone":"Nowhere/Land"}`, 422, nil)

	holds := func(when string) {
		t.Helper()
		if v := d.visitConfig(); !v.Open || fmt.Sprint(v.Languages) != "[it]" || v.Colours["accent"] != "#0b5fff" || len(v.Form) != 1 {
			t.Errorf("%s: the page is told %+v", when, v)
		}
		if got := d.ancestors(); got != "https://other.example" {
			t.Errorf("%s: %s may frame the widget", when, got)
		}
	}
	holds("set")
	d.openContact(`{"id":"0123456789abcdef","group":"billing","text":"Money?"}`) // which nobody can have yet
	c.ask("PATCH", "/v1/agents/anna@desk.example", `{"tags":["money"],"limit":2,"shown":"Anna from sales"}`, 200, nil)
	d.openContact(`{"id":"1123456789abcdef","group":"billing","text":"More money?"}`)
	anna.until("an offer", func(x *tree) bool {
		return x.name.Local == "message" && strings.Contains(x.child("body").text(), "More money?")
	})
	anna.lives()
	d.end(syscall.SIGKILL)
	d.start()
	holds("after a kill")
	var agent web.AgentInfo
	c.ask("GET", "/v1/agents/anna@desk.example", "", 200, &agent)
	if fmt.Sprint(agent.Skills) != "{[money] 2 Anna from sales}" {
		t.Errorf("after a kill Anna is %+v", agent)
	}
	c.ask("PATCH", "/v1/agents/anna@desk.example", `{"limit":null}`, 200, &agent)
	is = options{}
	c.ask("PATCH", "/v1/widget", `{"languages":null,"colour":null}`, 200, &is)
	if v := d.visitConfig(); len(v.Languages) != 3 || len(v.Colours) != 0 || len(is.Own) != 2 {
		t.Errorf("given back: %+v, and there is %v", v, is)
	}

	// Another agent of the same name has none of it.
	c.ask("DELETE", "/v1/agents/anna@desk.example", "", 204, nil)
	agent = web.AgentInfo{}
	c.ask("POST", "/v1/agents", `{"jid":"anna@desk.example","password":"correct horse 43"}`, 201, &agent)
	if len(agent.Tags) != 0 || agent.Shown != "" {
		t.Errorf("another Anna is %+v", agent)
	}
}

// What is wrong with an option reads as it does of the file, and nothing is changed.
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	d := visited(t)
	c := d.api("-role", "admin")
	for _, r := range []struct{ path, body, want string }{
		{"desk", `{"steps":11}`, "desk.steps: too many: at most 10"},
		{"desk", `{"steps":5,"hours":["someday 09:00-10:00"]}`, `desk.hours: no days: "someday" in "someday 09:00-10:00"`},
		{"desk", `{"stepz":5}`, "desk.stepz: unknown option"},
		{"desk", `{"delay":12}`, `desk.delay: want a duration such as "30s" or "90d", not 12`},
		{"desk", `{"agent":[]}`, "desk.agent: agents are set one by one"},
		{"widget", `{"colour":"red"}`, `widget.colour: not a colour: "red"`},
		{"widget", `{"sites":["` + strings.Repeat("x", optionsMax) + `"]}`, ""},
		{"agents/anna@desk.example", `{"shown":"a\nb"}`, "desk.agent.shown: not a line of at most 60 characters"},
		{"agents/anna@desk.example", `{"limit":-1}`, ""},
		{"agents/anna@desk.example", `{"tags":"it"}`, ""},
	} {
		answer := c.ask("PATCH", "/v1/"+r.path, r.body, 422, nil)
		if p := web.ReadProblem([]byte(answer.body)); p == nil || r.want != "" && p.Text != r.want {
			t.Errorf("%s %.40s: %.200s, want %q", r.path, r.body, answer.body, r.want)
		}
	}
	var is options
	if c.ask("GET", "/v1/desk", "", 200, &is); len(is.Own) != 0 {
		t.Errorf("set is %v", is.Own)
	}
}

// What the file says of desk and widget holds after SIGHUP, and no session ends for it. What is set that does not go
// with it any more holds no longer, and is told.
func TestReloadOptions(t *testing.T) {
	t.Parallel()
	d := visited(t)
	c := d.api("-role", "admin")
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	d.openContact(`{"id":"0123456789abcdef","text":"Hello?"}`)
	anna.until("an offer", func(x *tree) bool {
		return x.name.Local == "message" && strings.Contains(x.child("body").text(), "Hello?")
	})
	c.ask("PATCH", "/v1/desk", `{"weight_load":0,"weight_idle":0}`, 200, nil)
	d.edit("accounts.d/desk.toml", "\n[desk]\nwait = '5m'\nclosed = ['2000-01-01']\nhours = ['mon-sun 00:00-24:00']\n")
	replaceIn(t, d.dir+"/accounts.d/desk.toml", "[widget]", "[widget]\nlanguages = ['de']")
	d.reloads()
	anna.lives()
	var is options
	c.ask("GET", "/v1/desk", "", 200, &is)
	if is.Options["wait"] != "5m" || is.Options["weight_load"] != 0.0 || fmt.Sprint(d.visitConfig().Languages) != "[de]" {
		t.Errorf("after SIGHUP: %v, %v", is, d.visitConfig())
	}
	if strings.Contains(d.log(), "waits in part for a restart") {
		t.Error("something is said to wait for a restart")
	}
	d.edit("accounts.d/desk.toml", "[[desk.agent]]\nname = 'anna'\ntags = ['money']\n")
	d.reloads()
	var agent web.AgentInfo
	if c.ask("GET", "/v1/agents/anna@desk.example", "", 200, &agent); fmt.Sprint(agent.Tags) != "[money]" {
		t.Errorf("by the file Anna is %+v", agent)
	}
	replaceIn(t, d.dir+"/accounts.d/desk.toml", "[desk]", "[desk]\nweight_tags = 0\nweight_load = 1")
	d.reloads()
	is = options{}
	if c.ask("GET", "/v1/desk", "", 200, &is); is.Options["weight_load"] != 1.0 || len(is.Own) != 2 {
		t.Errorf("what does not go with the file: %v", is)
	}
	d.says("what is set of desk and widget does not go with parley.toml")
}

func replaceIn(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("%q is not in %s, %v", old, path, err)
	}
	if err := replaceFile(path, []byte(strings.Replace(string(text), old, new, 1))); err != nil {
		t.Fatal(err)
	}
}

// A reply that comes too soon after the offer is refused with a sentence, and nothing of it is sent; !accept takes the chat.
func TestNoHastyReply(t *testing.T) {
	t.Parallel()
	d := visited(t)
	d.api("-role", "admin").ask("PATCH", "/v1/desk", `{"accept_after":"1h"}`, 200, nil)
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	is := d.openContact(`{"id":"0123456789abcdef","text":"Hello?"}`)
	address := is.Contact.ID + "@visitors.desk.example"
	spoken := func(what, text string) {
		t.Helper()
		anna.until(what, func(x *tree) bool { return x.name.Local == "message" && strings.Contains(x.child("body").text(), text) })
	}
	spoken("an offer", "Hello?")
	_, next := d.joinContact(is.Token, 0)
	anna.send("<message type='chat' to='%s' id='a1'><body>Meant for Ben</body></message>", address)
	e := anna.until("a refusal", func(x *tree) bool { return x.attr("type") == "error" && x.attr("id") == "a1" })
	if text := e.child("error").child("text").text(); !strings.Contains(text, "your text was not sent") {
		t.Errorf("the refusal says %q", text)
	}
	anna.send("<message type='chat' to='%s' id='a2'><body>!accept</body></message>", address)
	anna.send("<message type='chat' to='%s' id='a3'><body>Meant for you</body></message>", address)
	for f := next("message"); ; f = next("message") {
		if f.Text == "Meant for Ben" {
			t.Error("what came too soon was sent")
		}
		if f.Text == "Meant for you" {
			break
		}
	}
}
