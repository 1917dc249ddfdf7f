package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A supervisor who reads along does so over restarts, until she may no longer, and what she does with others' chats is on
// record (WCP-10). That she is told what colleagues say, and what becomes of her notes: testdata/talks/110-a-supervisor.talk.
func TestSupervisorReadsAlong(t *testing.T) {
	t.Parallel()
	d := visited(t)
	config := filepath.Join(d.dir, "parley.toml")
	must(t, "", "agent", "role", "ben@desk.example", "supervisor", "-config", config)
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"Where is it?"}`)
	at := is.Contact.ID + "@visitors.desk.example"
	anna.until("an offer", func(x *tree) bool { return strings.Contains(x.child("body").text(), "Where is it?") })
	anna.send("<message type='chat' to='%s' id='a1'><body>On its way.</body></message>", at)
	anna.until("her list", func(x *tree) bool { return x.name.Local == "presence" && x.attr("from") == at+"/parley" })

	signIn := func() *jabber {
		ben := d.login("ben", "correct horse 42", "tablet").in(t)
		ben.send("<presence><show>away</show></presence>")
		return ben
	}
	hears := func(j *jabber, text string) {
		t.Helper()
		j.until(text, func(x *tree) bool {
			return x.name.Local == "message" && strings.HasPrefix(x.child("body").text(), text)
		})
	}
	watches := func(j *jabber) bool { return j.item(at) != nil }
	ben := signIn()
	if watches(ben) {
		t.Error("he sees a colleague's chat before he asked to")
	}
	ben.send("<message type='chat' to='parley@desk.example'><body>watch on</body></message>")
	hears(ben, "All chats are in your list")
	if !watches(ben) {
		t.Error("he sees no colleague's chat")
	}
	anna.send("<message type='chat' to='%s' id='a2'><body>It comes tomorrow.</body></message>", at)
	hears(ben, "[anna] It comes tomorrow.")

	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		d.end(how)
		d.start()
		if ben = signIn(); !watches(ben) {
			t.Errorf("after %v he does not read along any more", how)
		}
	}
	ben.send("<message type='chat' to='%s'><body>!note Say sorry</body></message>", at)
	hears(ben, "Noted.")
	ben.send("<message type='chat' to='%s'><body>!history</body></message>", at)
	ben.until("what was said", func(x *tree) bool { return strings.Contains(x.child("body").text(), "[anna]: On its way.") })
	anna = d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	anna.send("<message type='chat' to='parley@desk.example'><body>watch on</body></message>")
	hears(anna, "This is for supervisors")

	// Whoever is no supervisor any more reads along no more, from that moment.
	must(t, "", "agent", "role", "ben@desk.example", "agent", "-config", config)
	ben.until("it is gone", func(x *tree) bool {
		return x.name.Local == "presence" && x.attr("from") == at+"/parley" && x.attr("type") == "unavailable"
	})
	ben.send("<message type='chat' to='%s'><body>!takeover</body></message>", at)
	hears(ben, "This is for supervisors who read along")
	must(t, "", "agent", "role", "ben@desk.example", "supervisor", "-config", config)
	if watches(ben) {
		t.Error("he reads along again without having asked to")
	}
	ben.send("<message type='chat' to='parley@desk.example'><body>watch on</body></message>")
	hears(ben, "All chats are in your list")
	ben.send("<message type='chat' to='%s'><body>!takeover</body></message>", at)
	hears(ben, "* This chat is yours now; anna had it before.")
	ben.send("<message type='chat' to='parley@desk.example'><body>watch off</body></message>")
	hears(ben, "Your list has what is yours.")
	if !watches(ben) {
		t.Error("what he took over is not his any more")
	}

	// An agent who is switched off and on again does not read along by herself.
	ben.send("<message type='chat' to='parley@desk.example'><body>watch on</body></message>")
	hears(ben, "All chats are in your list")
	ben.send("<message type='chat' to='%s'><body>!leave</body></message>", at)
	ben.until("it is gone", func(x *tree) bool {
		return x.name.Local == "presence" && x.attr("from") == at+"/parley" && x.attr("type") == "unavailable"
	})
	must(t, "", "agent", "disable", "ben@desk.example", "-config", config)
	must(t, "", "agent", "enable", "ben@desk.example", "-config", config)
	anna.until("an offer", func(x *tree) bool { return strings.Contains(x.child("body").text(), "Reply to take it") })
	anna.send("<message type='chat' to='%s'><body>!accept</body></message>", at)
	hears(anna, "* This chat is yours")
	if watches(signIn()) {
		t.Error("he reads along again")
	}

	var got []string
	for line := range strings.Lines(must(t, "", "audit", "list", "-actor", "agent", "-config", config)) {
		for _, action := range []string{"contact.watch", "contact.unwatch", "note.create", "contact-transcript.get", "contact.take-over"} {
			if strings.Contains(line, action+" ") {
				got = append(got, action)
			}
		}
	}
	if want := "contact.watch note.create contact-transcript.get contact.watch contact.watch contact.take-over contact.unwatch contact.watch"; strings.Join(got, " ") != want {
		t.Errorf("on record is %q, want %q", got, want)
	}
}
