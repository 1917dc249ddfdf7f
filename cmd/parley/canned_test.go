package main

import (
	"strings"
	"testing"
)

// An answer that is ready goes to the visitor as if it had been typed, to the agent's other devices as well, and to nobody
// whose chat it is not.
func TestCannedAnswers(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "account.desk.desk.canned=[{name='Hours', text='We are here & there <until> five.'}]")
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	other := d.login("anna", "correct horse 42", "desk").in(t)
	other.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>")
	other.available("<priority>-1</priority>")
	anna.available("")
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"When are you there?"}`)
	_, next := d.joinContact(is.Token, 0)
	address := is.Contact.ID + "@visitors.desk.example"
	anna.until("the offer", func(x *tree) bool { return strings.HasPrefix(x.child("body").text(), "When are you there?") })
	says := func(text, answer string) {
		t.Helper()
		anna.send("<message type='chat' to='%s'><body>%s</body></message>", address, text)
		if answer != "" {
			anna.until(answer, func(x *tree) bool {
				return x.name.Local == "message" && strings.HasPrefix(x.child("body").text(), answer)
			})
		}
	}
	says("!c hours", "This chat is not yours.")
	says("!accept", "* This chat is yours.")
	says("!c", "Answers:\n!c hours: We are here & there <until> five.")
	says("!c nothing", "There is no such answer.")
	says("!c hours", "Said: We are here & there <until> five.")
	for f := next("message"); f.Text != "We are here & there <until> five."; f = next("message") {
		if strings.HasPrefix(f.Text, "!") {
			t.Errorf("the visitor hears %q", f.Text)
		}
	}
	other.until("a copy", func(x *tree) bool {
		m := x.child("sent").child("forwarded").child("message")
		return m != nil && m.child("body").text() == "We are here & there <until> five."
	})
}
