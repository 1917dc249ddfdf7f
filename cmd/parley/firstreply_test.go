package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"parley.im/parley/xmppd/xmpptest"
)

// Many agents reply to many visitors at the same moment, some of them from two devices. Each visitor has one
// agent, whose texts are all that is said; whoever else has written hears so, and what she wrote is nowhere.
func TestFirstReplyMingles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		talk := "Replies.\n\n-- cast --\n"
		for _, name := range replying {
			talk += name + " agent desk.example \"correct horse 42\"\n"
		}
		talk += "mia visitor desk.example\n-- account.toml --\n[desk]\nlimit = 100\noffers = 100\n-- parley.toml --\n[visitors]\nopens_per_minute = 0\ncontacts_per_address = 0\n" +
			"-- talk --\nmia opens {}\n-- webhook --\n...\n"
		parsed, err := xmpptest.Parse("here", talk)
		if err != nil {
			t.Fatal(err)
		}
		s := newTalkServer(t, parsed)
		d := &daemon{t: t, dir: s.dir, pipe: func(ctx context.Context) (net.Conn, error) { return s.net.dial(ctx, talkHTTPS) }}
		said := d.firstReplies(func(name, resource string) login {
			return login{
				dial:  func(ctx context.Context) (net.Conn, error) { return s.net.dial(ctx, talkTLS) },
				roots: s.Roots(), domain: "desk.example", name: name, password: "correct horse 42", resource: resource,
			}
		}, 10)

		<-time.After(time.Minute) // pretended: by then every event is sent
		for len(s.requests) > 0 {
			var e event
			if r := <-s.requests; json.Unmarshal(r.Body, &e) != nil || e.Type != "message.created" || !strings.HasPrefix(e.Data.Message.Text, "by ") {
				continue
			}
			if !said[e.Data.Message.Text] {
				t.Errorf("an event tells of %q, which was not said or was told before", e.Data.Message.Text)
			}
			delete(said, e.Data.Message.Text)
		}
		if len(said) > 0 {
			t.Errorf("no event tells of %v", said)
		}
	})
}

// The same over the network.
func TestFirstReplyOverNetwork(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "account.desk.desk.limit=100", "-set", "account.desk.desk.offers=100", "-set", "visitors.opens_per_minute=0", "-set", "visitors.contacts_per_address=0")
	for _, name := range replying[2:] {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "-no-policy", "-config", d.dir+"/parley.toml", name+"@desk.example")
	}
	d.firstReplies(func(name, resource string) login { return d.login(name, "correct horse 42", resource) }, 5)
}

var replying = []string{"anna", "ben", "carol", "dave", "eve", "finn"}

