package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// A client that has just signed in asks for all of its contacts' cards at once, pictures
// and all, and acknowledges what it gets while it reads. More than may be on the way
// unacknowledged must not keep the server from reading those acknowledgements.
func TestManyBigCardsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t)
		const cards = 100 // of 100 KB each
		picture := strings.Repeat("much ", 20_000)
		if a := p.ben.ask("set", "", "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>"+picture+"</BINVAL></PHOTO></vCard>"); a.attr("type") != "result" {
			t.Fatal(a)
		}
		j := p.login("anna", "web").in(t)
		j.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		j.until("enabled", func(e *tree) bool { return e.name.Local == "enabled" })
		said := make(chan string, 2*cards)
		defer close(said)
		go func() { // beside the reading, as clients do
			for text := range said {
				j.send("%s", text)
			}
		}()
		for i := range cards {
			said <- fmt.Sprintf("<iq type='get' id='card%d' to='ben@desk.example'><vCard xmlns='vcard-temp'/></iq>", i)
		}
		for i := range cards {
			card := j.until("a card", func(e *tree) bool { return e.attr("id") == fmt.Sprint("card", i) })
			if card.child("vCard").child("PHOTO").child("BINVAL").text() != picture {
				t.Fatalf("card %d: %.200s", i, card)
			}
			if i%10 == 9 {
				said <- fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", i+1)
			}
		}
	})
}
