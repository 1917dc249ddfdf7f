package visit_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/visit"
)

// A thousand contacts from one address: a few are opened, and others are not kept from theirs.
func TestThousandContactsFromOneAddress(t *testing.T) {
	s := newShop(t, stopped, func(s *shop) { s.limits = visit.Limits{OpensPerMinute: 20, ContactsPerAddress: 5} })
	var mu sync.Mutex
	opened, refused := 0, 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 125 {
				is := s.do("POST", "contacts", J{"id": newID(), "text": "Hello"})
				mu.Lock()
				switch {
				case is.Status == http.StatusCreated:
					opened++
				case is.Status == http.StatusTooManyRequests && is.Code == "limit" && is.Header.Get("Retry-After") != "":
					refused++
				default:
					t.Errorf("%d %s", is.Status, is.Body)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if opened != 5 || refused != 995 || s.contacts.Live() != 5 {
		t.Errorf("%d are opened, %d refused, %d there", opened, refused, s.contacts.Live())
	}
	s.comesFrom("198.51.100.7")
	is := s.open(J{"text": "Hello"})

	// What is over counts no more; what was opened in a minute does.
	for range 2 {
		c, err := s.contacts.ByAddress(is.Contact.ID)
		s.must(err)
		_, err = contact.Wait(func(done desk.Done) { s.contacts.VisitorLeaves(c.ID, done) })
		s.must(err)
		is = s.open(J{"text": "Hello"})
	}
	s.comesFrom("2001:db8::1")
	for range 5 {
		s.open(J{})
	}
	s.comesFrom("2001:db8::ffff:2") // of the same network
	if is := s.do("POST", "contacts", J{"id": newID()}); is.Status != http.StatusTooManyRequests {
		t.Errorf("a neighbour gets %d %s", is.Status, is.Body)
	}
}

// More opened in a minute than one may is refused until that is over.
func TestOpensPerMinute(t *testing.T) {
	s := newShop(t, stopped, func(s *shop) { s.limits = visit.Limits{OpensPerMinute: 2, ContactsPerAccount: 4} })
	s.open(J{})
	s.open(J{})
	is := s.do("POST", "contacts", J{"id": newID()})
	if is.Status != http.StatusTooManyRequests || is.Header.Get("Retry-After") != "60" {
		t.Errorf("the third gets %d, %q", is.Status, is.Header.Get("Retry-After"))
	}
	s.passes(time.Minute)
	s.open(J{})
	s.open(J{})
	s.comesFrom("198.51.100.7")
	if is := s.do("POST", "contacts", J{"id": newID()}); is.Status != http.StatusTooManyRequests || is.Code != "limit" {
		t.Errorf("the fifth of the account gets %d %s", is.Status, is.Body)
	}
}

// A lost answer costs nothing: the same wish again gets the same contact, once.
func TestOpenedOnce(t *testing.T) {
	s := newShop(t, stopped)
	wish := J{"id": newID(), "text": "Hello", "fields": J{"b": "2", "a": "1"}}
	answers := make([]reply, 8)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = s.do("POST", "contacts", wish) })
	}
	all.Wait()
	for _, is := range answers {
		if is.Status != http.StatusCreated || is.Contact.ID != answers[0].Contact.ID || is.Token != answers[0].Token {
			t.Errorf("there is %d %s, and %s", is.Status, is.Body, answers[0].Body)
		}
	}
	if s.contacts.Live() != 1 {
		t.Errorf("%d contacts are there", s.contacts.Live())
	}
	if is := s.do("POST", "contacts", J{"id": wish["id"], "text": "Something else"}); is.Status != http.StatusConflict {
		t.Errorf("something else under the id gets %d", is.Status)
	}
	s.passes(10 * time.Minute)
	if is := s.do("POST", "contacts", wish); is.Status != http.StatusCreated || is.Contact.ID == answers[0].Contact.ID {
		t.Errorf("after ten minutes there is %d %s", is.Status, is.Body)
	}
}

// Wishes that can't be.
func TestWishesThatAreNone(t *testing.T) {
	s := newShop(t)
	for _, c := range []struct {
		wish   any
		status int
		code   string
	}{
		{"", 422, "invalid"},
		{"[]", 422, "invalid"},
		{`{"id":"0123456789abcdef","name":"` + "\xff" + `"}`, 422, "invalid"},
		{J{"id": "short"}, 422, "invalid"},
		{J{"id": strings.Repeat("a", 65)}, 422, "invalid"},
		{J{"id": newID(), "name": strings.Repeat("ä", 101)}, 422, "too_long"},
		{J{"id": newID(), "text": strings.Repeat("ä", 4001)}, 422, "too_long"},
		{J{"id": newID(), "text": " "}, 422, "empty"},
		{J{"id": newID(), "group": "nobody"}, 404, "unknown"},
		{J{"id": newID(), "identity": "a.b.c"}, 422, "identity"},
	} {
		if is := s.do("POST", "contacts", c.wish); is.Status != c.status || is.Code != c.code || is.Detail == "" {
			t.Errorf("%.60v gets %d %s", c.wish, is.Status, is.Body)
		}
	}
	many := make(J)
	for range 51 {
		many[newID()] = ""
	}
	if is := s.do("POST", "contacts", J{"id": newID(), "fields": many}); is.Code != "too_long" {
		t.Errorf("51 fields get %d %s", is.Status, is.Body)
	}
	if is := s.do("GET", "../nobody/config", nil); is.Status != http.StatusNotFound || is.Code != "unknown" {
		t.Errorf("no account: %d %s", is.Status, is.Body)
	}
	if s.contacts.Live() != 0 {
		t.Errorf("%d contacts were opened", s.contacts.Live())
	}
}