// firstReplies has all reply to four visitors at once, again and again, and answers what was said to visitors.
func (d *daemon) firstReplies(by func(name, resource string) login, rounds int) (said map[string]bool) {
	t := d.t
	t.Helper()
	var devices []*jabber
	for i, name := range replying {
		devices = append(devices, by(name, "laptop").in(t))
		if i < 3 {
			devices = append(devices, by(name, "phone").in(t))
		}
	}
	for _, j := range devices {
		j.available("")
	}
	said = make(map[string]bool)
	won := make(map[string][]string) // by agent
	for round := range rounds {
		var asked []visitorFrame
		for i := range 4 {
			asked = append(asked, d.openContact(fmt.Sprintf(`{"id":"0123456789abcdef-%d-%d","name":"Mia","text":"Hello?"}`, round, i)))
		}
		for _, j := range devices {
			waits := len(asked)
			for waits > 0 {
				j.until("all offers", func(e *tree) bool { return strings.Contains(e.child("body").text(), "Reply to take it") })
				waits--
			}
		}
		heard := make([][]*tree, len(devices))
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i, j := range devices {
			all.Go(func() {
				var b strings.Builder
				for k := range asked {
					to := asked[(i+k)%len(asked)].Contact.ID
					body := fmt.Sprintf("by %s in %s", j.jid, to)
					if strings.HasSuffix(j.jid, "/phone") && round%2 == 1 {
						body = "!accept"
					}
					fmt.Fprintf(&b, "<message type='chat' to='%s@visitors.desk.example' id='%s'><body>%s</body></message>", to, to, body)
				}
				<-begin
				j.send("%s", b.String())
				heard[i] = j.rest()
			})
		}
		close(begin)
		all.Wait()
		owners := make(map[string]string) // by contact
		frames, lines := make(map[string]func(string) visitorFrame), make(map[string]*websocket.Conn)
		for _, a := range asked {
			ws, next := d.joinContact(a.Token, 0)
			owner := ""
			for owner == "" {
				owner = next("state").Contact.Agent.Name
			}
			owners[a.Contact.ID], frames[a.Contact.ID], lines[a.Contact.ID] = owner, next, ws
		}
		for i, j := range devices { // what all are told comes when it is kept, perhaps after what is answered
			waits := len(asked)
			for _, a := range asked {
				if strings.EqualFold(j.bare, owners[a.Contact.ID]+"@desk.example") {
					waits--
				}
			}
			for _, e := range heard[i] {
				if toldOf(e) {
					waits--
				}
			}
			for ; waits > 0; waits-- {
				j.until("who has it", func(e *tree) bool { heard[i] = append(heard[i], e); return toldOf(e) })
			}
		}
		for _, a := range asked {
			address, shown, next, ws := a.Contact.ID+"@visitors.desk.example", owners[a.Contact.ID], frames[a.Contact.ID], lines[a.Contact.ID]
			owner := strings.ToLower(shown) // visitors see it as a name is written
			wants := []string{}             // what the visitor is to see
			for i, j := range devices {
				text := fmt.Sprintf("by %s in %s", j.jid, a.Contact.ID)
				refused, told := 0, 0
				for _, e := range heard[i] {
					switch {
					case e.attr("type") == "error" && e.attr("from") == address:
						refused++
						if x := e.child("error"); e.attr("id") != a.Contact.ID || x.child("conflict") == nil || x.child("text").text() != "another agent took this chat; your text was not sent" {
							t.Errorf("%s hears %s", j.jid, e)
						}
					case e.attr("from") == address+"/parley" && toldOf(e):
						told++
						if e.child("body").text() != "* "+owner+" took this chat" {
							t.Errorf("%s hears %s, but %s has it", j.jid, e, owner)
						}
					case e.attr("from") == address+"/parley", e.attr("from") == address && e.name.Local == "presence", e.name.Local == "iq":
					case e.attr("from") == address:
						t.Errorf("%s hears %s", j.jid, e)
					}
				}
				mine, typed := strings.HasPrefix(j.bare, owner+"@"), !strings.HasSuffix(j.jid, "/phone") || round%2 == 0
				if lost := !mine && typed; (refused == 1) != lost || refused > 1 || (told == 1) == mine {
					t.Errorf("%s, round %d: %s is refused %d times and told %d times; %s has it", j.jid, round, a.Contact.ID, refused, told, owner)
				}
				if mine && typed {
					wants = append(wants, text)
				}
			}
			var sees []string
			for len(sees) < len(wants) {
				f := next("message")
				if sees = append(sees, f.Text); f.From.Name != shown {
					t.Errorf("the visitor of %s hears %+v", owner, f)
				}
			}
			slices.Sort(sees)
			slices.Sort(wants)
			if !slices.Equal(sees, wants) {
				t.Errorf("the visitor sees %q, want %q", sees, wants)
			}
			if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
				t.Fatal(err)
			}
			if _, data, err := ws.Read(t.Context()); err != nil || !strings.Contains(string(data), `"pong"`) {
				t.Errorf("then the visitor sees %s, %v", data, err)
			}
			ws.CloseNow()
			for _, text := range wants {
				said[text] = true
			}
			won[owner] = append(won[owner], wants...)
		}
	}
	for _, j := range devices {
		name, _, _ := strings.Cut(j.bare, "@")
		var kept []string
		for _, m := range j.archive() {
			if text := m.child("body").text(); strings.HasPrefix(text, "by ") {
				kept = append(kept, text)
			}
		}
		slices.Sort(kept)
		slices.Sort(won[name])
		if !slices.Equal(kept, won[name]) {
			t.Errorf("%s has in the archive %q, want %q", j.jid, kept, won[name])
		}
	}
	if len(won) < 2 {
		t.Errorf("nobody races: %v", won)
	}
	return said
}

// toldOf says whether somebody hears that another was faster.
func toldOf(e *tree) bool { return strings.HasSuffix(e.child("body").text(), " took this chat") }
