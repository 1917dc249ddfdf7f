package main

import (
	"strings"
	"testing"
)

// leftovers are what an agent leaves behind by asking the server to keep it, and how she
// finds it again. What the server does not offer (yet) is passed over; whoever adds a
// feature that keeps something adds a line.
var leftovers = []struct{ name, keep, find string }{
	{"a contact", "<query xmlns='jabber:iq:roster'><item jid='mark@shop.example' name='mark'/></query>", "<query xmlns='jabber:iq:roster'/>"},
	{"her card", "<vCard xmlns='vcard-temp'><FN>mark</FN></vCard>", "<vCard xmlns='vcard-temp'/>"},
	{"private storage", "<query xmlns='jabber:iq:private'><x xmlns='urn:x:own'>mark</x></query>", "<query xmlns='jabber:iq:private'><x xmlns='urn:x:own'/></query>"},
	{"archive preferences", "<prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>mark@shop.example</jid></never></prefs>", "<prefs xmlns='urn:xmpp:mam:2'/>"},
	{"blocked addresses", "<block xmlns='urn:xmpp:blocking'><item jid='mark@shop.example'/></block>", "<blocklist xmlns='urn:xmpp:blocking'/>"},
}

// CVE-2024-25420, CVE-2024-25421: whoever got the name of a deleted user got what was
// hers. Rule 56. Here she is known by a number that is never used again.
func startsClean(t *testing.T) {
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "", "-set", "auth.lockout=false", "desk.example")
	add := func(name, password string) {
		must(t, password+"\n", "agent", "add", "-password-stdin", "-no-policy", "-config", config, name+"@desk.example")
	}
	add("anna", "old password")
	add("bob", "tea at four")
	d := startDaemon(t, dir)
	bob := d.login("bob", "tea at four", "desk").in(t)
	bob.available("")

	// The first Anna talks, keeps what she can, leaves a session that can be resumed and
	// one that is there, and has a message waiting.
	laptop, phone := d.login("anna", "old password", "laptop").in(t), d.login("anna", "old password", "phone").in(t)
	laptop.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	stream := laptop.until("enabled", func(e *tree) bool { return e.name.Local == "enabled" }).attr("id")
	laptop.send("<message to='bob@desk.example' type='chat' id='m1'><body>mark</body></message><presence to='bob@desk.example'/>")
	laptop.rest()
	bob.send("<message to='anna@desk.example/phone' type='chat' id='m2'><body>mark</body></message>")
	kept := phone.message("m2").child("stanza-id").attr("id")
	var held []int
	for i, l := range leftovers {
		if laptop.ask("set", "", l.keep).attr("type") != "result" {
			continue
		}
		held = append(held, i)
		if found, _ := laptop.all("get", "", l.find); !strings.Contains(found.String(), "mark") {
			t.Errorf("%s: kept, but not found: %s", l.name, found)
		}
	}
	laptop.drop()
	bob.send("<message to='anna@desk.example' type='chat' id='m3'><body>mark</body></message>")
	bob.rest()

	must(t, "", "agent", "delete", "-config", config, "anna@desk.example")
	if e := phone.until("the end", func(e *tree) bool { return e.name.Local == "error" }); e.child("not-authorized") == nil {
		t.Errorf("her session ended with %s", e)
	}
	bob.send("<message to='anna@desk.example' type='chat' id='m4'><body>mark</body></message>")
	if e := bob.message("m4"); e.child("error").child("service-unavailable") == nil {
		t.Errorf("to nobody: %s", e)
	}
	add("anna", "new password")

	// The second one is new here.
	if _, err := d.login("anna", "old password", "x").try(t); err == nil {
		t.Error("the old password lets her in")
	}
	back := d.login("anna", "new password", "laptop")
	back.resume = stream
	if _, err := back.try(t); err == nil || !strings.Contains(err.Error(), "item-not-found") || strings.Contains(err.Error(), " h=") {
		t.Errorf("the old session: %v, want item-not-found and no count", err)
	}
	anna := d.login("anna", "new password", "laptop").in(t)
	anna.available("")
	for _, e := range anna.rest() {
		if strings.Contains(e.String(), "mark") {
			t.Errorf("she is given %s", e)
		}
	}
	if got := anna.archive(); len(got) > 0 {
		t.Errorf("her archive has %s", got)
	}
	if got := anna.ask("get", "", "<metadata xmlns='urn:xmpp:mam:2'/>"); got.child("metadata").child("start") != nil {
		t.Errorf("her archive has %s", got)
	}
	if got := anna.ask("set", "", "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><after>"+kept+"</after></set></query>"); got.child("error").child("item-not-found") == nil {
		t.Errorf("the first Anna's archive id: %s, want item-not-found", got)
	}
	for _, i := range held {
		if found, _ := anna.all("get", "", leftovers[i].find); strings.Contains(found.String(), "mark") {
			t.Errorf("%s: %s", leftovers[i].name, found)
		}
	}

	// What is said now reaches her, in a conversation of its own; Bob has both.
	bob.send("<message to='anna@desk.example' type='chat' id='m5'><body>welcome</body></message>")
	anna.message("m5")
	if got := anna.archive(); len(got) != 1 || got[0].attr("id") != "m5" {
		t.Errorf("her archive has %s, want m5", got)
	}
	if got := bob.archive(); len(got) != 4 {
		t.Errorf("Bob's archive has %s, want m1, m2, m3 and m5", got)
	}
}
