package xmppd

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"parley.im/parley/xmppd/wire"
)

// What people say and what proves who they are is never logged (I7).
func TestWireLogIsBlank(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>c2VjcmV0</auth>",
			"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>…</auth>"},
		{"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>c2VjcmV0</response>", "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…</response>"},
		{"<message to='bob@desk.example' id='a>b'><subject>secret</subject><body xml:lang='de'>secret &lt;b&gt;</body><x/></message>",
			"<message to='bob@desk.example' id='a>b'><subject>…</subject><body xml:lang='de'>…</body><x/></message>"},
		{"<message><body><![CDATA[secret > <b>]]></body></message>", "<message><body>…</body></message>"},
		{"<message>\n <img alt=\"sec'ret\" xmlns:p='urn:p' p:id='secret' id='i1'/>\n</message>", "<message><img alt=\"…\" xmlns:p='urn:p' p:id='…' id='i1'/></message>"},
		{"<iq type='set' id='c1'><query xmlns='jabber:iq:register'><username>secret</username><password>secret</password><password old='secret'/></query></iq>",
			"<iq type='set' id='c1'><query xmlns='jabber:iq:register'><username>…</username><password>…</password><password old='…'/></query></iq>"},
		{"<presence><status>secret</status></presence>", "<presence><status>…</status></presence>"},
		{"<message from='anna@desk.example'><result xmlns='urn:xmpp:mam:2' id='1'><forwarded><message><body>secret</body></message></forwarded></result></message>",
			"<message from='anna@desk.example'><result xmlns='urn:xmpp:mam:2' id='1'><forwarded><message><body>…</body></message></forwarded></result></message>"},
	} {
		if got := string(blank(nil, []byte(c.in))); got != c.want {
			t.Errorf("blank(%s)\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestWireLogTellsEachElement(t *testing.T) {
	text := "<message type='chat' id='m1'><body>secret</body></message><a xmlns='urn:xmpp:sm:3' h='1'/><iq id='i2' type='result'/></stream:stream>"
	for _, xml := range []bool{false, true} {
		var b bytes.Buffer
		log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
		trace := newTracer(Config{Log: log, LogWire: xml})
		trace.wrote(log, []byte(text))
		r := wire.NewReader(strings.NewReader("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"+
			"<presence id='p3'><status>secret</status></presence>"), wire.Limits{})
		if _, err := r.Header(); err != nil {
			t.Fatal(err)
		}
		st, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		trace.read(log, st)
		got := b.String()
		for _, want := range []string{"way=out kind=message bytes=58 type=chat id=m1", "kind=a bytes=32", "kind=iq bytes=27 type=result id=i2", "way=in kind=presence bytes=52 id=p3"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		if strings.Contains(got, "secret") || strings.Contains(got, "<body>") != xml {
			t.Errorf("with xml %t:\n%s", xml, got)
		}
	}
	// At the usual level nothing is written, and nothing is worked out.
	if newTracer(Config{Log: slog.New(slog.DiscardHandler), LogWire: true}).on {
		t.Error("it is on although nobody listens")
	}
}
