package xmppd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Who hears of what a session leaves behind: rule 35, XEP-0198 §4. Bob's phone goes, with
// one stanza in its queue. Anna's laptop may have asked or said it; her tablet wants
// copies and got one.
func TestWhoHearsOfWhatWasLeftBehind(t *testing.T) {
	const (
		anna = " id='1' to='bob@desk.example%s' from='anna@desk.example/laptop'>"
		said = "<body>Hi</body><no-store xmlns='urn:xmpp:hints'/></message>"
	)
	for _, c := range []struct {
		name, in string
		to       string // the resource, with its slash
		change   func(*item)
		want     string // the laptop's error, as far as its 'from'; "" for none
		copied   bool   // the tablet hears of it
	}{
		{name: "a request", in: "<iq type='get'" + anna + "<q xmlns='x'/></iq>", to: "/phone", want: "<iq type='error' id='1' to='anna@desk.example/laptop' from='bob@desk.example/phone'>"},
		{name: "a change", in: "<iq type='set'" + anna + "<q xmlns='x'/></iq>", to: "/phone", want: "<iq type='error' id='1' to='anna@desk.example/laptop' from='bob@desk.example/phone'>"},
		{name: "one that was answered", in: "<iq type='get'" + anna + "<q xmlns='x'/></iq>", to: "/phone", change: func(it *item) { it.answered = true }},
		{name: "an answer", in: "<iq type='result'" + anna + "</iq>", to: "/phone"},
		{name: "a ping of the server's", in: "<iq type='get' id='1' from='desk.example'><q xmlns='x'/></iq>"},
		{name: "a push", in: "<iq type='set' id='1'><q xmlns='x'/></iq>"},
		{name: "presence", in: "<presence" + anna + "</presence>"},
		{name: "what is kept", in: "<message type='chat'" + anna + said, change: func(it *item) { it.ordinal = 1 }},
		{name: "what must not be kept", in: "<message type='chat'" + anna + said, want: "<message type='error' id='1' to='anna@desk.example/laptop' from='bob@desk.example'>", copied: true},
		{name: "of type normal, to the device", in: "<message" + anna + said, to: "/phone", want: "<message type='error' id='1' to='anna@desk.example/laptop' from='bob@desk.example/phone'>", copied: true},
		{name: "that another device has got", in: "<message type='chat'" + anna + said, change: func(it *item) { it.at = 100 }},
		{name: "that another device has a copy of", in: "<message type='chat'" + anna + said, to: "/phone", change: func(it *item) { it.at = 100 }},
		{name: "that was not to be copied", in: "<message type='chat'" + anna + "<private xmlns='urn:xmpp:carbons:2'/>" + said, to: "/phone", change: func(it *item) { it.at = 100 },
			want: "<message type='error' id='1' to='anna@desk.example/laptop' from='bob@desk.example/phone'>", copied: true},
		{name: "a chat state", in: "<message type='chat'" + anna + "<paused xmlns='http://jabber.org/protocol/chatstates'/></message>"},
		{name: "a headline", in: "<message type='headline'" + anna + said},
		{name: "an error", in: "<message type='error'" + anna + said},
		{name: "a copy", in: "<message type='chat' from='bob@desk.example'><sent xmlns='urn:xmpp:carbons:2'/></message>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := testLimits
			l.Queue, l.QueueBytes, l.SessionsPerAgent = 100, 10000, 10
			bob := newTestAgent(newTestServer(t, l), "bob")
			anna := bob.account.newTestAgent(2, "anna")
			bob.account.agents["anna"] = anna
			laptop, tablet := anna.away("laptop"), anna.away("tablet")
			tablet.carbons = true
			laptop.rememberCopied("1", bob.bare)
			phone, desk := bob.away("phone"), bob.away("desk")
			desk.presence.available, desk.carbons, desk.bound = true, true, 50

			text := c.in
			if strings.Contains(text, "%s") {
				text = fmt.Sprintf(text, c.to)
			}
			it := item{data: []byte(text), stanza: true}
			if c.change != nil {
				c.change(&it)
			}
			phone.push(it)
			phone.gone()
			got := laptop.queued()
			if !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") || got != "" && !strings.Contains(got, "<service-unavailable ") {
				t.Errorf("%s\nleft behind, the sender got\n%s\nwant\n%s", text, got, c.want)
			}
			if copied := tablet.queued(); strings.Contains(copied, "<received xmlns='urn:xmpp:carbons:2'>") != c.copied {
				t.Errorf("her tablet got %q, want a copy: %t", copied, c.copied)
			}
		})
	}
}

// What a client has answered needs no refusal, whether or not it has acknowledged the
// request.
func TestAnAnswerSettlesTheRequest(t *testing.T) {
	g := newTestAgent(newTestServer(t, testLimits), "bob")
	s := g.away("phone")
	for _, from := range []string{"anna@desk.example/laptop", "carol@desk.example/x>"} {
		for _, id := range []string{"1", "1'", "11"} {
			s.sm.sent(item{data: []byte("<iq type='set'" + string(attr("id", id)) + string(attr("to", "x")) + string(attr("from", from)) + "><q xmlns='y'/></iq>"), stanza: true})
		}
	}
	s.answered([]byte("1'"), "anna@desk.example/laptop")
	s.answered([]byte("11"), "carol@desk.example/x>")
	s.answered([]byte("1"), "carol@desk.example/x")
	var got []bool
	for _, it := range s.sm.unacked {
		got = append(got, it.answered)
	}
	if fmt.Sprint(got) != "[false true false false false true]" {
		t.Errorf("answered: %v", got)
	}
}

// Which requests were answered is known after a restart, too; so is what was kept back
// for a device that nobody looks at, which is only queued then (rules 35 and 55).
func TestWhatWasAnsweredOutlivesTheProcess(t *testing.T) {
	l := testLimits
	l.Queue, l.QueueBytes = 100, 10000
	bob := newTestAgent(newTestServer(t, l), "bob")
	anna := bob.account.newTestAgent(2, "anna")
	bob.account.agents["anna"] = anna
	laptop := anna.away("laptop")
	phone := bob.away("phone")
	phone.sm.enabled, phone.sm.on, phone.sm.resumable = true, true, true
	for _, id := range []string{"1", "2"} {
		phone.push(item{data: []byte("<iq type='get' id='" + id + "' to='bob@desk.example/phone' from='anna@desk.example/laptop'><q xmlns='x'/></iq>"), stanza: true})
	}
	phone.take(new(worker))
	phone.answered([]byte("1"), laptop.address)
	phone.push(presenceFrom("carol@desk.example/x", ""))
	if len(phone.out.held) != 1 {
		t.Fatal("nothing is kept back")
	}
	r, ok := phone.save()
	var v savedSession
	if err := json.Unmarshal(r.State, &v); !ok || err != nil {
		t.Fatal(ok, err)
	}

	bob.sessions = nil
	bob.restore(&v, phone.server.config.Resume)
	again := bob.list()[0]
	if text := again.queued(); !strings.Contains(text, "from='carol@desk.example/x'") || !strings.Contains(text, "urn:xmpp:delay") {
		t.Errorf("queued after the restart: %q, want the presence with its time", text)
	}
	again.gone()
	if got := laptop.queued(); strings.Contains(got, "id='1'") || !strings.Contains(got, "<iq type='error' id='2'") {
		t.Errorf("the one who asked got %q, want an error for 2 alone", got)
	}
}
