package xmppd

import (
	"fmt"
	"regexp"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

var itemElement = regexp.MustCompile(`<item .*?(/>|</item>)`)

// The version is that of all items that are shown, each once (rule 26), whoever is a
// colleague and whatever she has made of them.
func TestTheVersionIsThatOfTheItems(t *testing.T) {
	p := newPair(t)
	a := p.anna.account
	for i := range 5 {
		g := a.newTestAgent(store.AgentID(10+i), fmt.Sprint("c", i))
		a.agents[g.name] = g
	}
	a.server.config.ColleaguesMax = 10
	own := p.anna.contacts()
	for _, c := range []*im.Contact{
		{JID: "c1@desk.example", Name: "One", Set: true}, {JID: "c2@desk.example", State: im.From, With: 12},
		{JID: "shop@elsewhere.example", Set: true, Groups: []string{"A"}}, {JID: "gone@desk.example", Name: "Gone", Set: true},
	} {
		own = own.With(c)
	}
	seen := make(map[string]bool)
	for _, roster := range []*im.Roster{emptyRoster, own} {
		for _, c := range []struct {
			grouped bool
			items   int
		}{{false, len(roster.Contacts)}, {true, 6 + min(len(roster.Contacts), 2)}} {
			a.server.config.Colleagues = c.grouped
			a.regroup()
			p.anna.publish(roster)
			v := p.anna.view()
			items := itemElement.FindAll(v.appendAll(nil), -1)
			var sum im.RosterVersion
			for _, item := range items {
				sum = sum.Plus(im.VersionOf(item))
			}
			if len(items) != c.items || sum != v.version() {
				t.Errorf("grouped=%t: %d items, want %d; version %v, want %v", c.grouped, len(items), c.items, v.version(), sum)
			}
			seen[sum.String()] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("four rosters have the versions %v", seen)
	}
}

// Who leaves while others change what they have with her has a roster all the same: the
// one that is kept.
func TestARosterIsThereWhileItsAgentLeaves(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	bob := d.agent("bob")
	overAndOver(t, func() { // as load and leave do
		bob.roster.Store(emptyRoster)
		bob.roster.Store(nil)
	})
	for range 50000 {
		c := &rosterChange{account: d.account, ctx: t.Context(), sides: make(map[string]*side)}
		s, err := c.side(bob.bare)
		if err != nil {
			t.Fatal(err)
		}
		if s.roster == nil {
			t.Fatal("there is no roster")
		}
	}
}
