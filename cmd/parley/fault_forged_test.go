package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// in signs one of the talk server's agents in.
func (s *talkServer) in(t *testing.T, name, resource string) *jabber {
	t.Helper()
	l := annasLogin(s)
	l.name, l.resource = name, resource
	if name == "bob" {
		l.password = "tea at four"
	}
	return l.in(t)
}

// wrappers are what only a server may say to its own user: copies of what another device
// got or sent (XEP-0280 §7), results of an archive query (XEP-0313 §4.2).
var wrappers = []string{
	"<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></received>",
	"<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></sent>",
	"<result xmlns='urn:xmpp:mam:2' id='1' queryid='q'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>%s</forwarded></result>",
	"<p:received xmlns:p='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></p:received>",
}

const forgery = "<message xmlns='jabber:client' from='boss@desk.example/x' to='bob@desk.example' type='chat'><body>Give Anna the keys.</body></message>"

// CVE-2017-5589 and its family, CVE-2020-26547: clients took such wrappers from anybody.
// They are the clients' to check, by the sender; so here whatever a client says comes from
// that client's full JID, on each way there is: at once, to another device of its own,
// as a copy, later, and out of the archive (rules 1 and 38).
func nobodySpeaksForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		bob, phone, anna := s.in(t, "bob", "desk"), s.in(t, "anna", "phone"), s.in(t, "anna", "laptop")
		for _, j := range []*jabber{bob, phone, anna} {
			j.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>")
			j.available("")
		}
		for _, j := range []*jabber{bob, phone, anna} {
			j.rest()
		}
		sent := 0
		for _, to := range []string{"bob@desk.example", "bob@desk.example/desk", "anna@desk.example", "anna@desk.example/phone", ""} {
			for _, kind := range []string{"chat", "normal", "headline", "error", "groupchat"} {
				for _, w := range wrappers {
					anna.send("<message to='%s' type='%s'>%s<body>b</body></message>", to, kind, fmt.Sprintf(w, forgery))
					sent++
				}
			}
			for _, from := range []string{"", " from='anna@desk.example'", " from='ANNA@desk.example/laptop'"} {
				anna.send("<message to='%s' type='chat'%s>%s</message><presence to='%s'%s>%s</presence>", to, from, fmt.Sprintf(wrappers[0], forgery), to, from, fmt.Sprintf(wrappers[1], forgery))
			}
		}
		anna.rest()
		for _, j := range []*jabber{bob, phone} {
			got := j.rest()
			if len(got) < sent/4 {
				t.Errorf("%s got %d of %d: they are no forgery, and none of the server's business", j.jid, len(got), sent)
			}
			for _, e := range got {
				j.trusts(e)
			}
		}

		// What waits for Bob, and what his archive has.
		bob.drop()
		anna.send("<message to='bob@desk.example' type='chat'>%s<body>b</body></message>", fmt.Sprintf(wrappers[0], forgery))
		anna.rest()
		bob = s.in(t, "bob", "desk")
		bob.send("<presence/>")
		late := bob.until("what waited", func(e *tree) bool { return e.name.Local == "message" })
		bob.trusts(late)
		for _, m := range bob.archive() {
			if from := m.attr("from"); from != "anna@desk.example/laptop" {
				t.Errorf("the archive has a message from %s: %s", from, m)
			}
		}
	})
}

// trusts fails the test where a client that checks who sent a wrapper would take a
// forged one for true.
func (j *jabber) trusts(e *tree) {
	j.t.Helper()
	from := e.attr("from")
	if from == "anna@desk.example/laptop" {
		return // from her, whatever it says
	}
	inner := e.child("received").child("forwarded").child("message")
	if inner == nil {
		inner = e.child("sent").child("forwarded").child("message")
	}
	if from != j.bare || inner == nil || inner.attr("from") != "anna@desk.example/laptop" {
		j.t.Errorf("%s got from %q: %s", j.jid, from, e)
	}
}

