package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/web"
)

// atDesk has the account's contacts at hand, as a server that runs.
func (c *changing) atDesk(account string) *contact.Contacts {
	c.t.Helper()
	if c.i.live != nil {
		return c.i.live.Contacts(account)
	}
	a, err := c.i.account(c.t.Context(), account)
	if err != nil {
		c.t.Fatal(err)
	}
	k, err := contact.New(c.t.Context(), contact.Config{
		Domain: a.domain, Store: a.store, Settings: desk.Defaults(), Now: time.Now, Log: slog.New(slog.NewTextHandler(c.t.Output(), nil)),
		Name: func(id store.AgentID) string { return fmt.Sprint("agent ", id) },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.i.live = &listening{inst: c.i, contacts: k}
	return k
}

// openContact opens one with a form to be filled in, and returns its id.
func (c *changing) openContact(account, text string) string {
	c.t.Helper()
	k := c.atDesk(account)
	is := desk.Contact{Address: contact.NewAddress(), Visitor: "v_1", Question: text}
	begun, err := k.Begin(c.t.Context(), is, false, &desk.Said{By: desk.Visitor, Body: k.Text(&is, desk.Visitor, "m1", text, time.Now())})
	if err != nil {
		c.t.Fatal(err)
	}
	return begun.Address
}

// A list of a thousand contacts has each of them once, however it is gone through, while others are opened.
func TestContactsByCursor(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	c := newChanging(t, config)
	k := c.atDesk("desk")
	const many = 1000
	var opened sync.WaitGroup
	ids := make([]string, many)
	open := func(id *string) {
		begun, err := k.Begin(t.Context(), desk.Contact{Address: contact.NewAddress(), Visitor: "v_1"}, false, nil)
		if err != nil {
			t.Error(err)
			return
		}
		*id = begun.Address
	}
	for lot := range slices.Chunk(ids, many/20) {
		opened.Go(func() {
			for i := range lot {
				open(&lot[i])
			}
		})
	}
	opened.Wait()
	for i, id := range ids {
		if i%4 == 0 {
			opened.Go(func() {
				is, err := k.ByAddress(id)
				if err == nil {
					_, err = contact.Wait(func(done desk.Done) { k.Shut(is.ID, "", done) })
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	opened.Wait()
	page := func(query url.Values, after string) (list web.List[web.ContactInfo]) {
		t.Helper()
		query.Set("after", after)
		if w := c.call("GET", "/v1/accounts/desk/contacts?"+query.Encode(), ""); w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &list) != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return list
	}
	for query, want := range map[string]int{"limit=37": many, "limit=1000": many, "limit=64&live=true": many - many/4, "limit=99&state=finalized": many / 4,
		"limit=30&outcome=cancelled&visitor=v_1": many / 4, "until=2020-01-01T00:00:00Z": 0, "limit=1&visitor=v_2": 0} {
		asked, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]int)
		for after := ""; ; {
			opened.Go(func() { open(new(string)) }) // others come meanwhile
			list := page(asked, after)
			for _, v := range list.Items {
				seen[v.ID]++
			}
			if after = list.Next; after == "" {
				break
			}
		}
		opened.Wait()
		found := 0
		for i, id := range ids {
			if seen[id] > 1 {
				t.Fatalf("%s: %s is there %d times", query, id, seen[id])
			}
			found += seen[id]
			if seen[id] == 0 && want == many {
				t.Fatalf("%s: the contact %d is missing", query, i)
			}
		}
		if found != want {
			t.Errorf("%s: %d contacts, want %d", query, found, want)
		}
	}
	for query, status := range map[string]int{"after=x": 422, "after=-1": 422, "after=0": 422, "after=99999999999999999999": 422, "after=1%27": 422,
		"after=9223372036854775807": 200, "state=asleep": 422, "agent=nobody": 404, "limit=1001": 422, "what=1": 422} {
		if w := c.call("GET", "/v1/accounts/desk/contacts?"+query, ""); w.Code != status {
			t.Errorf("%s: %d %s, want %d", query, w.Code, w.Body, status)
		}
	}
}

// A program takes part in a contact from its beginning to its end, and all of it is told as if people had done it.
func TestContactsOfPrograms(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "account.desk.desk.group=[{name='billing', tags=['billing']}]", "-set", "account.desk.desk.agent=[{name='ben', tags=['billing']}]")
	c := d.api("-role", "supervisor")
	anna, ben := d.login("anna", "correct horse 42", "phone").in(t), d.login("ben", "correct horse 42", "phone").in(t)
	anna.available("")
	ben.available("")
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia <b>","text":"Where is\nmy order?","form":true,"fields":{"order":"4711","phone":"1"}}`)
	_, next := d.joinContact(is.Token, 0)
	next("message")
	path := "/v1/contacts/" + is.Contact.ID
	var seen web.ContactDetail
	tag := c.ask("GET", path, "", 200, &seen).header.Get("ETag")
	if seen.State != "collecting" || seen.Person.Name != "Mia <b>" || seen.Question != "Where is\nmy order?" || !seen.Here || seen.Visitor == "" || tag == "" {
		t.Errorf("it is %+v, ETag %s", seen, tag)
	}

	// The bot.
	const hello = `{"text":"One moment <please> & thanks","id":"b1"}`
	var first, again web.MessageInfo
	c.ask("POST", path+"/messages", hello, 201, &first)
	c.ask("POST", path+"/messages", hello, 201, &again)
	if f := next("message"); f.Text != "One moment <please> & thanks" || f.ID != "b1" || f.Seq != first.N {
		t.Errorf("the visitor hears %+v", f)
	}
	if first.Repeated || !again.Repeated || again.N != first.N || first.At.IsZero() {
		t.Errorf("%+v, and again %+v", first, again)
	}
	for body, status := range map[string]int{`{"text":""}`: 422, `{"text":" "}`: 422, `{"text":"a\u0000b"}`: 422, `{"text":"a\u001bb"}`: 422, `{"text":"x","as":"agent"}`: 422,
		`{"text":"x","id":"a b"}`: 422, `{"text":"` + strings.Repeat("x", 4001) + `"}`: 422, `{"text":"x","attachment":"y"}`: 422} {
		c.ask("POST", path+"/messages", body, status, nil)
	}
	c.ask("POST", path+"/notes", `{"text":"She wants\nher money back"}`, 200, nil)
	c.headers.Set("If-Match", tag)
	c.ask("PATCH", path, `{"tags":["refund"]}`, 412, nil) // the note came between
	c.headers.Set("If-Match", c.with(c.key).ask("GET", path, "", 200, nil).header.Get("ETag"))
	seen = web.ContactDetail{}
	c.ask("PATCH", path, `{"tags":["refund"],"fields":{"order":"4712","phone":"","name of it":"x"},"priority":3}`, 200, &seen)
	c.headers.Del("If-Match")
	if fmt.Sprint(seen.Tags, seen.Person.Fields, seen.Priority) != "[refund] map[name of it:x order:4712] 3" {
		t.Errorf("it is %v %v %d", seen.Tags, seen.Person.Fields, seen.Priority)
	}
	for body, status := range map[string]int{`{"tags":["a","a"]}`: 422, `{"tags":["a\u202eb"]}`: 422, `{"priority":31}`: 422, `{"fields":{"":"x"}}`: 422, `{"fields":{"a\nb":"x"}}`: 422, `{"state":"closed"}`: 422} {
		c.ask("PATCH", path, body, status, nil)
	}
	c.ask("POST", path+"/submit", `{"group":"nobody"}`, 422, nil)
	c.ask("POST", path+"/transfer", `{"group":"billing"}`, 409, nil) // nobody has asked for an agent
	c.ask("POST", path+"/submit", "", 200, nil)
	c.ask("POST", path+"/submit", "", 409, nil)
	address := is.Contact.ID + "@visitors.desk.example"
	hears := func(j *jabber, text string) {
		t.Helper()
		j.until(text, func(x *tree) bool {
			return x.name.Local == "message" && strings.HasPrefix(x.attr("from"), address) && strings.Contains(x.child("body").text(), text)
		})
	}
	hears(anna, "my order?")
	anna.send("<message type='chat' to='%s'><body>!accept</body></message>", address)
	hears(anna, "This chat is yours")

	// The account.
	c.ask("POST", path+"/messages", `{"text":"We close in five minutes","as":"system"}`, 201, nil)
	hears(anna, "[parley] We close in five minutes")
	anna.send("<message type='chat' to='%s'><body>!history</body></message>", address) // in which nobody speaks for Mia
	anna.until("what was said", func(x *tree) bool {
		text := x.child("body").text()
		return strings.Contains(text, " Mia <b>: Where is my order?\n") && strings.Contains(text, " [bot]: One moment") && strings.Contains(text, " [parley]: We close in")
	})
	c.ask("POST", path+"/notes", `{"text":"A good customer","as":"system"}`, 200, nil)
	hears(anna, "note of system: A good customer")
	c.ask("POST", path+"/transfer", `{"agent":"ben","group":"billing"}`, 422, nil)
	c.ask("POST", path+"/transfer", `{"agent":"anna"}`, 409, nil)
	c.ask("POST", path+"/transfer", `{"agent":"zoe"}`, 404, nil)
	c.ask("POST", path+"/transfer", `{"group":"billing","note":"Is it paid?"}`, 200, nil)
	c.ask("GET", path, "", 200, &seen)
	if seen.State != "transferring" || seen.Handing == nil || seen.Handing.Group != "billing" {
		t.Errorf("handed over it is %+v", seen)
	}
	hears(ben, "note: Is it paid?")
	ben.send("<message type='chat' to='%s' id='a1'><body>It is.</body></message>", address)
	hears(anna, "ben has this chat now")
	var agents web.List[web.DeskAgent]
	c.ask("GET", "/v1/desk/agents", "", 200, &agents)
	if len(agents.Items) != 2 || !slices.Equal(agents.Items[1].Contacts, []string{is.Contact.ID}) || agents.Items[1].Load != 0.25 || len(agents.Items[0].Contacts) > 0 {
		t.Errorf("at the desk there are %+v", agents.Items)
	}
	var one web.DeskAgent
	c.ask("POST", "/v1/desk/agents/anna/pause", `{"reason":"lunch"}`, 200, &one)
	if one.Paused != "lunch" || !one.Here || !one.Takes {
		t.Errorf("paused she is %+v", one)
	}
	anna.until("why", func(x *tree) bool {
		return x.name.Local == "message" && strings.HasPrefix(x.child("body").text(), "You were paused: lunch.")
	})
	c.ask("POST", path+"/transfer", `{"agent":"anna"}`, 409, nil)
	one = web.DeskAgent{}
	c.ask("POST", "/v1/desk/agents/anna/ready", "", 200, &one)
	if one.Paused != "" {
		t.Errorf("ready she is %+v", one)
	}
	c.ask("POST", path+"/close", `{"reason":"solved"}`, 200, nil)
	c.ask("GET", path, "", 200, &seen)
	hears(ben, "This chat was closed: solved.")
	if seen.State != "closed" || seen.By != "system" || seen.Agent != "ben" || len(seen.Legs) != 2 {
		t.Errorf("closed it is %+v", seen)
	}
	for _, what := range []string{"/messages", "/close", "/submit", "/transfer"} {
		if a := c.ask("POST", path+what, bodies[map[string]string{"/messages": "create-message", "/transfer": "transfer-contact"}[what]], 409, nil); web.ReadProblem([]byte(a.body)).Kind != web.Closed {
			t.Errorf("%s of one that is over: %s", what, a.body)
		}
	}
	ben.send("<message type='chat' to='%s'><body>!done</body></message>", address)
	eventually(t, "it is finalized", func() bool {
		c.ask("GET", path, "", 200, &seen)
		return seen.State == "finalized"
	})
	c.ask("POST", path+"/notes", `{"text":"What it came to"}`, 200, nil)
	c.ask("PATCH", path, `{"tags":["solved"]}`, 200, &seen)
	if !slices.Equal(seen.Tags, []string{"solved"}) || seen.Outcome != "no_interaction" {
		t.Errorf("at last it is %+v", seen)
	}

	// What is left of it.
	text := c.ask("GET", path+"/transcript?format=text", "", 200, nil).body
	for _, want := range []string{"  " + address + "/bot: One moment", "  " + address + ": Where is\n", "  " + address + "/parley: We close", "  ben@desk.example: It is."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var all struct {
		Contact  web.ContactDetail
		Notes    []struct{ By, Agent, Text string }
		Events   []web.RecordInfo
		Messages []web.ExportedMessage
	}
	c.ask("GET", path+"/export", "", 200, &all)
	said := ""
	for _, m := range all.Messages {
		said += fmt.Sprintf("%s %s: %s\n", m.By, m.Agent, m.Text)
	}
	if want := "visitor : Where is\nmy order?\nbot : One moment <please> & thanks\nsystem : We close in five minutes\nagent ben: It is.\n"; said != want {
		t.Errorf("the export has\n%s\nwant\n%s", said, want)
	}
	if fmt.Sprint(all.Notes) != "[{bot  She wants\nher money back} {system  A good customer} {bot  What it came to}]" || all.Contact.ID != is.Contact.ID {
		t.Errorf("the export has the notes %v of %s", all.Notes, all.Contact.ID)
	}
	shown := must(t, "", "contact", "show", is.Contact.ID, "-config", filepath.Join(d.dir, "parley.toml"))
	if !strings.Contains(shown, "Where is my order?") || !strings.Contains(shown, "solved") {
		t.Errorf("contact show prints\n%s", shown)
	}
	if list := must(t, "", "contact", "list", "-agent", "ben", "-config", filepath.Join(d.dir, "parley.toml")); !strings.HasPrefix(list, is.Contact.ID) {
		t.Errorf("contact list prints\n%s", list)
	}
	if script := must(t, "", "contact", "transcript", is.Contact.ID, "-config", filepath.Join(d.dir, "parley.toml")); script != text {
		t.Errorf("contact transcript prints\n%s", script)
	}
	var exported struct{ Messages []web.ExportedMessage }
	if err := json.Unmarshal([]byte(must(t, "", "contact", "export", is.Contact.ID, "-config", filepath.Join(d.dir, "parley.toml"))), &exported); err != nil || len(exported.Messages) != 4 {
		t.Errorf("contact export prints %+v, %v", exported, err)
	}
	refused(t, "is closed", "", "contact", "close", is.Contact.ID, "-config", filepath.Join(d.dir, "parley.toml"))

	// What webhooks are told.
	var events web.List[web.Event]
	c.ask("GET", "/v1/events", "", 200, &events)
	var told []string
	for _, e := range events.Items {
		if by, ok := e.Data["by"].(string); ok && (by == "bot" || by == "system") {
			what, _ := e.Data["what"].(string)
			told = append(told, strings.TrimSpace(by+" "+e.Type+" "+what))
		}
	}
	for _, want := range []string{"bot message.created", "bot contact.updated note", "system contact.updated tags", "system contact.updated fields", "system contact.updated priority",
		"bot contact.queued", "system message.created", "system contact.updated transferring", "system contact.closed"} {
		if !slices.Contains(told, want) {
			t.Errorf("no %q among %q", want, told)
		}
	}
}

// What somebody says while an account has no visitors, or nothing runs.
func TestContactsOfNobody(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	c := newChanging(t, config)
	id := c.openContact("desk", "hello")
	for _, live := range []live{nil, &listening{inst: c.i}} {
		c.i.live = live
		want := http.StatusServiceUnavailable
		if live != nil {
			want = http.StatusUnprocessableEntity
		}
		if w := c.call("POST", "/v1/accounts/desk/contacts/"+id+"/messages", `{"text":"hello"}`); w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
		if w := c.call("GET", "/v1/accounts/desk/contacts/"+id, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"collecting"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
