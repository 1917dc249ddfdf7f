package main

import (
	"path/filepath"
	"syscall"
	"testing"
)

const rosterQuery = "<query xmlns='jabber:iq:roster'/>"

// item is what the roster says of somebody, asked for anew.
func (j *jabber) item(jid string) *tree {
	j.t.Helper()
	if query := j.ask("get", "", rosterQuery).child("query"); query != nil {
		for _, k := range query.kids {
			if item := k.(*tree); item.attr("jid") == jid {
				return item
			}
		}
	}
	return nil
}

// pushed waits for a push of somebody's item.
func (j *jabber) pushed(jid, subscription string) {
	j.t.Helper()
	j.until("a push of "+jid+" with "+subscription, func(e *tree) bool {
		item := e.child("query").child("item")
		return e.attr("type") == "set" && item.attr("jid") == jid && item.attr("subscription") == subscription
	})
}

// sees waits for presence of that type.
func (j *jabber) presence(from, typ string) {
	j.t.Helper()
	j.until("presence "+typ+" of "+from, func(e *tree) bool {
		return e.name.Local == "presence" && e.attr("from") == from && e.attr("type") == typ
	})
}

// befriend lets two agents see each other, with devices that know their rosters.
func befriend(t *testing.T, a, b *jabber) {
	t.Helper()
	for _, j := range []*jabber{a, b} {
		j.ask("get", "", rosterQuery)
		j.available("")
	}
	for _, p := range [][2]*jabber{{a, b}, {b, a}} {
		p[0].send("<presence type='subscribe' to='%s'/>", p[1].bare)
		p[1].presence(p[0].bare, "subscribe")
		p[1].send("<presence type='subscribed' to='%s'/>", p[0].bare)
		p[0].presence(p[1].jid, "")
	}
	a.pushed(b.bare, "both")
}

// An agent who is deleted is gone from everybody's roster and view; whoever has the name
// after her sees nobody and is seen by nobody (rule 56). So it is when the server was not
// running, and could tell nobody.
func TestADeletedAgentLeavesNothing(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "roster.colleagues=false")
	config := filepath.Join(d.dir, "parley.toml")
	const password = "correct horse 42"
	stranger := func(anna *jabber) {
		t.Helper()
		must(t, password+"\n", "agent", "add", "-config", config, "-password-stdin", "ben@desk.example")
		ben := d.login("ben", password, "desk").in(t)
		if item := ben.item("anna@desk.example"); item != nil {
			t.Errorf("the new ben has %s", item)
		}
		ben.available("")
		ben.send("<presence type='probe' to='anna@desk.example'/>")
		if got := ben.rest(); len(got) > 0 {
			t.Errorf("the new ben got %s", got)
		}
		if got := anna.rest(); len(got) > 0 {
			t.Errorf("anna got %s", got)
		}
		ben.drop()
	}
	none := func(anna *jabber) {
		t.Helper()
		if item := anna.item("ben@desk.example"); item.attr("subscription") != "none" || item.attr("ask") != "" {
			t.Errorf("anna's item of ben: %s, want none", item)
		}
	}

	anna, ben := d.login("anna", password, "desk").in(t), d.login("ben", password, "desk").in(t)
	befriend(t, anna, ben)
	must(t, "", "agent", "delete", "-config", config, "ben@desk.example")
	anna.presence(ben.jid, "unavailable")
	anna.pushed(ben.bare, "none")
	none(anna)
	stranger(anna)
	none(anna)

	ben = d.login("ben", password, "desk").in(t)
	befriend(t, anna, ben)
	d.end(syscall.SIGKILL)
	must(t, "", "agent", "delete", "-config", config, "ben@desk.example")
	d.start()
	anna = d.login("anna", password, "desk").in(t)
	anna.available("")
	none(anna)
	stranger(anna)
	none(anna)
}

// Whoever is disabled can't be seen, but what others have with her stays, and can be
// ended meanwhile.
func TestADisabledAgentKeepsWhatSheHas(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "roster.colleagues=false")
	config := filepath.Join(d.dir, "parley.toml")
	const password = "correct horse 42"
	anna, ben := d.login("anna", password, "desk").in(t), d.login("ben", password, "desk").in(t)
	befriend(t, anna, ben)
	must(t, "", "agent", "disable", "-config", config, "ben@desk.example")
	anna.presence(ben.jid, "unavailable")
	if item := anna.item(ben.bare); item.attr("subscription") != "both" {
		t.Errorf("while ben is disabled anna has %s", item)
	}
	anna.send("<presence type='unsubscribe' to='ben@desk.example'/>")
	anna.pushed(ben.bare, "from")
	must(t, "", "agent", "enable", "-config", config, "ben@desk.example")
	ben = d.login("ben", password, "desk").in(t)
	if item := ben.item(anna.bare); item.attr("subscription") != "to" {
		t.Errorf("ben has %s", item)
	}
	ben.available("")
	ben.presence(anna.jid, "")
	if got := anna.rest(); len(got) > 0 {
		t.Errorf("anna got %s", got)
	}
}

// The group of colleagues follows who is an agent; and where they become too many for it
// everybody is asked to sign in again, to a roster without it.
func TestColleaguesComeAndGo(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "roster.colleagues_max=3")
	config := filepath.Join(d.dir, "parley.toml")
	const password = "correct horse 42"
	add := func(name string) {
		t.Helper()
		must(t, password+"\n", "agent", "add", "-config", config, "-password-stdin", name+"@desk.example")
	}
	in := func() *jabber {
		anna := d.login("anna", password, "desk").in(t)
		anna.ask("get", "", rosterQuery)
		anna.available("")
		return anna
	}
	reset := func(j *jabber) {
		t.Helper()
		j.until("the end of the stream", func(e *tree) bool { return e.name.Local == "error" && e.child("reset") != nil })
		<-j.done
	}
	anna := in()
	add("cleo")
	anna.pushed("cleo@desk.example", "both")
	anna.send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='cleo@desk.example' name='C'/></query></iq>")
	anna.pushed("cleo@desk.example", "both")
	// What Anna calls her stays, without a subscription.
	must(t, "", "agent", "disable", "-config", config, "cleo@desk.example")
	anna.pushed("cleo@desk.example", "none")
	must(t, "", "agent", "disable", "-config", config, "ben@desk.example")
	anna.pushed("ben@desk.example", "remove")
	must(t, "", "agent", "enable", "-config", config, "ben@desk.example")
	anna.pushed("ben@desk.example", "both")
	must(t, "", "agent", "enable", "-config", config, "cleo@desk.example")
	anna.pushed("cleo@desk.example", "both")

	add("dora")
	reset(anna)
	anna = in()
	for name, want := range map[string]string{"ben": "", "dora": "", "cleo": "none"} {
		if got := anna.item(name + "@desk.example").attr("subscription"); got != want {
			t.Errorf("among too many colleagues, %s has subscription %q, want %q", name, got, want)
		}
	}
	must(t, "", "agent", "delete", "-config", config, "ben@desk.example")
	reset(anna)
	anna = in()
	for name, want := range map[string]string{"ben": "", "dora": "both", "cleo": "both"} {
		if got := anna.item(name + "@desk.example").attr("subscription"); got != want {
			t.Errorf("when there is room again, %s has subscription %q, want %q", name, got, want)
		}
	}
}
