package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/sqlite/conn"
	"parley.im/parley/xmppd/web"
)

// erasures are the events of visitors who were erased.
func (c *apiClient) erasures() (list []string) {
	c.t.Helper()
	var events web.List[struct {
		Data struct {
			Visitor  string
			Contacts []string
		}
	}]
	c.ask("GET", "/v1/events?types=visitor.erased", "", 200, &events)
	for _, e := range events.Items {
		slices.Sort(e.Data.Contacts)
		list = append(list, fmt.Sprint(e.Data.Visitor, e.Data.Contacts))
	}
	return list
}

// A visitor is found by what the shop has said, shown with what there is of theirs, and erased: what goes on is ended, nothing of it can be read
// any more, and who comes again is new.
func TestVisitorIsErased(t *testing.T) {
	t.Parallel()
	d := visited(t)
	shop, c := vouches(d), d.api("-role", "admin")
	mia := people.Said{Subject: "customer-17", Name: "Mia Rossi", Email: "Mia@home.example", Phone: "+39 055 1234567"}
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	one := shop.opens(mia, "Where is my order?")
	anna.until("an offer", func(x *tree) bool { return strings.Contains(x.child("body").text(), "Where is my order?") })
	anna.send("<message type='chat' to='%s@visitors.desk.example'><body>On its way</body></message>", one.Contact.ID)
	_, next := d.joinContact(one.Token, 0)
	for next("message").Text != "On its way" {
	}
	two := shop.opens(mia, "And another thing")
	var identified web.List[json.RawMessage]
	if c.ask("GET", "/v1/events?types=visitor.identified", "", 200, &identified); len(identified.Items) != 2 {
		t.Errorf("there are %d events of who was identified", len(identified.Items))
	}

	var found web.List[web.VisitorInfo]
	c.ask("GET", "/v1/visitors?email=mia@HOME.example", "", 200, &found)
	if len(found.Items) != 1 || found.Items[0].Phone != mia.Phone || found.Items[0].Subject != mia.Subject {
		t.Fatalf("found are %+v", found.Items)
	}
	path := "/v1/visitors/" + found.Items[0].ID
	var is web.VisitorInfo
	c.ask("GET", path, "", 200, &is)
	if !is.Known || is.Name != mia.Name || len(is.Contacts) != 2 || is.Contacts[0].ID != two.Contact.ID {
		t.Errorf("shown is %+v", is)
	}
	config := filepath.Join(d.dir, "parley.toml")
	if out := must(t, "", "visitor", "show", "mia@home.example", "-config", config); !strings.Contains(out, is.ID) || !strings.Contains(out, one.Contact.ID) {
		t.Errorf("the command shows\n%s", out)
	}
	c.ask("GET", "/v1/visitors?email=mia@home.example&phone=1", "", 422, nil)

	// What is held stays, all of it.
	must(t, "", "conversation", "hold", is.Contacts[0].Conversation, "-config", config)
	c.ask("DELETE", path, "", 409, nil)
	c.ask("GET", path, "", 200, nil)
	must(t, "", "conversation", "release", is.Contacts[0].Conversation, "-config", config)

	var erased web.ErasureInfo
	c.ask("DELETE", path, "", 200, &erased)
	if erased.Contacts != 2 || len(erased.Remains) != 6 {
		t.Errorf("erased is %+v", erased)
	}
	next("bye")
	anna.until("the contact goes from her list", func(x *tree) bool {
		return x.name.Local == "presence" && x.attr("type") == "unavailable" && strings.HasPrefix(x.attr("from"), one.Contact.ID)
	})
	c.ask("GET", path, "", 404, nil)
	c.ask("DELETE", path, "", 404, nil)
	for _, contact := range []string{one.Contact.ID, two.Contact.ID} {
		c.ask("GET", "/v1/contacts/"+contact, "", 404, nil)
		c.ask("GET", "/v1/contacts/"+contact+"/transcript", "", 404, nil)
	}
	if c.ask("GET", "/v1/visitors?email=mia@home.example", "", 200, &found); len(found.Items) != 0 {
		t.Errorf("who was erased is found: %+v", found.Items)
	}
	both := []string{one.Contact.ID, two.Contact.ID}
	slices.Sort(both)
	if got := c.erasures(); len(got) != 1 || got[0] != fmt.Sprint(is.ID, both) {
		t.Errorf("told of is %q", got)
	}
	if again := c.visitorOf(shop.opens(mia, "Hello?").Contact.ID); again == is.ID {
		t.Error("who was erased has the id of before")
	}

	// So is somebody of whom nobody knows who it is, by the command.
	stranger := d.openContact(`{"id":"0123456789abcdef","text":"Hello"}`)
	id := c.visitorOf(stranger.Contact.ID)
	if out := must(t, "", "visitor", "erase", id, "-config", config); !strings.Contains(out, "webhooks: ") {
		t.Errorf("the command says\n%s", out)
	}
	back := d.openContact(fmt.Sprintf(`{"id":"0123456789abcdeg","text":"Hello","visitor":%q}`, stranger.Visitor))
	if again := c.visitorOf(back.Contact.ID); again == id {
		t.Error("a stranger who was erased has the id of before")
	}
	refused(t, "there is no visitor "+id, "", "visitor", "erase", id, "-config", config)
	must(t, "", "verify", "-config", config)

	// What somebody changes in the file is told.
	d.end(syscall.SIGTERM)
	db, err := conn.Open(conn.Config{Path: filepath.Join(d.dir, "data/accounts/desk", people.File)})
	if err == nil {
		err = db.Exec("UPDATE person SET version = version + 1")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _, err := typed(t, "", "verify", "-config", config); err == nil || !strings.Contains(out, "desk: visitor p_") {
		t.Errorf("verify tells\n%s", out)
	}
}

// What a crash, or an older copy, leaves of a visitor who was erased is destroyed by the next start, before anybody is served.
func TestErasureIsEnded(t *testing.T) {
	t.Parallel()
	d := visited(t)
	shop, c := vouches(d), d.api("-role", "admin")
	is := shop.opens(people.Said{Subject: "customer-17"}, "Hello")
	visitor := c.visitorOf(is.Contact.ID)
	d.end(syscall.SIGKILL)

	i, _ := opened(t, filepath.Join(d.dir, "parley.toml"))
	a, err := i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.people.Erase(t.Context(), visitor); err != nil { // and no further
		t.Fatal(err)
	}
	if list, err := a.store.Contacts(t.Context(), store.ContactQuery{Visitor: visitor, Max: 10}); err != nil || len(list) != 1 {
		t.Fatalf("%d contacts, %v", len(list), err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}

	d.start()
	c.ask("GET", "/v1/contacts/"+is.Contact.ID, "", 404, nil)
	want := fmt.Sprint(visitor, []string{is.Contact.ID})
	if got := c.erasures(); len(got) != 1 || got[0] != want {
		t.Errorf("told of is %q, want %q", got, want)
	}
	d.end(syscall.SIGTERM)
	d.start()
	if got := c.erasures(); len(got) != 1 {
		t.Errorf("after another start told of is %q", got)
	}
	d.end(syscall.SIGTERM)

	// The look of an hour later has nothing left to do.
	i = laterInstallation(t, filepath.Join(d.dir, "parley.toml"), time.Hour)
	defer i.Close()
	if a, err = i.account(t.Context(), "desk"); err != nil {
		t.Fatal(err)
	}
	newRetention(i).look(t.Context(), i.now(), func(time.Time) bool { return true })
	secrets := 0
	if err := a.keys.All(t.Context(), keys.OfPerson, func(keys.ID) { secrets++ }); err != nil || secrets != 0 || a.erasing() {
		t.Errorf("%d secrets of people, %v; erasing: %v", secrets, err, a.erasing())
	}
}

// A copy of before brings nobody back who was erased since: not who they are, nor what they said, whether they said who they are or not.
func TestErasedStayErased(t *testing.T) {
	t.Parallel()
	d := visited(t)
	identity, options := safes(t, d.dir, "5m")
	config := filepath.Join(d.dir, "parley.toml")
	copied := func() {
		t.Helper()
		args := []string{"backup", "-config", config}
		for _, o := range options {
			args = append(args, "-set", o)
		}
		d.end(syscall.SIGTERM)
		must(t, "", args...)
	}
	shop, c := vouches(d), d.api("-role", "admin")
	mia, zoe := people.Said{Subject: "customer-17"}, people.Said{Subject: "customer-18"}
	contacts := []string{shop.opens(mia, "Hello").Contact.ID, d.openContact(`{"id":"0123456789abcdef","text":"Hello"}`).Contact.ID, shop.opens(zoe, "Hello").Contact.ID}
	var visitors []string
	for _, k := range contacts {
		visitors = append(visitors, c.visitorOf(k))
	}
	copied()
	before := time.Now().UTC().Format(time.RFC3339Nano)
	d.start()
	for _, v := range visitors[:2] {
		c.ask("DELETE", "/v1/visitors/"+v, "", 200, nil)
	}
	copied()

	back := restored(t, d.dir, identity, "-at", before)
	i, _ := opened(t, filepath.Join(back, "parley.toml"))
	a, err := i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	for n, v := range visitors {
		list, err := a.store.Contacts(t.Context(), store.ContactQuery{Visitor: v, Max: 10})
		if err != nil || len(list) != n/2 {
			t.Errorf("visitor %d has %d contacts, %v", n, len(list), err)
		}
	}
	if _, err := a.people.Show(t.Context(), visitors[0]); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("who was erased is shown: %v", err)
	}
	if who, err := a.people.Show(t.Context(), visitors[2]); err != nil || who.Said != zoe {
		t.Errorf("who was not erased is %+v, %v", who, err)
	}
	for _, v := range visitors[:2] {
		if at, err := a.people.Erased(v); err != nil || at.IsZero() {
			t.Errorf("nothing is known of who was erased: %v", err)
		}
	}
}
