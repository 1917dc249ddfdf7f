package visit_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// ratings are the events of a contact that say how it was.
func (s *shop) ratings(address string) (list []string) {
	s.t.Helper()
	row, err := s.store.ContactAt(s.t.Context(), address)
	s.must(err)
	s.must(s.store.Records(s.t.Context(), row.ID, 0, 1000, func(e *store.Entry) error {
		if e.Kind == store.KindContactRated {
			list = append(list, string(e.Data))
		}
		return nil
	}))
	return list
}

// A visitor may say how it was as long as the token is good, also when nothing else can be said any more, and the
// server has begun anew; that changes nothing of how long it is kept.
func TestRatedLate(t *testing.T) {
	s := newShop(t, stopped)
	is := s.open(J{"text": "Hello"})
	address, bearer := is.Contact.ID, "Bearer "+is.Token
	rate := func(stars int, comment string) reply {
		t.Helper()
		return s.do("POST", "frames", J{"type": "rate", "stars": stars, "comment": comment}, "Authorization", bearer)
	}
	if r := rate(5, ""); r.Status != http.StatusConflict || r.Code != "not_now" {
		t.Errorf("what nobody has answered is rated: %d %s", r.Status, r.Body)
	}
	s.offered(address)
	s.say("anna", address, "a1", "Hello!")
	c, err := s.contacts.ByAddress(address)
	s.must(err)
	for _, end := range []func(desk.Done){
		func(done desk.Done) { s.contacts.Close(c.ID, s.agents["anna"], "", done) },
		func(done desk.Done) { s.contacts.Finish(c.ID, s.agents["anna"], done) },
	} {
		_, err := contact.Wait(end)
		s.must(err)
	}
	before, err := s.store.ContactAt(t.Context(), address)
	s.must(err)
	s.passes(time.Hour)
	for range 2 { // the same again is nothing new
		if r := rate(4, "Kind."); r.Status != http.StatusNoContent {
			t.Errorf("rated when it is over: %d %s", r.Status, r.Body)
		}
	}
	s.restart()
	if r := rate(2, "But wrong."); r.Status != http.StatusNoContent {
		t.Errorf("rated after a restart: %d %s", r.Status, r.Body)
	}
	told := s.ratings(address)
	if len(told) != 2 || !strings.Contains(told[0], `"rating":4`) || !strings.Contains(told[0], `"note":"Kind."`) || !strings.Contains(told[1], `"rating":2`) || !strings.Contains(told[1], `"state":"finalized"`) {
		t.Errorf("it is told so: %q", told)
	}
	after, err := s.store.ContactAt(t.Context(), address)
	s.must(err)
	if after.Live || !after.Ended.Equal(before.Ended) || after.Version != before.Version+2 || after.State != before.State || after.Outcome != before.Outcome {
		t.Errorf("it became another one: %+v, then %+v", before, after)
	}
	mia := s.comes(is.Token, 0)
	mia.gone()
	s.passes(25 * time.Hour)
	if r := rate(1, ""); r.Status != http.StatusUnauthorized || r.Code != "token" {
		t.Errorf("rated a day later: %d %s", r.Status, r.Body)
	}
}

// An agent asks how it was; the page of the visitor who is there hears of it.
func TestAskedForRating(t *testing.T) {
	s := newShop(t)
	bob := s.agent("bob")
	is := s.open(J{"text": "Hello"})
	mia := s.comes(is.Token, 0)
	mia.until("message")
	s.offered(is.Contact.ID)
	s.say("anna", is.Contact.ID, "a1", "Hello!")
	mia.until("message")
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	if err := s.contacts.AskRating(c.ID, bob); err != desk.ErrNotYours {
		t.Errorf("a colleague's visitor is asked: %v", err)
	}
	s.must(s.contacts.AskRating(c.ID, s.agents["anna"]))
	if f := mia.until("ask"); f.What != "rating" {
		t.Errorf("the visitor hears %+v", f)
	}
	mia.send(J{"type": "rate", "stars": 5})
	s.eventually("it is rated", func() bool { return len(s.ratings(is.Contact.ID)) == 1 })
	mia.ws.CloseNow()
	s.eventually("nobody is there to be asked", func() bool { return s.contacts.AskRating(c.ID, s.agents["anna"]) == desk.ErrNotNow })
}
