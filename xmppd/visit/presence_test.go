package visit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley.im/parley/xmppd/desk"
)

// The visitor is here as long as any of their connections is.
func TestVisitorIsHere(t *testing.T) {
	s := newShop(t)
	is := s.open(J{})
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	first, second := s.comes(is.Token, 0), s.comes(is.Token, 0)
	first.ws.Close(websocket.StatusNormalClosure, "")
	s.eventually("one connection is left", func() bool { return s.server.Stats.Connected.Load() == 1 })
	if !s.contacts.VisitorIsHere(c.ID) {
		t.Error("the visitor is gone with the first of two connections")
	}
	second.ws.CloseNow() // as when a network is lost
	s.eventually("the visitor is gone", func() bool { return !s.contacts.VisitorIsHere(c.ID) })
	s.comes(is.Token, 0)
	if !s.contacts.VisitorIsHere(c.ID) {
		t.Error("the visitor has come back, and is not here")
	}
}

// Whoever opens a contact and does not come is gone, as who has left.
func TestNobodyComes(t *testing.T) {
	s := newShop(t, stopped)
	nobody, somebody := s.open(J{}), s.open(J{})
	s.comes(somebody.Token, 0)
	here := func(is reply) bool {
		c, err := s.contacts.ByAddress(is.Contact.ID)
		s.must(err)
		s.server.TellPlaces()
		return s.contacts.VisitorIsHere(c.ID)
	}
	s.passes(10*time.Second - 1)
	if !here(nobody) || !here(somebody) {
		t.Error("they are gone before they could come")
	}
	s.passes(10 * time.Second)
	if here(nobody) || !here(somebody) {
		t.Errorf("nobody is here: %v; somebody: %v", here(nobody), here(somebody))
	}
}

// What was shown before the line was cut can be read after it, and who says to have more than there is gets all.
func TestComesBackFurther(t *testing.T) {
	s := newShop(t)
	is := s.open(J{})
	s.offered(is.Contact.ID)
	s.say("anna", is.Contact.ID, "a1", "Yes?")
	answer := s.comes(is.Token, 0).until("message")
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	follower := s.contacts.Follow(c.ID)
	defer follower.Close()
	mia := s.comes(is.Token, answer.Seq)
	mia.send(J{"type": "ping"})
	mia.until("pong")
	mia.send(J{"type": "read", "seq": answer.Seq})
	if ch := <-follower.Changes; len(ch.Events) != 1 || ch.Events[0].N != answer.Seq {
		t.Errorf("it was read: %+v", ch.Events)
	}
	if f := s.comes(is.Token, 1000).until("message"); f.ID != "a1" {
		t.Errorf("who says to have more than there is gets %+v", f)
	}
}

// What is said again after a silence ends that, though it is not kept again.
func TestSaidAgainAfterSilence(t *testing.T) {
	s := newShop(t, stopped, func(s *shop) { s.settings.Idle = time.Second })
	is := s.open(J{})
	s.offered(is.Contact.ID)
	s.say("anna", is.Contact.ID, "a1", "Yes?")
	mia := s.comes(is.Token, 0)
	mia.until("message")
	mia.send(J{"type": "say", "id": "m1", "text": "Blue?"})
	said := mia.until("said")
	s.passes(2 * time.Second)
	s.contacts.SetAgent(desk.Agent{ID: s.agents["anna"], Name: "anna", Here: true, Takes: true}) // has the desk look
	mia.state("idle")
	mia.send(J{"type": "say", "id": "m1", "text": "Blue?"})
	active, again := false, false
	for !active || !again {
		switch f := mia.next(); f.Type {
		case "said":
			again = f.Seq == said.Seq
		case "state":
			active = f.Contact.State == "active"
		default:
			t.Fatalf("there is %+v", f)
		}
	}
}

// More pages than there may be: the oldest gives way.
func TestElsewhere(t *testing.T) {
	s := newShop(t)
	is := s.open(J{})
	first := s.comes(is.Token, 0)
	for range 8 {
		s.comes(is.Token, 0)
	}
	if code := first.gone(); code != "elsewhere" {
		t.Errorf("the first hears %q", code)
	}
}

