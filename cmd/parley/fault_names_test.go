package main

import (
	"fmt"
	"testing"
)

// MongooseIM #2444 and #2445: whatever name came in was remembered for ever. Here names of
// all kinds come, and none stays: elements, namespaces, attributes, addresses, resources,
// ids, languages, those who are asked for and those who are told.
func namesAreForgotten(t *testing.T) {
	n := 2000
	if all() {
		n = 100_000
	}
	d := healthy(t, "-set", "auth.lockout=false")
	anna, ben := d.login("anna", "correct horse 42", "desk").in(t), d.login("ben", "correct horse 42", "desk").in(t)
	anna.available("")
	names := func(from, to int) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("n%024d", i) // 25 bytes: 100,000 of each kind are some MiB
			ben.send("<message to='%[1]s@desk.example/%[1]s' id='%[1]s' xml:lang='%[1]s' xmlns:%[1]s='urn:%[1]s'><%[1]s xmlns='urn:x:%[1]s' %[1]s:%[1]s='%[1]s'/></message>"+
				"<message to='anna@desk.example/%[1]s' type='headline' id='%[1]s'><%[1]s:%[1]s xmlns:%[1]s='urn:%[1]s'/><thread>%[1]s</thread></message>"+
				"<message to='ben@%[1]s.example'><body/></message><presence to='%[1]s@desk.example'/><presence type='probe' to='%[1]s@%[1]s.example'/>"+
				"<presence type='%[1]s'/><iq type='get' id='%[1]s'><%[1]s xmlns='urn:%[1]s'/></iq><iq type='get' id='%[1]s' to='anna@desk.example/%[1]s'><%[1]s xmlns='urn:%[1]s'/></iq>"+
				"<iq type='set' id='%[1]s'><query xmlns='urn:xmpp:mam:2' queryid='%[1]s'><x xmlns='jabber:x:data'><field var='with'><value>%[1]s@desk.example</value></field></x></query></iq>", name)
			if i%100 == 99 {
				ben.rest()
			}
			if i%200 == 0 { // and names that nobody has, of who wants to sign in, and of what
				l := d.login(name, name, name)
				if _, err := l.try(t); err == nil {
					t.Errorf("%s signs in", name)
				}
				l.refused(t, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='"+name+"'/>")
			}
		}
		ben.rest()
		anna.rest()
	}
	names(0, 1000)
	before := d.stands()
	names(1000, 1000+n)
	after := d.stands()
	t.Logf("%d names of each kind\nbefore: %v\nafter:  %v", n, before, after)
	if grown := after.heap - before.heap; grown > 1<<20 || after.goroutines > before.goroutines+2 {
		t.Errorf("after %d names of each kind there are %v more", n, standing{grown, after.goroutines - before.goroutines, 0})
	}
}
