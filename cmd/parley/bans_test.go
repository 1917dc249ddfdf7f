package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"parley.im/parley/xmppd/web"
)

// opens says what opening a contact is answered with, and the problem's code.
func (d *daemon) opens(wish string) (status int, code string) {
	d.t.Helper()
	resp, err := d.visitors().Post("https://desk.example/visit/desk/contacts", "application/json", strings.NewReader(wish))
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var p struct{ Code string }
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, p.Code
}

// An agent bans who abuses her: the chat ends, the visitor opens no other until that is ended, and it is told and on record. WCP-8
// (that it ends by itself: TestBans in package visit).
func TestAgentBansVisitor(t *testing.T) {
	t.Parallel()
	d := visited(t)
	c := d.api("-role", "supervisor")
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	is := d.openContact(`{"id":"0123456789abcdef","text":"You are all fools"}`)
	at := is.Contact.ID + "@visitors.desk.example"
	anna.until("an offer", func(x *tree) bool { return strings.Contains(x.child("body").text(), "You are all fools") })
	says := func(text string) {
		anna.send("<message type='chat' to='%s'><body>%s</body></message>", at, text)
	}
	hears := func(text string) {
		t.Helper()
		anna.until(text, func(x *tree) bool {
			return x.name.Local == "message" && strings.HasPrefix(x.child("body").text(), text)
		})
	}
	says("!ban 1h")
	hears("This chat is not yours.")
	says("Mind your words")
	says("!ban for ever")
	hears("For how long?")
	_, next := d.joinContact(is.Token, 0)
	says("!ban 1h insults")
	hears("Banned for 1h.")
	if bye := next("bye"); bye.Code != "banned" {
		t.Errorf("the visitor hears %+v", bye)
	}
	wish := `{"id":"0123456789abcdeg","text":"Again"}`
	if status, code := d.opens(wish); status != http.StatusForbidden || code != "banned" {
		t.Errorf("who is banned gets %d %s", status, code)
	}

	var events web.List[struct {
		Type string
		Data struct {
			Contact, By, Agent, Visitor string
			Kinds                       []string
		}
	}]
	c.ask("GET", "/v1/events?types=visitor.banned", "", 200, &events)
	if len(events.Items) != 1 || events.Items[0].Data.Contact != is.Contact.ID || events.Items[0].Data.Agent != "anna" || len(events.Items[0].Data.Kinds) != 2 {
		t.Errorf("the events are %+v", events.Items)
	}
	config := filepath.Join(d.dir, "parley.toml")
	if out := must(t, "", "audit", "list", "-actor", "agent", "-config", config); strings.Count(out, "ban.create") != 1 || !strings.Contains(out, "contact/"+is.Contact.ID) {
		t.Errorf("on record is\n%s", out)
	}

	// A supervisor ends it, and bans by herself.
	var bans web.List[web.BanInfo]
	c.ask("GET", "/v1/bans", "", 200, &bans)
	if len(bans.Items) != 2 || bans.Items[0].Agent != "anna@desk.example" {
		t.Fatalf("the bans are %+v", bans.Items)
	}
	c.ask("DELETE", "/v1/bans/"+bans.Items[0].ID, "", 204, nil)
	must(t, "", "visitor", "unban", bans.Items[1].ID, "-config", config)
	if status, _ := d.opens(wish); status != http.StatusCreated {
		t.Errorf("who was let in again gets %d", status)
	}
	c.ask("POST", "/v1/bans", `{"contact":"`+is.Contact.ID+`","for":"1d","by":["visitor"]}`, 201, &bans)
	if len(bans.Items) != 1 || bans.Items[0].Kind != "visitor" {
		t.Errorf("banned are %+v", bans.Items)
	}
	must(t, "", "visitor", "ban", "127.0.0.1", "1mo", "-config", config)
	if out := must(t, "", "visitor", "bans", "-config", config); strings.Count(out, "ban_") != 2 {
		t.Errorf("the command lists\n%s", out)
	}
	if status, code := d.opens(`{"id":"0123456789abcdeh"}`); code != "banned" {
		t.Errorf("from a banned address one gets %d %s", status, code)
	}
}
