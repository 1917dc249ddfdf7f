package visit_test

import (
	"maps"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
)

// What a shop signs of a visitor is taken, and nothing else.
func TestIdentity(t *testing.T) {
	s := newShop(t, stopped)
	const kid = "ak_desk_shop"
	secret := []byte("as_0123456789abcdef0123456789abcdef")
	for id, k := range map[string]store.APIKey{
		kid: {Signing: true}, "ak_desk_basic": {}, "ak_desk_old": {Signing: true, Expires: s.now().Add(-time.Second)},
	} {
		k.ID, k.Role, k.Secret, k.Created = id, "auditor", secret, s.now()
		s.must(s.store.AddAPIKey(t.Context(), k))
	}
	claims := func(change jwt.MapClaims) jwt.MapClaims {
		c := jwt.MapClaims{"sub": "customer-17", "name": "Mia", "email": "mia@home.example", "aud": "visitors.desk.example", "exp": s.now().Add(4 * time.Minute).Unix()}
		maps.Copy(c, change)
		for k, v := range c {
			if v == nil {
				delete(c, k)
			}
		}
		return c
	}
	sign := func(method jwt.SigningMethod, kid string, key any, c jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, c)
		if kid != "" {
			token.Header["kid"] = kid
		}
		text, err := token.SignedString(key)
		s.must(err)
		return text
	}
	good := func(change jwt.MapClaims) string { return sign(jwt.SigningMethodHS256, kid, secret, claims(change)) }
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil))
	critical.Header["kid"], critical.Header["crit"] = kid, []string{"exp"}
	crit, err := critical.SignedString(secret)
	s.must(err)

	want := s.do("POST", "contacts", J{"id": newID(), "identity": "x"})
	for name, text := range map[string]string{
		"alg none":               sign(jwt.SigningMethodNone, kid, jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"HS512":                  sign(jwt.SigningMethodHS512, kid, secret, claims(nil)),
		"another secret":         sign(jwt.SigningMethodHS256, kid, []byte("as_something else"), claims(nil)),
		"no kid":                 sign(jwt.SigningMethodHS256, "", secret, claims(nil)),
		"a key of the API":       sign(jwt.SigningMethodHS256, "ak_desk_basic", secret, claims(nil)),
		"a key that is over":     sign(jwt.SigningMethodHS256, "ak_desk_old", secret, claims(nil)),
		"a critical header":      crit,
		"a token of the API":     good(jwt.MapClaims{"aud": "desk.example"}),
		"for two":                good(jwt.MapClaims{"aud": []string{"visitors.desk.example", "desk.example"}}),
		"for nobody":             good(jwt.MapClaims{"aud": nil}),
		"no exp":                 good(jwt.MapClaims{"exp": nil}),
		"expired":                good(jwt.MapClaims{"exp": s.now().Add(-time.Minute).Unix()}),
		"good for too long":      good(jwt.MapClaims{"exp": s.now().Add(6 * time.Minute).Unix()}),
		"not yet":                good(jwt.MapClaims{"nbf": s.now().Add(time.Minute).Unix()}),
		"nobody":                 good(jwt.MapClaims{"sub": nil}),
		"nobody but white space": good(jwt.MapClaims{"sub": " "}),
	} {
		is := s.do("POST", "contacts", J{"id": newID(), "identity": text})
		if is.Status != want.Status || string(is.Body) != string(want.Body) {
			t.Errorf("%s gets %d %s, want %d %s", name, is.Status, is.Body, want.Status, want.Body)
		}
	}

	visitor := func(wish J) string {
		t.Helper()
		is := s.open(wish)
		c, err := s.contacts.ByAddress(is.Contact.ID)
		s.must(err)
		if wish["identity"] != nil && (c.Name != "Mia" || c.Fields["email"] != "mia@home.example" || len(c.Tags) != 1 || is.Visitor != "") {
			t.Errorf("the contact is %+v, and %s", c, is.Body)
		}
		return c.Visitor
	}
	first := visitor(J{"identity": good(nil), "name": "Zoe", "fields": J{"email": "zoe@home.example"}})
	if again := visitor(J{"identity": good(jwt.MapClaims{"exp": s.now().Add(3 * time.Minute).Unix()})}); again != first {
		t.Errorf("the same person is %s and %s", first, again)
	}
	if other := visitor(J{"identity": good(jwt.MapClaims{"sub": "customer-18"})}); other == first {
		t.Error("two people have one id")
	}

	// Who is banned is so wherever they sign in.
	banned := s.open(J{"identity": good(jwt.MapClaims{"sub": "customer-19"})})
	s.ban(banned.Contact.ID, time.Hour, contact.BanVisitor)
	s.comesFrom("198.51.100.7")
	if is := s.do("POST", "contacts", J{"id": newID(), "identity": good(jwt.MapClaims{"sub": "customer-19"})}); is.Code != "banned" {
		t.Errorf("who is banned gets %d %s", is.Status, is.Body)
	}

	// A form changes nothing of what the shop vouches for.
	is := s.open(J{"identity": good(nil), "form": true})
	mia := s.comes(is.Token, 0)
	mia.send(J{"type": "submit", "name": "Zoe", "fields": J{"email": "zoe@home.example", "order": "12"}})
	mia.state("queued")
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	if c.Name != "Mia" || c.Fields["email"] != "mia@home.example" || c.Fields["order"] != "12" {
		t.Errorf("after the form the contact has %s %v", c.Name, c.Fields)
	}
}
