package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"parley.im/parley/xmppd/notify/postbox"
)

// What was said goes to the visitor by mail, as the visitor or the agent asks for it, and is nowhere else in clear; nor is where it went.
func TestTranscriptsByMail(t *testing.T) {
	t.Parallel()
	box := postbox.Open(t, postbox.Options{User: "parley"})
	d := visited(t, append(mailing(t, t.TempDir(), box), "-set", "account.desk.widget.field=[{name='email', label=['en: Your e-mail'], type='email'}]")...)
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	is := d.openContact(`{"id":"0123456789abcdef","text":"Where is my zebrafinch?","fields":{"email":"mia@home.example"}}`)
	offer := anna.until("an offer", func(x *tree) bool { return strings.Contains(x.child("body").text(), "zebrafinch") })
	address, _, _ := strings.Cut(offer.attr("from"), "/")
	_, next := d.joinContact(is.Token, 0)
	anna.send("<message type='chat' to='%s' id='a1'><body>In the aviary.</body></message>", address)
	for next("message").ID != "a1" {
	}
	post := func(path, body string) (*http.Response, []byte) {
		t.Helper()
		return d.web("POST", "/visit/desk/"+path, []byte(body), "Authorization", "Bearer "+is.Token, "Content-Type", "image/png")
	}
	ask := func(email string) int {
		t.Helper()
		resp, _ := post("frames", `{"type":"transcript","email":"`+email+`"}`)
		return resp.StatusCode
	}
	resp, got := post("files?name=cage.png", string(picture("dovecote")))
	var sent struct{ File struct{ ID string } }
	if err := json.Unmarshal(got, &sent); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("the file is not taken: %s %s", resp.Status, got)
	}
	if resp, got := post("frames", `{"type":"say","id":"m1","file":"`+sent.File.ID+`"}`); resp.StatusCode != http.StatusOK {
		t.Fatalf("the file is not said: %s %s", resp.Status, got)
	}
	if got := ask("other@home.example"); got != http.StatusForbidden {
		t.Errorf("to another address: %d", got)
	}
	box.Refuse(451)
	if got := ask(""); got != http.StatusServiceUnavailable {
		t.Errorf("while the mail server can't: %d", got)
	}
	box.Refuse(0)
	if got := ask(""); got != http.StatusNoContent {
		t.Errorf("to the address that was given: %d", got)
	}
	anna.send("<message type='chat' to='%s'><body>!transcript other@home.example</body></message>", address)
	anna.until("a refusal", func(x *tree) bool { return strings.Contains(x.child("body").text(), "and to no other") })
	anna.send("<message type='chat' to='%s'><body>!transcript</body></message>", address)
	anna.until("word that it is sent", func(x *tree) bool { return x.child("body").text() == "* The transcript is sent." })
	for range 2 {
		if m := box.Next(); strings.Join(m.To, " ") != "mia@home.example" || !strings.Contains(m.Text, "You: Where is my zebrafinch?\n") || !strings.Contains(m.Text, "Anna: In the aviary.\n") ||
			!strings.Contains(m.Text, "You: [cage.png]\n") || strings.Contains(m.Text, "https:") {
			t.Errorf("the mail is %+v", m)
		}
	}
	if box.Waiting() != 0 {
		t.Errorf("there is another mail: %+v", box.Next())
	}
	text := d.log() + fmt.Sprint(contents(t, filepath.Join(d.dir, "data")))
	for _, secret := range []string{"zebrafinch", "aviary", "home.example"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is on disk or in the log", secret)
		}
	}
}

// Whom the account names for it hears by mail that a visitor has left a message; what it was stays sealed.
func TestOfflineMail(t *testing.T) {
	t.Parallel()
	box := postbox.Open(t, postbox.Options{User: "parley"})
	d := visited(t, append(mailing(t, t.TempDir(), box), "-set", "account.desk.desk.offline_mail='shop@desk.example'")...)
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"Call me about the zebrafinch"}`)
	if m := box.Next(); strings.Join(m.To, " ") != "shop@desk.example" || !strings.Contains(m.Text, "contact "+is.Contact.ID+"\n") || strings.Contains(m.Raw, "zebrafinch") || strings.Contains(m.Raw, "Mia") {
		t.Errorf("%s\n%s", m.To, m.Raw)
	}
	d.api("-role", "admin").ask("PATCH", "/v1/desk", `{"offline_mail":"other@desk.example"}`, 200, nil)
	d.openContact(`{"id":"1123456789abcdef","text":"Call me"}`)
	if m := box.Next(); strings.Join(m.To, " ") != "other@desk.example" {
		t.Errorf("the next mail is for %s", m.To)
	}
}
