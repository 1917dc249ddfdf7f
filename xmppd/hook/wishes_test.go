package hook

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/store"
)

// changed makes the stage's endpoint what f makes of it.
func (s *stage) changed(f func(*store.Endpoint)) {
	s.m.t.Helper()
	if _, err := s.m.ChangeEndpoint(s.m.t.Context(), "wh_1", func(e *store.Endpoint) error { f(e); return nil }); err != nil {
		s.m.t.Fatal(err)
	}
}

// While two secrets are good a receiver that knows either is content; afterwards the new one
// is all there is. So it is with keys.
func TestBothSecretsSignForAWhile(t *testing.T) {
	oldKey, youngKey := store.NewSignKey(), store.NewSignKey()
	inBubble(t, func(t *testing.T, s *stage) {
		const old, young = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk", "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"
		s.changed(func(e *store.Endpoint) {
			e.Secret, e.Previous, e.PreviousUntil = young, old, time.Now().Add(time.Hour)
			e.SignKey, e.PreviousKey = youngKey, oldKey
		})
		_, stop := start(t, s.c, desk(s.m))
		defer stop()
		s.m.say("one")
		pass(2 * time.Hour)
		s.m.say("two")
		pass(time.Minute)
		got := s.all()
		if len(got) != 2 {
			t.Fatalf("%d requests, want 2", len(got))
		}
		type pair struct {
			secret string
			key    store.SignKey
		}
		for i, pairs := range [][]pair{{{young, youngKey}, {old, oldKey}}, {{young, youngKey}}} {
			var want []string
			for _, p := range pairs {
				id, at, body := got[i].header.Get("webhook-id"), got[i].at, got[i].body
				want = append(want, Sign(p.secret, id, at, body), SignPublicly(p.key, id, at, body))
			}
			if signed := got[i].header.Get("webhook-signature"); signed != strings.Join(want, " ") {
				t.Errorf("request %d is signed %q, want %q", i, signed, want)
			}
		}
	})
}

// VIV-7: a new token signs at once, without a restart, and the old one beside it while it is
// good; a restart changes nothing about that.
func TestBothTokensSignForAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		sender, stop := start(t, s.c, desk(s.m))
		s.changed(func(e *store.Endpoint) { e.Events = []string{"message.created"} })
		sender.Reload("desk")
		s.m.say("one")
		pass(time.Second)
		token := s.m.rotate(24 * time.Hour)
		sender.Reload("desk")
		pass(time.Millisecond) // it is looked at soon, not at once
		s.m.say("two")
		pass(time.Minute)
		stop()
		_, stop = start(t, s.c, desk(s.m))
		defer stop()
		s.m.say("three")
		pass(25 * time.Hour)
		s.m.say("four")
		pass(time.Second)
		got := s.all()
		if len(got) != 4 {
			t.Fatalf("%d requests, want 4", len(got))
		}
		for i, want := range []struct{ token, old string }{
			{sampleToken, ""}, {token.Value, token.Previous}, {token.Value, token.Previous}, {token.Value, ""},
		} {
			if h := got[i].header.Get("x-vvc-hmac"); h != HMAC(want.token, got[i].body) {
				t.Errorf("request %d: x-vvc-hmac is not of the right token", i)
			}
			old := got[i].header.Values("x-parley-hmac-sha1-previous")
			if want.old == "" && len(old) > 0 || want.old != "" && (len(old) != 1 || old[0] != HMAC(want.old, got[i].body)) {
				t.Errorf("request %d: x-parley-hmac-sha1-previous is %q", i, old)
			}
		}
	})
}

