package im

import (
	"testing"

	"parley.im/parley/xmppd/wire"
)

func TestCanWait(t *testing.T) { // rule 55; XEP-0352 §3.2
	const (
		bob    = "from='bob@desk.example/x' to='anna@desk.example'"
		states = "xmlns='http://jabber.org/protocol/chatstates'"
		typing = "<message type='chat' " + bob + "><composing " + states + "/></message>"
		inside = "<message xmlns='jabber:client' type='chat' " + bob + ">"
	)
	wrap := func(dir Direction, inner string) string {
		open := "<message type='chat' from='anna@desk.example' to='anna@desk.example/p'><" + string(dir) + " xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
		return open + inside + inner + "</message></forwarded></" + string(dir) + "></message>"
	}
	for _, c := range []struct {
		name, in string
		want     string // the key, or "-" for what cannot wait
	}{
		{"presence", "<presence " + bob + "></presence>", "presence\x00bob@desk.example/x"},
		{"unavailable", "<presence type='unavailable' " + bob + "></presence>", "presence\x00bob@desk.example/x"},
		{"a subscription", "<presence type='subscribe' from='bob@desk.example'></presence>", "-"},
		{"its answer", "<presence type='subscribed' from='bob@desk.example'></presence>", "-"},
		{"presence with an error", "<presence type='error' " + bob + "></presence>", "-"},
		{"iq", "<iq type='get' id='1' " + bob + "><x xmlns='y'/></iq>", "-"},
		{"headline", "<message type='headline' " + bob + "><body>News</body></message>", ""},
		{"chat state", typing, "state\x00bob@desk.example/x\x00anna@desk.example\x00"},
		{"of a thread", "<message " + bob + "><thread>t1</thread><gone " + states + "/></message>", "state\x00bob@desk.example/x\x00anna@desk.example\x00t1"},
		{"with a hint and an id", "<message " + bob + "><active " + states + "/><no-store xmlns='urn:xmpp:hints'/><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>",
			"state\x00bob@desk.example/x\x00anna@desk.example\x00"},
		{"to be stored", "<message " + bob + "><active " + states + "/><store xmlns='urn:xmpp:hints'/></message>", "-"},
		{"with a body", "<message " + bob + "><body>Hi</body><active " + states + "/></message>", "-"},
		{"with something else", "<message " + bob + "><active " + states + "/><x xmlns='urn:example'/></message>", "-"},
		{"error that quotes a state", "<message type='error' " + bob + "><active " + states + "/><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>", "-"},
		{"receipt", "<message " + bob + "><received xmlns='urn:xmpp:receipts' id='1'/></message>", "-"},
		{"nothing inside", "<message " + bob + "></message>", "-"},
		{"copy of a state", wrap(ReceivedCopy, "<paused "+states+"/>"), "state\x00bob@desk.example/x\x00anna@desk.example\x00"},
		{"copy of what was sent", wrap(SentCopy, "<paused "+states+"/>"), "state\x00bob@desk.example/x\x00anna@desk.example\x00"},
		{"copy of a body", wrap(SentCopy, "<body>Hi</body>"), "-"},
		{"copy of nothing", "<message><sent xmlns='urn:xmpp:carbons:2'/></message>", "-"},
		{"not XML", "<message", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, ok := CanWait([]byte(c.in))
			if ok != (c.want != "-") || ok && key != c.want {
				t.Errorf("CanWait(%s) = %q, %t, want %q", c.in, key, ok, c.want)
			}
		})
	}
}

func TestDelayed(t *testing.T) { // XEP-0203 §2
	for in, want := range map[string]bool{
		"<message><delay xmlns='urn:xmpp:delay' stamp='x'/></message>":                                                   true,
		"<presence><d:delay xmlns:d='urn:xmpp:delay' stamp='x'/></presence>":                                             true,
		"<message><body>urn:xmpp:delay</body></message>":                                                                 false,
		"<message><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='x'/></forwarded></message>": false,
	} {
		if got := Delayed([]byte(in)); got != want {
			t.Errorf("Delayed(%s) = %t, want %t", in, got, want)
		}
	}
}

// Whatever a stanza holds, it is looked at without a fault, and what somebody said does
// not wait.
func FuzzCanWait(f *testing.F) {
	for _, s := range []string{
		"<presence type='unavailable' from='a@b/c'></presence>",
		"<message type='headline'><body>News</body></message>",
		"<message type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread></message>",
		"<message><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' type='chat'>" +
			"<paused xmlns='http://jabber.org/protocol/chatstates'/></message></forwarded></sent></message>",
		"<iq type='get' id='1'><x xmlns='y'/></iq>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, waits := CanWait(data)
		st, err := wire.Parse(data, wire.Unlimited)
		if err != nil || !waits {
			if waits {
				t.Errorf("%q waits although it is no stanza", data)
			}
			return
		}
		if st.Kind == wire.IQ || st.Kind == wire.Message && string(st.Type) != "headline" && Spoken(st) && carbonOf(st) == nil {
			t.Errorf("%q waits", data)
		}
	})
}
