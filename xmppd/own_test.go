package xmppd

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// asked sends a request and returns how it was answered.
func (s *Session) asked(t *testing.T, payload string) string {
	t.Helper()
	s.hears(t)
	s.says(t, "<iq type='set' id='1'>%s</iq>", payload)
	return answerTo(t, s.hears(t))
}

// size is how much of a part an agent has.
func (d *office) size(name string, part store.Part) (things, bytes int) {
	d.t.Helper()
	err := d.store.OwnOf(d.t.Context(), d.agent(name).id, part, func(_ string, value []byte) error {
		things, bytes = things+1, bytes+len(value)
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return things, bytes
}

func TestBlockListIsBounded(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	anna := d.device("anna", "laptop", "")
	block := func(from, to int) string {
		var items strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&items, "<item jid='nobody%d@elsewhere.example'/>", i)
		}
		return anna.asked(t, "<block xmlns='urn:xmpp:blocking'>"+items.String()+"</block>")
	}
	for _, c := range []struct {
		from, to int
		want     string
		then     int
	}{
		{0, 600, "result", 600},
		{500, 1001, wire.PolicyViolation, 600}, // all or nothing
		{500, 1000, "result", 1000},
		{1000, 1001, wire.PolicyViolation, 1000},
		{0, 1000, "result", 1000}, // nothing new
	} {
		if got := block(c.from, c.to); got != c.want {
			t.Errorf("blocking %d to %d: %s, want %s", c.from, c.to, got, c.want)
		}
		if n, _ := d.size("anna", store.OwnBlocked); n != c.then || len(*d.agent("anna").blocked.Load()) != c.then {
			t.Errorf("after %d to %d there are %d on disk and %d in memory, want %d", c.from, c.to, n, len(*d.agent("anna").blocked.Load()), c.then)
		}
	}
	if got := anna.asked(t, "<unblock xmlns='urn:xmpp:blocking'/>"); got != "result" {
		t.Errorf("unblocking all: %s", got)
	}
	if n, _ := d.size("anna", store.OwnBlocked); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestPrivateStorageIsBounded(t *testing.T) {
	d := newOffice(t, "anna")
	anna := d.device("anna", "laptop", "")
	keep := func(things string) string {
		return anna.asked(t, "<query xmlns='jabber:iq:private'>"+things+"</query>")
	}
	var hundred strings.Builder
	for i := range 100 {
		fmt.Fprintf(&hundred, "<x%d xmlns='urn:x'>%d</x%d>", i, i, i)
	}
	big := strings.Repeat("much ", 40_000)
	for _, c := range []struct {
		name, things, want string
		kinds              int
	}{
		{"100 kinds", hundred.String(), "result", 100},
		{"one more", "<y xmlns='urn:x'>1</y>", wire.PolicyViolation, 100},
		{"one of them anew", "<x7 xmlns='urn:x'>more</x7>", "result", 100},
		{"one less, one more", "<x7 xmlns='urn:x'/><y xmlns='urn:x'>1</y>", "result", 100},
		{"none of another kind", "<z xmlns='urn:x'/>", "result", 100},
		{"200 KB", "<x1 xmlns='urn:x'>" + big + "</x1>", "result", 100},
		{"400 KB", "<x2 xmlns='urn:x'>" + big + "</x2>", "result", 100},
		{"600 KB", "<x3 xmlns='urn:x'>" + big + "</x3>", "result", 100},
		{"800 KB", "<x4 xmlns='urn:x'>" + big + "</x4>", "result", 100},
		{"1000 KB", "<x5 xmlns='urn:x'>" + big + "</x5>", "result", 100},
		{"1200 KB", "<x6 xmlns='urn:x'>" + big + "</x6>", wire.PolicyViolation, 100},
		{"the same again", "<x5 xmlns='urn:x'>" + big + "</x5>", "result", 100},
	} {
		if got := keep(c.things); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if n, bytes := d.size("anna", store.OwnPrivate); n != c.kinds || bytes > maxPrivateSize {
			t.Errorf("%s: there are %d kinds of %d bytes, want %d", c.name, n, bytes, c.kinds)
		}
	}
}

// Whatever Anna says, and however often Bob looks for her, while she changes her mind:
// once she has blocked him the last that he hears is that she has gone, and once she has
// unblocked him, what she said last. Rule 53.
func TestBlockingHasTheLastWord(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	l := *d.server.limits.Load()
	l.Queue, l.QueueBytes = 1<<20, 1<<30
	d.server.SetLimits(l)
	laptop, tablet := d.device("anna", "laptop", "0"), d.device("anna", "tablet", "")
	bob := d.device("bob", "desk", "0")
	said, heard := 0, "" // by and of the laptop
	for round := range 100 {
		blocked := round%2 == 0
		verb := map[bool]string{true: "block", false: "unblock"}[blocked]
		changed := make(chan struct{})
		var all sync.WaitGroup
		meanwhile := func(s *Session, text func() string) {
			all.Go(func() {
				for over := false; !over; {
					select {
					case <-changed:
						over = true // and once more
					default:
					}
					s.handles(t, text())
				}
			})
		}
		meanwhile(laptop, func() string { said++; return fmt.Sprintf("<presence><status>%d</status></presence>", said) })
		meanwhile(bob, func() string { return "<presence type='probe' to='anna@desk.example'/>" })
		tablet.handles(t, "<iq type='set' id='1'><"+verb+" xmlns='urn:xmpp:blocking'><item jid='bob@desk.example'/></"+verb+"></iq>")
		close(changed)
		all.Wait()
		for _, st := range bob.hears(t) {
			if string(st.From) == laptop.address {
				heard = string(st.Type) + st.Text(st.Child(wire.NSClient, "status"))
			}
		}
		if want := fmt.Sprint(said); !blocked && heard != want || blocked && heard != "unavailable" {
			t.Fatalf("in round %d, %sed, Bob heard %q at last, and Anna said %d", round, verb, heard, said)
		}
		laptop.hears(t)
		tablet.hears(t)
	}
}

// handles handles a stanza in whatever goroutine.
func (s *Session) handles(t *testing.T, text string) {
	st, err := wire.Parse([]byte(text), wire.Limits{})
	if err == nil {
		err = s.route(st)
	}
	if err != nil {
		t.Error(err)
	}
}
