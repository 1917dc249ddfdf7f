package visit_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// refusedToken says what a token gets by each way.
func (s *shop) refusedToken(token string) string {
	s.t.Helper()
	c, _, err := s.dial()
	s.must(err)
	c.send(J{"type": "hello", "token": token})
	got := c.gone()
	for _, path := range []string{"events", "frames"} {
		method := "GET"
		if path == "frames" {
			method = "POST"
		}
		is := s.do(method, path, J{"type": "say", "id": "x", "text": "x"}, "Authorization", "Bearer "+token)
		got += " " + http.StatusText(is.Status) + " " + is.Code + " " + is.Detail
	}
	return got
}

// Whatever is wrong with a token, what is heard is the same.
func TestTokensThatAreNotGood(t *testing.T) {
	s := newShop(t)
	is := s.open(J{"text": "Hello"})
	other := newShop(t).open(J{"text": "Hello"})
	raw, err := base64.RawURLEncoding.DecodeString(is.Token)
	s.must(err)
	forge := func(change func([]byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change([]byte(string(raw))))
	}
	const want = "expired Unauthorized token the token is not good, or not any more Unauthorized token the token is not good, or not any more"
	for name, token := range map[string]string{
		"none":              "",
		"not base64":        "ä" + is.Token,
		"another account's": other.Token,
		"a visitor's":       is.Visitor,
		"cut":               is.Token[:len(is.Token)-4],
		"long":              strings.Repeat(is.Token, 10),
		"another address":   forge(func(b []byte) []byte { b[32] ^= 1; return b }),
		"another mark":      forge(func(b []byte) []byte { b[0] ^= 1; return b }),
		"another time":      forge(func(b []byte) []byte { b[len(b)-5] ^= 1; return b }),
		"no mark":           forge(func(b []byte) []byte { return b[32:] }),
	} {
		if got := s.refusedToken(token); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A token is good for a day after the contact, and for a month at most.
func TestTokenExpires(t *testing.T) {
	s := newShop(t, stopped)
	is, long := s.open(J{"text": "Hello"}), s.open(J{"text": "Hello"})
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	_, err = contact.Wait(func(done desk.Done) { s.contacts.VisitorLeaves(c.ID, done) })
	s.must(err)
	good := func(token string) bool {
		c, _, err := s.dial()
		s.must(err)
		defer c.ws.CloseNow()
		c.send(J{"type": "hello", "token": token})
		return c.next().Type == "welcome"
	}
	for _, c := range []struct {
		after       time.Duration
		over, going bool
	}{{0, true, true}, {24*time.Hour - time.Second, true, true}, {24 * time.Hour, false, true}, {30*24*time.Hour - time.Second, false, true}, {30 * 24 * time.Hour, false, false}} {
		s.passes(c.after)
		if good(is.Token) != c.over || good(long.Token) != c.going {
			t.Errorf("after %s the tokens are good: %v, %v; want %v, %v", c.after, good(is.Token), good(long.Token), c.over, c.going)
		}
	}
}

// Who has said nothing of themself is the same visitor again with what the last contact has given.
func TestVisitorComesAgain(t *testing.T) {
	s := newShop(t)
	visitor := func(is reply) string {
		c, err := s.contacts.ByAddress(is.Contact.ID)
		s.must(err)
		return c.Visitor
	}
	first := s.open(J{})
	again, forged, nobody := s.open(J{"visitor": first.Visitor}), s.open(J{"visitor": first.Token}), s.open(J{})
	if visitor(again) != visitor(first) {
		t.Error("who comes again is another visitor")
	}
	if visitor(forged) == visitor(first) || visitor(nobody) == visitor(first) || visitor(nobody) == visitor(forged) {
		t.Error("who is somebody else is the same visitor")
	}
}
