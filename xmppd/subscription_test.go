package xmppd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"sync"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A pair are two agents who don't see each other, with a device each.
type pair struct {
	anna, bob   *agent
	phone, desk *Session
}

func newPair(t *testing.T) *pair {
	l := testLimits
	l.Queue, l.QueueBytes, l.Held = 1<<20, 1<<30, 0
	s := newTestServer(t, l)
	s.config.Colleagues = false
	anna := newTestAgent(s, "anna")
	bob := anna.account.newTestAgent(2, "bob")
	anna.account.agents["bob"] = bob
	p := &pair{anna: anna, bob: bob, phone: anna.away("phone"), desk: bob.away("desk")}
	p.desk.presence.available = true
	anna.present = 2 // there is another one, so that nothing becomes an event
	return p
}

// watched lets others see Anna, whose names come before Bob's: telling him takes time.
func (p *pair) watched(n int) {
	for i := range n {
		g := p.anna.account.newTestAgent(store.AgentID(10+i), fmt.Sprintf("anna%d", i))
		p.anna.account.agents[g.name] = g
		g.away("desk").presence.available = true
		g.sessions[0].ended = true // takes nothing
		p.anna.publish(p.anna.contacts().With(&im.Contact{JID: g.bare, With: g.id, State: im.From}))
	}
}

// shows makes Anna's roster say that Bob sees her, or doesn't, with what follows.
func (p *pair) shows(yes bool) {
	anna, bob := &side{agent: p.anna}, &side{agent: p.bob}
	contact := &im.Contact{JID: p.bob.bare, With: p.bob.id}
	if yes {
		contact.State = im.From
	}
	anna.there = p.anna.publish(p.anna.contacts().With(contact))
	for range rand.IntN(20) {
		runtime.Gosched()
	}
	if yes {
		introduce(p.bob, p.anna)
	} else {
		withdraw(anna, bob)
	}
}

// said hands the phone a presence stanza of its client's.
func (p *pair) said(t *testing.T, stanza string) {
	st, err := wire.Parse([]byte(stanza), wire.Limits{})
	if err != nil {
		t.Error(err)
		return
	}
	p.phone.presenceStanza(st)
}

var presenceID = regexp.MustCompile(`<presence( type='unavailable')?(?: id='([0-9]+)')?[^>]*>(?:<status>([0-9]+)</status>)?`)

// lastSeen is the last that Bob's desk got of Anna's phone: the number of a presence, or
// "" for none.
func (p *pair) lastSeen() string {
	p.desk.mu.Lock()
	defer p.desk.mu.Unlock()
	n := len(p.desk.out.queue)
	if n == 0 {
		return ""
	}
	m := presenceID.FindSubmatch(p.desk.out.queue[n-1].data)
	if len(m[1]) > 0 {
		return ""
	}
	return string(m[3])
}

// Whatever Anna says while she lets Bob see her, or turns him away, in the end he sees
// what she said last, or nothing (RFC 6121 §3.1.5, §3.2.2; rule 29).
func TestPresenceWhileASubscriptionChanges(t *testing.T) {
	p := newPair(t)
	p.watched(20)
	for i := range 4000 {
		granted, last := i%2 == 1, ""
		p.shows(!granted)
		var wg sync.WaitGroup
		wg.Go(func() {
			for k := range 2 {
				last = fmt.Sprint(2*i + k)
				p.said(t, "<presence><status>"+last+"</status></presence>")
			}
			if i%3 == 0 {
				last = ""
				p.said(t, "<presence type='unavailable'/>")
				p.anna.present = 2
			}
		})
		wg.Go(func() {
			for range rand.IntN(50) {
				runtime.Gosched()
			}
			p.shows(granted)
		})
		wg.Go(func() {
			for range 5 {
				p.desk.see(p.anna, "", nil)
				runtime.Gosched()
			}
		})
		wg.Wait()
		if !granted {
			last = ""
		}
		if got := p.lastSeen(); got != last {
			t.Fatalf("round %d: Bob sees %q, want %q", i, got, last)
		}
		p.desk.out.queue = nil
	}
}

// What is full is full, and says so (rule 24; RFC 6121 §3.1.3).
func TestARosterHasBounds(t *testing.T) {
	p := newPair(t)
	full := new(im.Roster)
	for i := range im.MaxContacts {
		full = full.With(&im.Contact{JID: fmt.Sprintf("c%04d@desk.example", i)})
	}
	for i := range im.MaxRequests {
		full = full.Asked(&im.Pending{From: fmt.Sprintf("q%04d@desk.example", i)})
	}
	refused := func(what string, err error) {
		t.Helper()
		var e wire.StanzaError
		if !errors.As(err, &e) || e.Condition != wire.ResourceConstraint {
			t.Errorf("%s: %v, want %s", what, err, wire.ResourceConstraint)
		}
	}
	sides := func() (c *rosterChange, me, other *side) {
		me = &side{jid: p.anna.bare, id: 1, agent: p.anna, roster: full}
		other = &side{jid: "new@desk.example", id: 9, roster: emptyRoster}
		return &rosterChange{account: p.anna.account, sides: map[string]*side{me.jid: me, other.jid: other}}, me, other
	}
	c, me, other := sides()
	refused("one more contact", c.label(me, &im.RosterSet{JID: other.jid}))
	refused("one more that she asks", c.say(me.jid, other.jid, im.VerbSubscribe, words{}))
	c, me, other = sides()
	refused("one more that asks", c.say(other.jid, me.jid, im.VerbSubscribe, words{}))
	if c, me, _ = sides(); c.label(me, &im.RosterSet{JID: "c0000@desk.example", Name: "C"}) != nil {
		t.Error("a contact that is there cannot be renamed")
	}
	c, me, other = sides()
	other.jid = "q0000@desk.example"
	c.sides[other.jid] = other
	if err := c.say(other.jid, me.jid, im.VerbSubscribe, words{inner: []byte("again")}); err != nil || string(me.roster.Request(other.jid).Inner) != "again" {
		t.Errorf("who has asked cannot ask again: %v", err)
	}
}
