package visit_test

import (
	"net/http"
	"testing"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// A whole conversation: what the visitor's client sees of it, in its order.
func TestConversation(t *testing.T) {
	s := newShop(t)
	is := s.open(J{"name": "Mia", "text": "Is anyone there?", "page": "https://shop.example/shoes", "title": "Shoes", "lang": "en-GB"})
	if is.Contact.State != "queued" || is.Contact.ID == "" || is.Contact.Position != 1 {
		t.Fatalf("the new contact is %+v", is.Contact)
	}
	address := is.Contact.ID
	mia := s.comes(is.Token, 0)
	first := mia.until("message")
	if first.Text != "Is anyone there?" || first.From.Kind != "visitor" || first.Seq == 0 || first.At.IsZero() {
		t.Errorf("what opened the contact comes back as %+v", first)
	}
	s.offered(address)

	s.say("anna", address, "a1", "Yes. How can I help?")
	if f := mia.state("active"); f.Contact.Agent == nil || f.Contact.Agent.Name != "Anna" {
		t.Errorf("the contact is %+v", f.Contact)
	}
	answer := mia.until("message")
	if answer.Text != "Yes. How can I help?" || answer.From.Kind != "agent" || answer.From.Name != "Anna" || answer.ID != "a1" || answer.Seq <= first.Seq {
		t.Errorf("the agent's answer is %+v", answer)
	}

	// What the visitor says is answered when it is kept.
	mia.send(J{"type": "say", "id": "m1", "text": "Do they come in blue?"})
	said := mia.until("said")
	if said.ID != "m1" || said.Seq <= answer.Seq || said.At.IsZero() {
		t.Errorf("it was answered by %+v", said)
	}

	// Typing, arrived, read: both ways.
	c, err := s.contacts.ByAddress(address)
	s.must(err)
	follower := s.contacts.Follow(c.ID)
	defer follower.Close()
	s.contacts.Signal(contact.Signal{Contact: c.ID, By: desk.Agents, Agent: s.agents["anna"], What: contact.Composing})
	if f := mia.until("typing"); !f.On || f.From.Name != "Anna" {
		t.Errorf("the agent types: %+v", f)
	}
	<-follower.Signals
	mia.send(J{"type": "typing", "on": true})
	if sig := <-follower.Signals; sig.By != desk.Visitor || sig.What != contact.Composing {
		t.Errorf("the visitor types: %+v", sig)
	}
	mia.send(J{"type": "read", "seq": said.Seq + 100})
	ch := <-follower.Changes
	if len(ch.Events) != 1 || ch.Events[0].Kind.Event() != "message.read" || ch.Events[0].N != answer.Seq || ch.Events[0].By != desk.Visitor {
		t.Errorf("the visitor has read: %+v, want everything up to %d", ch.Events, answer.Seq)
	}
	s.contacts.Mark(c.ID, desk.Event{Kind: ch.Events[0].Kind, By: desk.Agents, Actor: s.agents["anna"], N: said.Seq}, nil)
	if f := mia.until("read"); f.Seq != said.Seq {
		t.Errorf("the agent has read: %+v", f)
	}

	// The end.
	_, err = contact.Wait(func(done desk.Done) { s.contacts.Close(c.ID, s.agents["anna"], "done", done) })
	s.must(err)
	mia.state("closed")
	mia.send(J{"type": "say", "id": "m2", "text": "One more thing"})
	if f := mia.until("error"); f.ID != "m2" || f.Of != "say" || f.Code != "closed" || f.Text == "" {
		t.Errorf("what is said too late gets %+v", f)
	}
	mia.send(J{"type": "rate", "stars": 5, "comment": "Kind."})
	mia.send(J{"type": "ping"})
	mia.until("pong")
	s.eventually("it is rated", func() bool {
		c, err := s.contacts.ByAddress(address)
		return err == nil && c.Rating != nil && c.Rating.Stars == 5 && c.Rating.Comment == "Kind."
	})
	_, err = contact.Wait(func(done desk.Done) { s.contacts.Finish(c.ID, s.agents["anna"], done) })
	s.must(err)
	if f := mia.state("finalized"); f.Contact.Outcome != "successful" {
		t.Errorf("the outcome is %q", f.Contact.Outcome)
	}
	if code := mia.gone(); code != "closed" {
		t.Errorf("the end is %q", code)
	}

	// The transcript can be read still.
	again := s.comes(is.Token, answer.Seq)
	if f := again.until("message"); f.ID != "m1" || f.From.Kind != "visitor" {
		t.Errorf("what was said is %+v", f)
	}
	if code := again.gone(); code != "closed" {
		t.Errorf("the end is %q", code)
	}
}

// The visitor ends it.
func TestVisitorCloses(t *testing.T) {
	s := newShop(t)
	is := s.open(J{"text": "Hello"})
	mia := s.comes(is.Token, 0)
	mia.until("message")
	mia.send(J{"type": "close"})
	if f := mia.state("finalized"); f.Contact.Outcome != "cancelled" {
		t.Errorf("the outcome is %q", f.Contact.Outcome)
	}
	if code := mia.gone(); code != "closed" {
		t.Errorf("the end is %q", code)
	}
}

// A form comes first; what must be filled in is.
func TestForm(t *testing.T) {
	s := newShop(t, func(s *shop) { s.look = formWithEmail })
	if is := s.do("POST", "contacts", J{"id": newID(), "text": "Hello"}); is.Status != http.StatusUnprocessableEntity || is.Code != "missing" {
		t.Errorf("without the form there is %d %s", is.Status, is.Body)
	}
	is := s.open(J{"form": true, "text": "Hello"})
	if is.Contact.State != "collecting" {
		t.Errorf("the state is %s", is.Contact.State)
	}
	mia := s.comes(is.Token, 0)
	mia.until("message")
	mia.send(J{"type": "submit", "name": "Mia", "fields": J{"email": " "}})
	if f := mia.until("error"); f.Code != "missing" || f.Of != "submit" {
		t.Errorf("an empty form gets %+v", f)
	}
	mia.send(J{"type": "submit", "name": "Mia", "fields": J{"email": "mia@home.example"}})
	mia.state("queued")
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	if c.Name != "Mia" || c.Fields["email"] != "mia@home.example" {
		t.Errorf("the contact has %q %v", c.Name, c.Fields)
	}
	mia.send(J{"type": "submit", "name": "Zoe"})
	if f := mia.until("error"); f.Code != "missing" && f.Code != "not_now" {
		t.Errorf("a second form gets %+v", f)
	}
	config := s.do("GET", "config", nil)
	if config.Status != http.StatusOK || string(config.Body) != `{"open":true,"form":[{"name":"email","label":{"en":"Your e-mail"},"required":true,"type":"email"}],"colours":null,"languages":["en"]}`+"\n" {
		t.Errorf("the config is %d %s", config.Status, config.Body)
	}
}

// What an agent corrects, and what bots and the account itself say.
func TestWhoSaysWhat(t *testing.T) {
	s := newShop(t)
	is := s.open(J{})
	s.offered(is.Contact.ID)
	s.say("anna", is.Contact.ID, "a1", "Yse?")
	mia := s.comes(is.Token, 0)
	first := mia.until("message")
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	s.corrects("anna", is.Contact.ID, "a1", "Yes?")
	if f := mia.until("corrected"); f.ID != first.ID || f.Text != "Yes?" || f.From.Kind != "agent" || f.From.Name != "Anna" || f.Seq <= first.Seq {
		t.Errorf("the correction is %+v", f)
	}
	m := s.contacts.Text(c, desk.Agents, "a3", "", s.now()) // no words, as a client's sign of the moment
	m.From, m.Inner = "anna@desk.example/phone", []byte("<x xmlns='urn:x'/>")
	_, err = contact.Wait(func(done desk.Done) { s.contacts.AgentSays(c.ID, desk.Said{Agent: s.agents["anna"], Body: m}, done) })
	s.must(err)
	_, err = contact.Wait(func(done desk.Done) { s.contacts.Note(c.ID, desk.Agents, s.agents["anna"], "a secret", done) })
	s.must(err)
	for _, by := range []desk.Party{desk.Bot, desk.System} {
		said := desk.Said{Body: s.contacts.Text(c, by, "", "I am "+string(by), s.now())}
		_, err = contact.Wait(func(done desk.Done) {
			if by == desk.Bot {
				s.contacts.BotSays(c.ID, said, done)
			} else {
				s.contacts.SystemSays(c.ID, said, done)
			}
		})
		s.must(err)
		if f := mia.until("message"); f.From.Kind != string(by) || f.Text != "I am "+string(by) || f.ID == "" {
			t.Errorf("the %s says %+v", by, f)
		}
	}
}