// A server that restarts forgets nothing that was shown as said, and its visitors come back into the same contact.
func TestRestart(t *testing.T) {
	s := newShop(t)
	is := s.open(J{"text": "Hello"})
	s.offered(is.Contact.ID)
	s.say("anna", is.Contact.ID, "a1", "Yes?")
	mia := s.comes(is.Token, 0)
	mia.until("message")
	mia.until("message")
	mia.send(J{"type": "say", "id": "m1", "text": "Blue?"})
	said := mia.until("said")
	heard := make(chan string)
	go func() { heard <- mia.gone() }()
	s.restart()
	if code := <-heard; code != "restart" {
		t.Errorf("the visitor hears %q", code)
	}
	s.say("anna", is.Contact.ID, "a2", "Yes, blue.")
	mia = s.comes(is.Token, said.Seq)
	if f := mia.until("message"); f.ID != "a2" {
		t.Errorf("what comes next is %+v", f)
	}
	mia.send(J{"type": "say", "id": "m1", "text": "Blue?"}) // the answer might have been lost
	if f := mia.until("said"); f.Seq != said.Seq {
		t.Errorf("said again it is %+v, want %d", f, said.Seq)
	}
}

// A client that does not read is cut, holds nobody up, and goes on where it was.
func TestSlowClient(t *testing.T) {
	s := newShop(t, func(s *shop) { s.narrow = true })
	s.server.SetWriteTime(200 * time.Millisecond)
	is := s.open(J{})
	s.offered(is.Contact.ID)
	slow := s.comes(is.Token, 0)
	text := strings.Repeat("abcd", 1000)
	n := 0
	s.eventually("who does not read is cut", func() bool {
		s.say("anna", is.Contact.ID, fmt.Sprint(n), text)
		n++
		return s.server.Stats.Connected.Load() == 0
	})
	after, next := int64(0), 0
	read := func(c *client) (err error) {
		for {
			f, err := c.read()
			if err != nil {
				return err
			}
			if f.Type == "message" && f.ID != fmt.Sprint(next) {
				t.Fatalf("%s comes where %d was to", f.ID, next)
			}
			if f.Type == "message" {
				next++
			}
			if after = max(after, f.Seq); next == n {
				return nil
			}
		}
	}
	if read(slow) == nil {
		t.Fatal("it got everything") // then it was not cut in the middle
	}
	was := next
	s.server.SetWriteTime(patience)
	s.must(read(s.comes(is.Token, after)))
	t.Logf("%d messages of %d came before the cut", was, n)
}

// Who waits hears how many are before them, and how long it may take, when that changes.
func TestPlaces(t *testing.T) {
	s := newShop(t, stopped, func(s *shop) { s.settings.Limit, s.settings.Wait = 100, time.Hour })
	var waiting []*client
	var contacts []reply
	for i := range 6 {
		is := s.open(J{})
		if is.Contact.Position != i+1 {
			t.Errorf("the place is %d, want %d", is.Contact.Position, i+1)
		}
		contacts = append(contacts, is)
		waiting = append(waiting, s.comes(is.Token, 0))
	}
	place := func(c *client, position, wait int) {
		t.Helper()
		c.send(J{"type": "ping"})
		var got frame
		for {
			f := c.next()
			if f.Type == "queue" {
				got = f
			}
			if f.Type == "pong" {
				break
			}
		}
		if got.Position != position || got.Wait != wait {
			t.Errorf("the place is %d and %d seconds, want %d and %d", got.Position, got.Wait, position, wait)
		}
	}
	s.server.TellPlaces()
	place(waiting[5], 0, 0) // the welcome has said it
	for i := range 3 {      // one is taken every twenty seconds
		s.passes(time.Duration(i) * 20 * time.Second)
		s.offered(contacts[i].Contact.ID)
		s.say("anna", contacts[i].Contact.ID, "a", "Hello")
		s.server.TellPlaces()
	}
	s.passes(time.Minute)
	s.server.TellPlaces()
	place(waiting[5], 3, 60)
	place(waiting[3], 1, 20)
}