// Only so many connections come from one address.
func TestConnectionsPerAddress(t *testing.T) {
	s := newShop(t, func(s *shop) { s.limits = visit.Limits{ConnectionsPerAddress: 2, Connections: 3} })
	is := s.open(J{})
	first := s.comes(is.Token, 0)
	s.comes(is.Token, 0)
	refused := func() int {
		t.Helper()
		_, resp, err := s.dial()
		if err == nil {
			t.Fatal("one more connection is let in")
		}
		return resp.StatusCode
	}
	if status := refused(); status != http.StatusTooManyRequests {
		t.Errorf("the third from there gets %d", status)
	}
	s.comesFrom("198.51.100.7")
	s.comes(is.Token, 0)
	s.comesFrom("198.51.100.8")
	if status := refused(); status != http.StatusServiceUnavailable {
		t.Errorf("the fourth of all gets %d", status)
	}
	first.ws.Close(1000, "")
	s.eventually("its place is free", func() bool { return s.server.Stats.Connected.Load() == 2 })
	c := s.comes(is.Token, 0)
	s.eventually("there are three", func() bool { return s.server.Stats.Connected.Load() == 3 })
	c.ws.CloseNow()
}

// Pages of other origins ask for nothing; those of the own, and apps, do.
func TestOrigins(t *testing.T) {
	s := newShop(t)
	for _, c := range []struct {
		header []string
		good   bool
	}{
		{nil, true},
		{[]string{"Origin", s.https.URL}, true},
		{[]string{"Origin", strings.Replace(s.https.URL, "https", "http", 1)}, false},
		{[]string{"Origin", "https://shop.example"}, false},
		{[]string{"Origin", "null"}, false},
		{[]string{"Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Sec-Fetch-Site", "same-origin"}, true},
	} {
		ws, _, err := s.dial(c.header...)
		if (err == nil) != c.good {
			t.Errorf("a WebSocket with %v: %v", c.header, err)
		}
		if err == nil {
			ws.ws.CloseNow()
		}
		if is := s.do("POST", "contacts", J{"id": newID()}, c.header...); (is.Status == http.StatusCreated) != c.good || !c.good && is.Code != "origin" {
			t.Errorf("a contact with %v: %d %s", c.header, is.Status, is.Body)
		}
	}
}

// Who is banned is cut, and let in neither from there nor as the same visitor, until that is over; a restart
// forgets nothing.
func TestBans(t *testing.T) {
	s := newShop(t, stopped)
	is := s.open(J{"text": "Hello"})
	mia := s.comes(is.Token, 0)
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	s.ban(is.Contact.ID, time.Hour, contact.BanAddress, contact.BanVisitor)
	if code := mia.gone(); code != "banned" {
		t.Errorf("who is banned hears %q", code)
	}
	refused := func() bool {
		t.Helper()
		open := s.do("POST", "contacts", J{"id": newID(), "visitor": is.Visitor})
		post := s.do("POST", "frames", J{"type": "ping"}, "Authorization", "Bearer "+is.Token)
		c, resp, err := s.dial()
		bye := ""
		if err == nil {
			c.send(J{"type": "hello", "token": is.Token})
			f := c.next()
			bye = f.Code
			c.ws.CloseNow()
		} else if resp.StatusCode == http.StatusForbidden {
			bye = "banned"
		}
		if (open.Code == "banned") != (post.Code == "banned") || (bye == "banned") != (open.Code == "banned") {
			t.Errorf("opening gets %q, a frame %q, a connection %q", open.Code, post.Code, bye)
		}
		return open.Code == "banned"
	}
	if !refused() {
		t.Error("from the address one gets in")
	}
	s.comesFrom("198.51.100.7")
	if !refused() {
		t.Error("from elsewhere the same visitor gets in")
	}
	s.restart()
	if !refused() {
		t.Error("after a restart the visitor gets in")
	}
	if other := s.do("POST", "contacts", J{"id": newID()}); other.Status != http.StatusCreated {
		t.Errorf("somebody else gets %d %s", other.Status, other.Body)
	}
	s.comesFrom("192.0.2.1")
	bans := s.bans.List()
	if len(bans) != 2 {
		t.Fatalf("there are the bans %+v", bans)
	}
	for _, b := range bans {
		s.must(s.bans.Remove(t.Context(), b.ID))
	}
	if refused() {
		t.Error("who was let in again is refused")
	}
	s.ban(is.Contact.ID, time.Hour, contact.BanVisitor)
	if !refused() {
		t.Error("who was banned again gets in")
	}
	s.passes(time.Hour)
	if refused() {
		t.Error("after its time the ban holds still")
	}
	if bans := s.bans.List(); len(bans) != 0 {
		t.Errorf("there are the bans %+v", bans)
	}
	text, err := s.store.Setting(t.Context(), "visit.bans")
	s.must(err)
	if strings.Contains(text, "192.0.2") || strings.Contains(text, c.Visitor) {
		t.Errorf("who is banned can be read: %s", text)
	}
}

// Whoever sends too much is read from more slowly, and loses nothing.
func TestFramesPerSecond(t *testing.T) {
	s := newShop(t)
	is := s.open(J{})
	mia := s.comes(is.Token, 0)
	began := time.Now()
	for range 35 {
		mia.send(J{"type": "ping"})
	}
	for range 35 {
		mia.until("pong")
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("35 frames are taken in %s", took)
	}
}
