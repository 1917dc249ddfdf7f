package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/xmppd/web"
)

// A vouching shop says who its visitors are.
type vouching struct {
	*daemon
	key web.KeyInfo
}

func vouches(d *daemon) *vouching { return &vouching{d, d.newKey("-role", "auditor", "-signing")} }

// says is what it says of somebody.
func (v *vouching) says(who people.Said) string {
	v.t.Helper()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": who.Subject, "name": who.Name, "email": who.Email, "phone_number": who.Phone,
		"aud": "visitors.desk.example", "exp": time.Now().Add(4 * time.Minute).Unix()})
	t.Header["kid"] = v.key.ID
	text, err := t.SignedString([]byte(v.key.Secret))
	if err != nil {
		v.t.Fatal(err)
	}
	return text
}

// opens opens a contact for somebody.
func (v *vouching) opens(who people.Said, text string) visitorFrame {
	v.t.Helper()
	wish, err := json.Marshal(map[string]any{"id": fmt.Sprintf("made-by-%x", time.Now().UnixNano()), "identity": v.says(who), "text": text})
	if err != nil {
		v.t.Fatal(err)
	}
	return v.openContact(string(wish))
}

// visitorOf is the internal id of a contact's visitor.
func (c *apiClient) visitorOf(contact string) string {
	c.t.Helper()
	var events web.List[struct {
		Data struct{ Contact struct{ ID, Visitor string } }
	}]
	c.ask("GET", "/v1/events?types=contact.created", "", 200, &events)
	for _, e := range events.Items {
		if e.Data.Contact.ID == contact {
			return e.Data.Contact.Visitor
		}
	}
	c.t.Fatalf("nothing was told of contact %s", contact)
	return ""
}

// KIS-4, I3: who a visitor is and what was said is in clear nowhere in a sealed profile, the log included; the same person is known
// again after a kill; and both are gone when their time is over.
func TestI3VisitorsAreSealed(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "retention.enterprise='40d'")
	m := newMarkers()
	mia := people.Said{Subject: m.make(spoken, "subject"), Name: m.make(spoken, "name"), Phone: "+390551234567",
		Email: m.make(spoken, "e-mail") + "@home.example"}
	shop, c := vouches(d), d.api("-role", "supervisor")
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	is := shop.opens(mia, m.make(spoken, "question"))
	anna.until("an offer", func(x *tree) bool { return strings.Contains(x.child("body").text(), m.of(spoken, "question")) })
	anna.send("<message type='chat' to='%s@visitors.desk.example'><body>%s</body></message>", is.Contact.ID, m.make(spoken, "answer"))
	_, next := d.joinContact(is.Token, 0)
	for next("message").Text != m.of(spoken, "answer") {
	}
	visitor := c.visitorOf(is.Contact.ID)
	search := func(when string) {
		t.Helper()
		for path, in := range m.below(t, d.dir, func(string) bool { return false }, spoken) {
			t.Errorf("%s, %s holds %q", when, path, in)
		}
	}
	search("while it runs")
	config := filepath.Join(d.dir, "parley.toml")
	must(t, "", "verify", "-config", config)
	d.end(syscall.SIGKILL)
	search("after kill -9")
	d.start()
	if again := c.visitorOf(shop.opens(mia, "Hello?").Contact.ID); again != visitor || !strings.HasPrefix(visitor, people.Prefix) {
		t.Errorf("after a kill %s is %s", visitor, again)
	}
	d.end(syscall.SIGTERM)
	search("after an orderly end")

	for _, later := range []struct{ days, people int }{{0, 1}, {41, 0}} {
		i := laterInstallation(t, config, time.Duration(later.days)*24*time.Hour)
		a, err := i.account(t.Context(), "desk")
		if err != nil {
			t.Fatal(err)
		}
		if later.days > 0 { // nobody has ended the chats
			list, err := a.store.Contacts(t.Context(), store.ContactQuery{Max: 10})
			if err != nil || len(list) != 2 {
				t.Fatalf("%d contacts, %v", len(list), err)
			}
			for _, c := range list {
				if err := a.store.Shred(t.Context(), c.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		newRetention(i).look(t.Context(), i.now(), func(time.Time) bool { return true })
		secrets := 0
		if err := a.keys.All(t.Context(), keys.OfPerson, func(keys.ID) { secrets++ }); err != nil || secrets != later.people {
			t.Errorf("after %d days there are %d people, %v, want %d", later.days, secrets, err, later.people)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}
}
