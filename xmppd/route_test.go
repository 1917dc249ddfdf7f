package xmppd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// Who gets a message: RFC 6121 §8.5, rules 18 to 22 and 37. A device is written as its
// name, then its priority ("-" for a negative one, nothing for none: it has said
// nothing), then "c" if it wants copies.
func TestWhoGetsAMessage(t *testing.T) {
	for _, c := range []struct {
		devices, kind, to string
		want              string // devices, with a c for a copy, or the refusal
	}{
		{"a0 b5 c- d", "chat", "bob@desk.example", "a b"},
		{"a0 b5 c- d", "normal", "bob@desk.example", "a b"},
		{"a0 b5 c- d", "headline", "bob@desk.example", "a b"},
		{"a0 b5 c- d", "groupchat", "bob@desk.example", wire.ServiceUnavailable},
		{"a0 b0c c-c dc", "chat", "bob@desk.example", "a b cc dc"},
		{"a0 b0c c-c dc", "headline", "bob@desk.example", "a b"},
		{"c- d", "chat", "bob@desk.example", ""},
		{"c- d", "headline", "bob@desk.example", ""},
		{"", "chat", "bob@desk.example", ""},
		{"", "groupchat", "bob@desk.example", wire.ServiceUnavailable},

		{"a0 c- d", "chat", "bob@desk.example/c", "c"},
		{"a0 c- d", "normal", "bob@desk.example/d", "d"},
		{"a0 c- d", "headline", "bob@desk.example/c", "c"},
		{"a0c c-c d", "chat", "bob@desk.example/d", "ac cc d"},
		{"a0 c-", "groupchat", "bob@desk.example/a", wire.ServiceUnavailable},

		{"a0 c-", "chat", "bob@desk.example/gone", "a"},
		{"a0 c-", "normal", "bob@desk.example/gone", wire.ServiceUnavailable},
		{"a0 c-", "headline", "bob@desk.example/gone", ""},
		{"a0 c-", "groupchat", "bob@desk.example/gone", wire.ServiceUnavailable},

		{"a0", "chat", "nobody@desk.example", wire.ServiceUnavailable},
		{"a0", "headline", "nobody@desk.example/x", wire.ServiceUnavailable},
		{"a0", "chat", "desk.example", wire.ServiceUnavailable},
		{"a0", "chat", "bob@elsewhere.example", wire.RemoteServerNotFound},
		{"a0", "chat", "bob@@desk.example", wire.JIDMalformed},
		{"a0", "chat", strings.Repeat("b", 4000) + "@desk.example", wire.JIDMalformed},
		{"a0", "chat", "BOB@Desk.Example", "a"}, // rule 8
	} {
		l := testLimits
		l.SessionsPerAgent = 10
		s := newTestServer(t, l)
		bob := newTestAgent(s, "bob")
		anna := newAgent(bob.account, store.Agent{ID: 2, Name: "anna"})
		bob.account.agents["anna"] = anna
		for _, d := range strings.Fields(c.devices) {
			o := bob.away(d[:1])
			o.presence.available = strings.ContainsAny(d[1:], "-0123456789")
			if strings.Contains(d, "-") {
				o.presence.priority = -1
			}
			o.carbons = strings.HasSuffix(d[1:], "c")
		}
		from := anna.away("laptop")
		if got := from.sent(c.kind, c.to); got != c.want {
			t.Errorf("%s to %s with %q: %q, want %q", c.kind, c.to, c.devices, got, c.want)
		}
	}
}

// sent routes a message as the session would, without a store.
func (s *Session) sent(kind, to string) string {
	target := s.target([]byte(to))
	if e := s.refused(target, kind); e != nil {
		return e.Condition
	}
	m := &outgoing{session: s, target: target, at: time.Now(), copied: kind == "chat" || kind == "normal", live: kind == "headline"}
	m.msg.Type = kind
	m.wire = []byte("<message>")
	m.idFrom = len(m.wire)
	if m.live {
		target.agent.deliverLive(m, kind)
	} else {
		target.agent.deliver(m, target.resource, 1)
	}
	var got []string
	for _, o := range target.agent.list() {
		switch text := o.queued(); {
		case strings.Contains(text, "urn:xmpp:carbons:2"):
			got = append(got, o.resource+"c")
		case text != "":
			got = append(got, o.resource)
		}
	}
	return strings.Join(got, " ")
}

func TestAnAgentWithTooManyDevices(t *testing.T) {
	s := newTestServer(t, testLimits)
	g := newTestAgent(s, "anna")
	first := g.away("first")
	first.lostAt = -10
	for _, name := range []string{"second", "third"} {
		o := newSession(g, name)
		o.epoch = &epoch{}
		if err := g.join(o, 3); err != nil {
			t.Fatal(err)
		}
	}
	// One that may never come back makes room.
	fourth := newSession(g, "fourth")
	fourth.epoch = &epoch{}
	if err := g.join(fourth, 3); err != nil || !first.ended {
		t.Fatalf("the fourth device: %v, first ended: %t", err, first.ended)
	}
	// Those that are connected don't. RFC 6120 §7.6.2.1.
	if err, ok := g.join(newSession(g, "fifth"), 3).(wire.StanzaError); !ok || err.Condition != wire.ResourceConstraint {
		t.Errorf("the fifth device: %v, want %s", err, wire.ResourceConstraint)
	}
}

// Whoever signed in with a password that was changed before the session was bound
// gets none: endAll did not know of it yet.
func TestPasswordChangedWhileSigningIn(t *testing.T) {
	s := newTestServer(t, testLimits)
	g := newTestAgent(s, "anna")
	g.changed.Store(5)
	for since, want := range map[int64]string{3: wire.NotAuthorized, 7: ""} {
		o := newSession(g, fmt.Sprint("since", since))
		o.epoch, o.since = &epoch{}, since
		var refused wire.StreamError
		errors.As(g.join(o, 3), &refused)
		if refused.Condition != want {
			t.Errorf("a sign-in that began at %d, with a change at 5: %q, want %q", since, refused.Condition, want)
		}
	}
}
