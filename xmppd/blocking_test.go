package xmppd

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"parley.im/parley/xmppd/wire"
)

// Whom an agent blocks hears that her devices are gone, also of one that goes at that
// moment (XEP-0191 §3.3; rule 31).
func TestADeviceGoesWhileItsAgentBlocks(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	phone, bob := d.device("anna", "phone", "1"), d.device("bob", "desk", "1")
	laptop := d.device("anna", "laptop", "")
	for i := range 150 {
		laptop.says(t, "<presence/>")
		bob.hears(t)
		switch i % 3 {
		case 0: // between the block and the farewells that it brings
			p := parting{before: *phone.agent.blocked.Load()}
			p.after = p.before.With([]string{"bob@desk.example"})
			phone.agent.enforce(&p, nil, func() {})
			laptop.says(t, "<presence type='unavailable'/>")
			phone.agent.partings(p)
		default:
			var wg sync.WaitGroup
			wg.Go(func() {
				phone.says(t, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@desk.example'/></block></iq>")
			})
			if i%3 == 1 {
				for !d.agent("anna").blocks("bob@desk.example") {
					phone.isAvailable() // nearly then
				}
			}
			laptop.says(t, "<presence type='unavailable'/>")
			wg.Wait()
		}
		gone := make(map[string]bool)
		for _, st := range bob.hears(t) {
			gone[string(st.From)] = string(st.Type) == "unavailable"
		}
		for _, s := range []*Session{phone, laptop} {
			if !gone[s.address] {
				t.Fatalf("round %d: %s seems to be here still", i, s.resource)
			}
		}
		phone.says(t, "<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>")
		phone.hears(t)
		laptop.hears(t)
	}
}

// Once a block is answered nothing comes any more of who is blocked, whatever was on its
// way then: not now, and not out of the log (XEP-0191 §3.3).
func TestNothingSlipsInAfterABlock(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	anna, bob := d.device("anna", "phone", "1"), d.device("bob", "desk", "1")
	for i := range 100 {
		var all sync.WaitGroup
		all.Go(func() {
			for n := range 20 {
				bob.handles(t, fmt.Sprintf("<message to='anna@desk.example' id='%d'><body>%d</body></message>", n, n))
				bob.handles(t, fmt.Sprintf("<message to='anna@desk.example' id='%d' type='headline'/>", n))
				bob.handles(t, fmt.Sprintf("<iq to='%s' id='%d' type='get'><x xmlns='urn:x'/></iq>", anna.address, n))
				bob.handles(t, fmt.Sprintf("<message to='%s' id='%d' type='error'/>", anna.address, n))
			}
			bob.settle()
		})
		anna.handles(t, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@desk.example'/></block></iq>")
		all.Wait()
		anna.drains()
		answered := false
		for _, st := range anna.hears(t) {
			answered = answered || string(st.ID) == "b"
			if answered && string(st.From) == bob.address {
				t.Errorf("round %d: after the block comes %s", i, st.Raw())
			}
		}
		bob.hears(t)
		anna.says(t, "<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>")
		anna.hears(t)
	}
}

// Who is blocked can take back what he has granted all the same, and nobody hears of it
// (RFC 6121 §3.2; XEP-0191 §3.3). He asks for nothing anew.
func TestWhoIsBlockedTakesBackWhatHeGranted(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	d.server.config.Colleagues = false
	d.regroup()
	anna, bob := d.device("anna", "phone", "1"), d.device("bob", "desk", "1")
	anna.says(t, "<presence type='subscribe' to='bob@desk.example'/>")
	bob.says(t, "<presence type='subscribed' to='anna@desk.example'/>")
	if !anna.sees(bob.agent) || !bob.agent.shows(anna.agent) {
		t.Fatal("bob has granted nothing")
	}
	anna.says(t, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@desk.example'/></block></iq>")
	anna.hears(t)
	bob.says(t, "<presence type='subscribe' to='anna@desk.example'/>")
	if state, _ := bob.agent.contacts().State("anna@desk.example"); state.Out() {
		t.Error("bob waits for who has blocked him")
	}
	bob.says(t, "<presence type='unsubscribed' to='anna@desk.example'/>")
	if got := anna.hears(t); len(got) > 0 {
		t.Errorf("anna hears %s", got[0].Raw())
	}
	anna.says(t, "<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>")
	for _, st := range anna.hears(t) { // that he is gone, for her
		if string(st.From) == bob.address && string(st.Type) != "unavailable" {
			t.Errorf("anna hears %s", st.Raw())
		}
	}
	if anna.sees(bob.agent) || bob.agent.shows(anna.agent) {
		t.Error("anna may see bob still")
	}
}

// Who has gone while an agent had blocked him is gone when she unblocks him, each device
// once (rule 31), and who is here is here: whether she had blocked one device or all.
func TestWhoWentWhileBlockedIsGone(t *testing.T) {
	for _, whom := range []string{"bob@desk.example", "bob@desk.example/laptop"} {
		d := newOffice(t, "anna", "bob")
		anna := d.device("anna", "phone", "1")
		desk, laptop := d.device("bob", "desk", "1"), d.device("bob", "laptop", "1")
		anna.says(t, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='%s'/></block></iq>", whom)
		anna.hears(t)
		laptop.gone()
		if got := anna.hears(t); len(got) > 0 {
			t.Errorf("while %s is blocked anna hears %s", whom, got[0].Raw())
		}
		for _, want := range []map[string]string{{laptop.address: "unavailable"}, {}} {
			if whom == "bob@desk.example" {
				want[desk.address] = ""
			}
			anna.says(t, "<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>")
			got := make(map[string]string)
			for _, st := range anna.hears(t) {
				if st.Kind == wire.Presence {
					got[string(st.From)] += string(st.Type)
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s unblocked: anna hears %v, want %v", whom, got, want)
			}
			anna.says(t, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='%s'/></block></iq>", whom)
			anna.hears(t)
		}
	}
}