// What a receiver wants to see besides the signature is there on every attempt, and a thin
// body says nothing of what was said.
func TestWhatTheReceiverWants(t *testing.T) {
	for want, auth := range map[string]store.EndpointAuth{
		"":                           {},
		"Basic cGFybGV5OnNlc2FtZQ==": {User: "parley", Password: "sesame"},
		"Bearer abc.def":             {Bearer: "abc.def"},
	} {
		inBubble(t, func(t *testing.T, s *stage) {
			s.changed(func(e *store.Endpoint) { e.Auth, e.Thin = auth, true })
			s.say(status(500))
			_, stop := start(t, s.c, desk(s.m))
			defer stop()
			s.m.say("nobody's business")
			pass(time.Minute)
			got := s.all()
			if len(got) < 2 {
				t.Fatalf("%d attempts", len(got))
			}
			for _, g := range got {
				if h := g.header.Get("Authorization"); h != want {
					t.Errorf("Authorization is %q, want %q", h, want)
				}
				var body struct {
					Data struct{ Message struct{ Thin bool } }
				}
				if err := json.Unmarshal(g.body, &body); err != nil || !body.Data.Message.Thin || strings.Contains(string(g.body), "business") {
					t.Errorf("the body is %s, %v", g.body, err)
				}
			}
		})
	}
}

// Over plain http what was said goes only where the owner has confirmed it, and never what the
// account encrypts.
func TestInClearOnlyWhereConfirmed(t *testing.T) {
	for _, c := range []struct {
		name              string
		sealed, confirmed bool
		want              bool
	}{
		{"neither", false, false, false},
		{"confirmed", false, true, true},
		{"encrypted", true, false, false},
		{"encrypted and confirmed", true, true, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var p pipes
			var r receiver
			p.serve("shop.example:80", &r, nil)
			t.Cleanup(p.end)
			m := newLedgerOf(t, c.sealed).with(store.Endpoint{ID: "wh_1", URL: "http://shop.example/parley",
				EndpointOptions: store.EndpointOptions{Clear: c.confirmed}})
			start(t, Config{Dial: p.dial}, desk(m))
			m.say("everybody's business")
			pass(time.Second)
			got := r.all()
			if len(got) != 1 || strings.Contains(string(got[0].body), "business") != c.want || strings.Contains(string(got[0].body), `"thin":true`) == c.want {
				t.Errorf("%s: came %s, want the text %v", c.name, got[0].body, c.want)
			}
		})
	}
}

// The header that other services' receivers look for holds the same as ours, over the bytes
// that came.
func TestHubSignature(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.changed(func(e *store.Endpoint) { e.Vivocha = true })
		sender, stop := start(t, s.c, desk(s.m))
		defer stop()
		s.m.say("one")
		pass(time.Second)
		s.changed(func(e *store.Endpoint) { e.Hub = true })
		sender.Reload("desk")
		s.m.say("two")
		pass(time.Second)
		got := s.all()
		if len(got) != 2 {
			t.Fatalf("%d requests, want 2", len(got))
		}
		for i, want := range []string{"", "sha1=" + HMAC(sampleToken, got[1].body)} {
			h := got[i].header
			if h.Get("x-hub-signature") != want || h.Get("x-parley-event") != "message.created" || got[i].body[0] != '[' {
				t.Errorf("x-hub-signature of %s is %q, want %q", got[i].body, h.Get("x-hub-signature"), want)
			}
		}
	})
}

// What an endpoint was given up for, or has taken, comes once more when somebody asks for it:
// the same event, with the attempts counted anew.
func TestWhatIsAskedForAgainComesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.say(status(500))
		sender, stop := start(t, s.c, desk(s.m))
		defer stop()
		s.m.say("dead")
		pass(6 * 24 * time.Hour)
		first := s.all()[0]
		dead, err := s.m.DeadLetters(t.Context(), "wh_1", time.Time{})
		if err != nil || len(dead) != 1 {
			t.Fatalf("dead letters %v, %v", dead, err)
		}
		s.say(nil)
		s.m.say("alive")
		pass(time.Minute)
		before := len(s.all())
		if err := s.m.SendAgain(t.Context(), "wh_1", dead, time.Now()); err != nil {
			t.Fatal(err)
		}
		s.changed(func(e *store.Endpoint) { e.Again = time.Now().UTC() })
		sender.Reload("desk")
		pass(time.Minute)
		got := s.all()[before:]
		if len(got) != 1 || got[0].header.Get("webhook-id") != first.header.Get("webhook-id") || got[0].header.Get("x-parley-attempt") != "1" || string(got[0].body) != string(first.body) {
			t.Errorf("again came %d: %v", len(got), got)
		}
		if rows := s.m.rows("wh_1"); len(rows) != 0 {
			t.Errorf("rows are left: %+v", rows)
		}
	})
}
