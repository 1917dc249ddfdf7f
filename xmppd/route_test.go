package xmppd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// Who gets a copy (rule 37), and what odd addresses mean; TestFates has the rest. A
// device is written as its name, then its priority ("-" for a negative one, nothing
// for none: it has said nothing), then "c" if it wants copies.
func TestWhoGetsAMessage(t *testing.T) {
	d := newOffice(t, "anna", "bob0", "bob1", "bob2", "bob3", "bob4", "bob5", "bob6", "bob7", "bob8", "bob9")
	from := d.device("anna", "laptop", "")
	for i, c := range []struct {
		devices, kind, to string
		want              string // devices, with a c for a copy, or the refusal
	}{
		{"a0 b0c c-c dc", "chat", "bob@desk.example", "a b cc dc"},
		{"a0 b0c c-c dc", "normal", "bob@desk.example", "a b cc dc"},
		{"a0 b0c c-c dc", "headline", "bob@desk.example", "a b"},
		{"c-c d", "chat", "bob@desk.example", "cc"},
		{"a0c c-c d", "chat", "bob@desk.example/d", "ac cc d"},
		{"a0c c-c", "groupchat", "bob@desk.example/c", "c"},
		{"a0 b0 c-c", "chat", "bob@desk.example/gone", "a b cc"},

		{"a0", "chat", "BOB@Desk.Example", "a"}, // rule 8
		{"a0", "chat", strings.Repeat("b", 4000) + "@desk.example", wire.JIDMalformed},
		{"a0", "shout", "bob@desk.example/gone", wire.ServiceUnavailable}, // RFC 6121 §5.2.2: normal
	} {
		bob := fmt.Sprint("bob", i) // a new one each time
		for _, device := range strings.Fields(c.devices) {
			priority := strings.TrimRight(device[1:], "c")
			o := d.device(bob, device[:1], strings.Replace(priority, "-", "-1", 1))
			o.carbons = strings.HasSuffix(device[1:], "c")
		}
		to := strings.NewReplacer("bob@", bob+"@", "BOB@", strings.ToUpper(bob)+"@").Replace(c.to)
		if got := d.sent(from, c.kind, to, bob); got != c.want {
			t.Errorf("%s to %s with %q: %q, want %q", c.kind, c.to, c.devices, got, c.want)
		}
	}
}

// sent sends a message and says who of an agent's devices gets it, or why not.
func (d *office) sent(from *Session, kind, to, name string) string {
	d.t.Helper()
	devices := d.agent(name).list()
	for _, o := range devices {
		o.hears(d.t)
	}
	from.hears(d.t)
	from.says(d.t, "<message type='%s' to='%s'><body>Hello</body></message>", kind, to)
	if answer := answerTo(d.t, from.hears(d.t)); answer != "" {
		return answer
	}
	var got []string
	for _, o := range devices {
		for _, st := range o.hears(d.t) {
			name := o.resource
			if st.Child("urn:xmpp:carbons:2", "received") != nil {
				name += "c"
			}
			got = append(got, name)
		}
	}
	return strings.Join(got, " ")
}

// A session taken over from before a restart gets what came after it was put away, and
// only then what is said now (rule 23).
func TestWhatWaitsComesFirst(t *testing.T) {
	bob := newTestAgent(newTestServer(t, testLimits), "bob")
	desk := bob.away("desk")
	desk.presence.available = true
	bob.delivery = im.NewDelivery(store.Delivery{Cursor: 1}, 3)
	m := &outgoing{session: desk, target: &target{agent: bob}, at: time.Now(), wire: []byte("<message>"), idFrom: len("<message>")}
	bob.deliver(m, 4)
	bob.mu.Lock()
	defer bob.mu.Unlock()
	if desk.queued() != "" || !bob.draining(desk) {
		t.Errorf("the fourth message is queued before the second and the third: %q", desk.queued())
	}
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
	g.changed = 5
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
