package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// I9: what a client has the server keep comes back as the same tree, to another device,
// whatever stands around it and wherever its namespaces are declared.
func TestI9WhatIsKeptComesBack(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t)
		for i := range 200 {
			g := newGenerator(seed, uint64(i))
			scope := g.open("iq type='set'")
			open, ask, end := "<vCard xmlns='vcard-temp'>", "<vCard xmlns='vcard-temp'/>", "</vCard>"
			if i%2 == 0 {
				open = "<query xmlns='jabber:iq:private'><keep xmlns='urn:example:keep'>"
				ask = "<query xmlns='jabber:iq:private'><keep xmlns='urn:example:keep'/></query>"
				end = "</keep></query>"
			}
			g.b.WriteString(open)
			g.text()
			g.element(scope, 3)
			g.b.WriteString(end + "</iq>")
			id := fmt.Sprintf("k%d", i)
			stanza, want := p.expected(p.anna, g.b.String(), "anna@desk.example", id)
			p.anna.send("%s", stanza)
			kept := p.anna.until("the answer to "+stanza, func(e *tree) bool { return e.name.Local == "iq" && e.attr("id") == id })
			if kept.attr("type") != "result" {
				t.Errorf("tree %d of seed %d is not kept: %s", i, seed, kept)
			}
			name := want.kids[0].(*tree).name.Local
			if got := p.phone.ask("get", "", ask).child(name); got.String() != want.child(name).String() {
				t.Errorf("tree %d of seed %d:\nkept %s\ngot  %s", i, seed, want.child(name), got)
			}
		}
	})
}
