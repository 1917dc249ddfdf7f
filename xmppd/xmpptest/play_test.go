package xmpptest

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

const cast = "A talk.\n\n-- cast --\nanna agent desk.example \"correct horse\"\n\n-- talk --\n"

var says = map[string]string{
	"hello": "<message from='bob@desk.example/x' id='m1'><body>Hello yourself</body></message>",
	"twice": "<message id='1'><body>one</body></message><message id='2'><body>two</body></message>",
	"ack":   "<r xmlns='urn:xmpp:sm:3'/><message id='3'/>",
	"space": " \n <message id='4'/> ",
	"error": "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
	"junk":  "<message></iq>",
}

// play plays a talk against a peer and returns how it failed, and what it said.
func play(t *testing.T, p *peer, text string) (failure, out string) {
	t.Helper()
	talk, err := Parse("a.talk", cast+text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	pl := newPlayer(t.Context(), talk, p, &b)
	defer pl.close()
	if s, err := pl.play(); err != nil {
		failure = talk.failure(s, err)
	}
	return failure, b.String()
}

func TestPlay(t *testing.T) {
	tests := []struct{ name, talk string }{
		{"direct TLS", "anna/laptop signs in\nanna/laptop < nothing\nanna/laptop closes"},
		{"STARTTLS", "anna/laptop signs in over starttls"},
		{"message", "anna/laptop signs in\nanna/laptop > <message><body>hello</body></message>\n" +
			"anna/laptop < <message from='$bob' id='*'>\n  <body>Hello yourself</body>\n  </message>"},
		{"any order", "anna/laptop signs in\nanna/laptop > <message><body>twice</body></message>\n" +
			"anna/laptop <~ <message id='2'>...</message>\nanna/laptop <~ <message id='1'>...</message>"},
		{"passed over", "anna/laptop signs in\nanna/laptop > <message><body>twice</body></message>\nanna/laptop < ..."},
		{"a request for an acknowledgement is passed over", "anna/laptop signs in\n" +
			"anna/laptop > <message><body>ack</body></message>\nanna/laptop < <message id='3'/>"},
		{"unless it is expected", "anna/laptop signs in\nanna/laptop > <message><body>ack</body></message>\n" +
			"anna/laptop < <r xmlns='urn:xmpp:sm:3'/>\nanna/laptop < <message id='3'/>"},
		{"white space is passed over", "anna/laptop signs in\nanna/laptop > <message><body>space</body></message>\nanna/laptop < <message id='4'/>"},
		{"stream management", "anna/laptop signs in\nanna/laptop > <enable xmlns='urn:xmpp:sm:3'/>\n" +
			"anna/laptop < <enabled xmlns='urn:xmpp:sm:3'/>\nanna/laptop < nothing"},
		{"end", "anna/laptop signs in\nanna/laptop > <message><body>error</body></message>\n" +
			"anna/laptop < <stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\nanna/laptop < end"},
		{"cut", "anna/laptop signs in\nanna/laptop > <leave/>\nanna/laptop < cut"},
		{"again after a drop", "anna/laptop signs in\nanna/laptop drops\nanna/laptop signs in"},
		{"a password of its own", "anna/laptop signs in with \"correct horse\"\nanna/laptop < nothing"},
		{"restart", "the server restarts\nanna/laptop signs in"},
		{"crash", "the server crashes\nanna/laptop signs in"},
		{"time", "anna/laptop signs in\nwait 5h"},
		{"by hand", byHand},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if failure, out := play(t, newPeer(t, says), tt.talk); failure != "" {
					t.Errorf("%s\n%s", failure, out)
				}
			})
		})
	}
}

const byHand = `anna connects
anna > <?xml version='1.0'?><stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>
anna < <stream:stream from='desk.example' id='*' version='1.0'>
anna < <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>
anna > <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
anna < <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
anna secures
anna > <?xml version='1.0'?><stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>
anna < <stream:stream from='desk.example' id='*' version='1.0'>
anna < <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>
anna > <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{base64: n,,n=anna,r=fyko}</auth>
anna < <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{base64: r=fyko$nonce,s=$salt,i=16}</challenge>
anna > <response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{base64: c={base64: n,,},r=fyko$nonce,p={proof}}</response>
anna < <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{base64: v={signature}}</success>
anna > <?xml version='1.0'?><stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>
anna < <stream:stream from='desk.example' id='*' version='1.0'>
anna < <stream:features>...</stream:features>
anna > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
anna < <iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>$me</jid></bind></iq>
anna < nothing`