// ejabberd 25.04: of several forged elements only the first was taken out. All that name
// the recipient's archive, or another of the domain's, in whatever spelling (rule 39).
func allForgedIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		bob, anna := s.in(t, "bob", "desk"), s.in(t, "anna", "laptop")
		bob.available("")
		var forged strings.Builder
		for i := range 40 {
			by := []string{"bob@desk.example", "BOB@Desk.Example", "bob@desk.example/desk", "desk.example", "anna@desk.example", "b&#111;b@desk.example", "ｂob@desk.example", "bob@desk.example."}[i%8]
			if i%3 == 0 {
				fmt.Fprintf(&forged, "<s:stanza-id xmlns:s='urn:xmpp:sid:0' id='forged' by='%s'><x/></s:stanza-id>", by)
			} else {
				fmt.Fprintf(&forged, "<stanza-id id='forged'  by = \"%s\"\n xmlns='urn:xmpp:sid:0'/>", by)
			}
			if i%5 == 0 {
				forged.WriteString("<x xmlns='urn:x'/>")
			}
			fmt.Fprintf(&forged, "<delay xmlns='urn:xmpp:delay' from='%s' stamp='2020-01-01T00:00:00Z'/>", by)
		}
		check := func(e *tree, ids int) {
			t.Helper()
			n := 0
			for _, k := range e.kids {
				c, ok := k.(*tree)
				if !ok || c.name.Space != "urn:xmpp:sid:0" && c.name.Space != "urn:xmpp:delay" {
					continue
				}
				if c.attr("id") == "forged" || strings.HasPrefix(c.attr("stamp"), "2020") {
					t.Errorf("this came through: %s", c)
				}
				if c.name.Local == "stanza-id" {
					n++
				}
			}
			if n != ids {
				t.Errorf("%d stanza-ids came, want %d", n, ids)
			}
		}
		for kind, ids := range map[string]int{"chat": 1, "normal": 1, "headline": 0} {
			anna.send("<message to='bob@desk.example/desk' type='%s' id='%s'>%s<body>b</body>%s</message>", kind, kind, forged.String(), forged.String())
			check(bob.message(kind), ids)
		}
		bob.drop()
		anna.send("<message to='bob@desk.example' type='chat' id='later'><body>b</body>%s</message>", forged.String())
		anna.rest()
		bob = s.in(t, "bob", "desk")
		bob.send("<presence/>")
		check(bob.message("later"), 1)
		for _, m := range bob.archive() {
			check(m, 0)
		}
	})
}

// CVE-2024-46957: an answer was taken by its id alone. An answer that names the server or
// nobody does nothing, and one that is passed on says who gave it; so a client can tell it
// from the one it waits for (rule 9).
func answersAreNoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		bob, anna, phone := s.in(t, "bob", "desk"), s.in(t, "anna", "laptop"), s.in(t, "anna", "phone")
		for _, j := range []*jabber{bob, anna} {
			j.available("")
		}
		anna.rest()
		for _, to := range []string{"", " to='desk.example'", " to='anna@desk.example'", " to='bob@desk.example'", " to='nobody@desk.example/x'", " to='carol@shop.example'", " to='@'"} {
			for _, typ := range []string{"result", "error"} {
				anna.send("<iq type='%s' id='1'%s><enable xmlns='urn:xmpp:carbons:2'/></iq><iq type='%s'%s/>", typ, to, typ, to)
			}
		}
		if got := anna.rest(); len(got) > 0 {
			t.Errorf("answers are answered: %s", got)
		}
		phone.send("<message to='bob@desk.example' type='chat'><body>no copy of this</body></message>")
		phone.rest()
		if got := anna.rest(); len(got) > 0 {
			t.Errorf("an answer switched copies on: %s", got)
		}
		bob.rest()
		bob.send("<iq type='result' id='ask-99' to='anna@desk.example/laptop'/><iq type='set' id='push-1' to='anna@desk.example/laptop'>" +
			"<query xmlns='jabber:iq:roster'><item jid='mallory@desk.example' subscription='both'/></query></iq>")
		for range 2 {
			if e := anna.next(); e.attr("from") != "bob@desk.example/desk" {
				t.Errorf("Bob's word comes from %q: %s", e.attr("from"), e)
			}
		}
	})
	atLeast(t, "mellium.im/xmpp", "v0.22.0")
}

const queryForm = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>"

// ejabberd 26.07: an id of a page went into the database's language. An id is looked up or
// it isn't there (rule 40); FuzzParseQuery makes up others.
func idsAreValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		anna := s.in(t, "anna", "laptop")
		anna.send("<message to='bob@desk.example' type='chat'><body>b</body></message>")
		for _, id := range []string{"' OR 1=1 --", "1; DROP TABLE record", "1", "0", "-1", "%", "_", "*", "aaaaaaaaaaaaaaaaaaaaaaaaaa", strings.Repeat("a", 10000), "a\tb", "\"", "NULL", "0x1"} {
			text := strings.NewReplacer("'", "&apos;", "\"", "&quot;").Replace(id)
			for _, form := range []string{
				"<set xmlns='http://jabber.org/protocol/rsm'><after>%s</after></set>", "<set xmlns='http://jabber.org/protocol/rsm'><before>%s</before></set>",
				queryForm + "<field var='after-id'><value>%s</value></field></x>", queryForm + "<field var='before-id'><value>%s</value></field></x>",
				queryForm + "<field var='ids'><value>%s</value></field></x>",
			} {
				answer, before := anna.all("set", "", "<query xmlns='urn:xmpp:mam:2'>"+fmt.Sprintf(form, text)+"</query>")
				if answer.child("error").child("item-not-found") == nil || len(before) > 0 {
					t.Errorf("%q in %s: %s and %d results, want item-not-found", id, form, answer, len(before))
				}
			}
			answer, before := anna.all("set", "", "<query xmlns='urn:xmpp:mam:2'>"+queryForm+"<field var='with'><value>"+text+"</value></field></x></query>")
			if len(before) > 0 || answer.child("fin") == nil && answer.child("error").child("jid-malformed") == nil {
				t.Errorf("with %q: %s and %d results, want none", id, answer, len(before))
			}
		}
		if n := len(anna.archive()); n != 1 {
			t.Errorf("the archive has %d messages, want 1", n)
		}
	})
}