func TestPlayTellsWhatWentWrong(t *testing.T) {
	tests := []struct{ name, talk, want string }{
		{"the place", "# Anna is greeted.\nanna/laptop signs in\nanna/laptop > <message><body>hello</body></message>\n" +
			"anna/laptop < <message from='eve@desk.example/x' id='m1'/>",
			"a.talk:10:\n# Anna is greeted.\nanna/laptop < <message from='eve@desk.example/x' id='m1'/>\n" +
				"    <message> attribute from: want \"eve@desk.example/x\", got \"bob@desk.example/x\"\n" +
				"    got  <message from='bob@desk.example/x' id='m1'><body>Hello yourself</body></message>"},
		{"silence", "anna/laptop signs in\nanna/laptop < <message/>", "nothing came within 10s"},
		{"something", "anna/laptop signs in\nanna/laptop > <message><body>hello</body></message>\nanna/laptop < nothing",
			"want nothing, got <message>"},
		{"leftover", "anna/laptop signs in\nanna/laptop > <message><body>hello</body></message>",
			"# At the end of the talk.\nanna/laptop"},
		{"end", "anna/laptop signs in\nanna/laptop > <message><body>error</body></message>\nanna/laptop < end",
			"want the end of the stream, got <stream:error>"},
		{"no end", "anna/laptop signs in\nanna/laptop > <leave/>\nanna/laptop < end",
			"want the end of the stream, got a cut line"},
		{"not XML", "anna/laptop signs in\nanna/laptop > <message><body>junk</body></message>\nanna/laptop < <message/>",
			"want <message>, got a cut line\n    got  the connection is gone: XML syntax error"},
		{"no order", "anna/laptop signs in\nanna/laptop > <message><body>twice</body></message>\n" +
			"anna/laptop <~ <message id='2'>...</message>\nanna/laptop <~ <message id='3'>...</message>",
			"none of the <~ lines fits:\n    line 9: <message> attribute id: want \"2\", got \"1\"\n    line 10: "},
		{"not connected", "anna/laptop > <message/>", "anna/laptop isn't connected"},
		{"still connected", "anna/laptop signs in\nanna/laptop signs in", "anna/laptop is still connected"},
		{"unknown name", "anna/laptop signs in\nanna/laptop > <message id='$x'/>", "nothing has been kept as $x"},
		{"no exchange", "anna connects\nanna > <response>{proof}</response>", "{proof} needs a SCRAM exchange before it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, out := play(t, newPeer(t, says), tt.talk); !strings.Contains(got, tt.want) {
					t.Errorf("failure is\n%s\nwant\n%s\n%s", got, tt.want, out)
				}
			})
		})
	}
}

func TestTimePassesOnlyInABubble(t *testing.T) {
	failure, _ := play(t, newPeer(t, nil), "wait 5m")
	if !strings.Contains(failure, "only pretend time can pass") {
		t.Errorf("failure is %q", failure)
	}
}

func TestWrongPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Replace(cast, "correct horse", "wrong horse", 1) + "anna/laptop signs in"
		talk, err := Parse("a.talk", text)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlayer(t.Context(), talk, newPeer(t, nil), t.Output())
		defer p.close()
		if _, err := p.play(); err == nil || !strings.Contains(err.Error(), "want <success>, got <failure") {
			t.Errorf("signed in with the wrong password: %v", err)
		}
		failure, _ := play(t, newPeer(t, nil), "anna/laptop signs in with \"another horse\"")
		if !strings.Contains(failure, "want <success>, got <failure") {
			t.Errorf("signed in with another password: %q", failure)
		}
	})
}

func TestWebhooks(t *testing.T) {
	hook := Request{Method: "POST", Path: "/parley", Header: http.Header{"X-Parley-Event": {"message.created"}},
		Body: []byte(`{"type":"message.created","id":"evt_1","data":{"seq":1,"message":{"text":"Hi"}}}`)}
	tests := []struct{ name, talk, want string }{
		{"fits", "POST /parley\nx-parley-event: message.created\n{\"type\": \"message.created\", \"id\": \"$id\", \"data\": {\"seq\": 1, ...}}", ""},
		{"without a body", "POST /parley\nx-parley-event: *", ""},
		{"others may come", "...", ""},
		{"a value", "POST /parley\n{\"type\": \"x\", ...}", `body.type: want "x", got "message.created"`},
		{"a member more", "POST /parley\n{\"type\": \"*\", \"id\": \"*\"}", `body has "data", which the talk does not say`},
		{"a member less", "POST /parley\n{\"more\": 1, ...}", `body has no "more"`},
		{"a header", "POST /parley\nx-parley-event: agent.available", `header x-parley-event: want "agent.available", got "message.created"`},
		{"a path", "POST /other", "want POST /other, got POST /parley"},
		{"none", "POST /parley\n\nPOST /parley", "line 12: POST /parley did not come within 10s"},
		{"one more", "", "a request that the talk does not say: POST /parley"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, says)
				p.hooks <- hook
				got, _ := play(t, p, "anna/laptop signs in\n\n-- webhook --\n"+tt.talk)
				if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
					t.Errorf("failure is\n%s\nwant\n%s", got, tt.want)
				}
			})
		})
	}
}
