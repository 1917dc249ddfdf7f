package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
)

// The stages of a connection. There is one way through them.
const (
	unsecured  = iota // the stream is open, before TLS
	secured           // open again, before signing in
	challenged        // in the middle of SCRAM
	signedIn          // <success/> has come, the stream is not open again yet
	reopened          // open for the third time, without a resource
	bound
	stages

	signedOut = -1 // TLS stands, and the stream is not open yet
)

var stageNames = [stages]string{"in clear", "secured", "challenged", "signed in", "reopened", "bound"}

// refusals are the usual answers to what comes too early or too late, for an element
// that is no stanza and for a stanza; a bound session answers stanzas as it does.
var refusals = [stages][2]string{
	unsecured:  {"error policy-violation", "error policy-violation"},                   // I1
	secured:    {"error not-authorized", "error not-authorized"},                       // rule 5
	challenged: {"error not-authorized", "error not-authorized"},                       // RFC 6120 §4.9.3.12
	signedIn:   {"error bad-format", "error bad-format"},                               // RFC 6120 §6.4.6: a header comes next
	reopened:   {"error unsupported-stanza-type", "error not-authorized"},              // RFC 6120 §7.1
	bound:      {"error unsupported-stanza-type", "error not-authorized, had it come"}, // RFC 6120 §4.9.3.24
}

const (
	nsTLSFault  = " xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
	nsSASLFault = " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	firstOfAnna = "biwsbj1hbm5hLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM" // n,,n=anna,r=fyko+d2lbbFgONRv9qkxdawL
)

// steps are what a client can ask for, and the answers at the stages where they are not
// the usual ones.
var steps = []struct {
	text string
	want map[int]string
}{
	{"<starttls" + nsTLSFault + "/>", map[int]string{unsecured: "proceed"}},
	// XEP-0138 does not exist here (CVE-2014-2741, CVE-2014-2745), and is no way around
	// anything (CVE-2014-8760).
	{"<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>", nil},
	{"<auth" + nsSASLFault + " mechanism='PLAIN'>AGFubmEAY29ycmVjdCBob3JzZQ==</auth>", map[int]string{secured: "failure invalid-mechanism", challenged: "failure malformed-request"}},
	{"<auth" + nsSASLFault + " mechanism='EXTERNAL'>=</auth>", map[int]string{secured: "failure invalid-mechanism", challenged: "failure malformed-request"}},
	{"<auth" + nsSASLFault + " mechanism='ANONYMOUS'/>", map[int]string{secured: "failure invalid-mechanism", challenged: "failure malformed-request"}},
	{"<auth" + nsSASLFault + "/>", map[int]string{secured: "failure invalid-mechanism", challenged: "failure malformed-request"}},
	{"<auth" + nsSASLFault + " mechanism='SCRAM-SHA-256'/>", map[int]string{secured: "challenge", challenged: "failure malformed-request"}},
	{"<response" + nsSASLFault + "/>", map[int]string{secured: "failure malformed-request", challenged: "failure malformed-request"}},
	{"<abort" + nsSASLFault + "/>", map[int]string{secured: "failure malformed-request", challenged: "failure aborted"}},
	{"<success" + nsSASLFault + "/>", map[int]string{secured: "failure malformed-request", challenged: "failure malformed-request"}},
	{"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>", map[int]string{secured: "failure invalid-mechanism"}},
	{"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'/>", map[int]string{secured: "challenge"}},
	{"<response xmlns='urn:xmpp:sasl:2'/>", nil},
	{"<success xmlns='urn:xmpp:sasl:2'/>", nil},
	{"<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", map[int]string{reopened: "result", bound: "error not-allowed"}},
	{"<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", map[int]string{bound: "result"}},
	{"<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", map[int]string{bound: "result"}},
	{"<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>", map[int]string{bound: "error service-unavailable"}},
	{"<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>", map[int]string{bound: "result"}},
	{"<message to='bob@desk.example' type='chat' id='m'><body>Hello</body></message>", map[int]string{bound: ""}},
	{"<presence/>", map[int]string{bound: "presence"}},
	{"<enable xmlns='urn:xmpp:sm:3'/>", map[int]string{reopened: "failed unexpected-request", bound: "enabled"}},
	{"<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", map[int]string{reopened: "failed item-not-found", bound: "failed unexpected-request"}},
	{"<db:result xmlns:db='jabber:server:dialback' from='a' to='desk.example'>x</db:result>", nil},
	{"<handshake xmlns='jabber:component:accept'>x</handshake>", nil},
	{"<stream:features/>", map[int]string{signedIn: "error not-well-formed"}},
	{fmt.Sprintf(streamHeader, "desk.example"), map[int]string{
		unsecured: "error restricted-xml", secured: "error restricted-xml", challenged: "error restricted-xml", // it begins with <?xml?>
		signedIn: "", reopened: "error restricted-xml", bound: "error restricted-xml",
	}},
}

// CVE-2014-8760: one of the ways to sign in did not ask whether TLS had come first. Here
// each step is tried at each stage. CVE-2014-2741 is among them, and rules 5 and 33.
func eachStepInItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for _, step := range steps {
			stanza := 0
			for _, kind := range []string{"<iq ", "<message ", "<presence"} {
				if strings.HasPrefix(step.text, kind) {
					stanza = 1
				}
			}
			for stage := range stages {
				want, unusual := step.want[stage]
				if !unusual {
					want = refusals[stage][stanza]
				}
				got := annaAt(t, s, stage).to(step.text)
				if gist(got) != want {
					t.Errorf("%s, %s: %q, want %q", stageNames[stage], step.text, gist(got), want)
				}
				if strings.Contains(got, "compress") {
					t.Errorf("%s, %s: compression is on offer: %s", stageNames[stage], step.text, got)
				}
			}
		}
		// What was said before its turn has reached nobody.
		l := annasLogin(s)
		l.name, l.password = "bob", "tea at four"
		bob := l.in(t)
		bob.send("<presence/>")
		n := 0
		for _, e := range bob.rest() {
			if e.child("body") != nil {
				n++
			}
		}
		if n > 1 {
			t.Errorf("%d messages came, one was sent in its turn", n)
		}
	})
}

// CVE-2018-10847: a stream that began again with another 'to' moved the session to that
// host. Rule 2; RFC 6120 §4.7.
func noOtherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for _, c := range []struct{ to, from, want string }{
			{"shop.example", "", "error host-unknown"},
			{"nowhere.example", "", "error host-unknown"},
			{"desk.example.shop.example", "", "error host-unknown"},
			{"", "", "error host-unknown"},
			{"desk.example", "bob@desk.example", "error invalid-from"},
			{"desk.example", "anna@shop.example", "error invalid-from"},
			{"desk.example", "@", "error invalid-from"},
			{"DESK.example", "anna@desk.example", ""},
			{"desk.example", "", ""},
		} {
			header := strings.Replace(fmt.Sprintf(streamHeader, c.to), " version='1.0' ", " from='"+c.from+"' version='1.0' ", 1)
			if c.from == "" {
				header = fmt.Sprintf(streamHeader, c.to)
			}
			if got := gist(annaAt(t, s, signedIn).to(header)); got != c.want {
				t.Errorf("again to %q from %q: %q, want %q", c.to, c.from, got, c.want)
			}
		}
		// Nor between STARTTLS and signing in.
		raw, err := s.net.dial(t.Context(), talkStartTLS)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		go fmt.Fprintf(raw, streamHeader+"<starttls"+nsTLSFault+"/>", "desk.example") // ends with the connection
		plain := bufio.NewReader(raw)
		for text := ""; !strings.HasSuffix(text, "<proceed"+nsTLSFault+"/>"); {
			b, err := plain.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			text += string(b)
		}
		conn := tls.Client(raw, &tls.Config{ServerName: "desk.example", RootCAs: s.Roots(), MinVersion: tls.VersionTLS12})
		if got := gist((wireEnd{conn, conn, ""}).to(fmt.Sprintf(streamHeader, "shop.example"))); got != "error host-unknown" {
			t.Errorf("over TLS to another host: %q, want host-unknown", got)
		}
	})
}

const streamHeader = "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// annaAt takes a connection of Anna's to a stage.
func annaAt(t *testing.T, s *talkServer, stage int) wireEnd {
	t.Helper()
	l, how := annasLogin(s), talkTLS
	if stage == unsecured {
		how = talkStartTLS
	}
	raw, err := s.net.dial(t.Context(), how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	if stage == unsecured {
		return wireEnd{raw, raw, fmt.Sprintf(streamHeader, l.domain)}
	}
	j := &jabber{t: t, conn: tls.Client(raw, &tls.Config{ServerName: l.domain, RootCAs: l.roots, MinVersion: tls.VersionTLS12})}
	j.in = bufio.NewReader(j.conn)
	asks := func(text string) error {
		j.send("%s", text)
		_, err := j.element()
		return err
	}
	if stage != signedOut {
		err = j.header(l)
	}
	if stage == challenged {
		err = errors.Join(err, asks("<auth"+nsSASLFault+" mechanism='SCRAM-SHA-256'>"+firstOfAnna+"</auth>"))
	}
	if stage >= signedIn {
		err = errors.Join(err, j.authenticate(l))
	}
	if stage >= reopened {
		err = errors.Join(err, j.header(l))
	}
	if stage >= bound {
		err = errors.Join(err, asks("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return wireEnd{j.in, j.conn, ""}
}

// A wireEnd is one end of a connection that nobody reads from yet.
type wireEnd struct {
	io.Reader
	io.Writer
	first string // what is to be sent before all else
}

// to sends a text and the end of the stream, and returns what the server has said when
// it has ended it as well.
func (c wireEnd) to(text string) string {
	go io.WriteString(c, c.first+text+"</stream:stream>") // ends with the connection, which the server may leave before it has read all
	got, _ := io.ReadAll(c)                               // how it ends is another test's question
	return string(got)
}

// gist is what the server said in short: the first element of note, and its condition if
// it has one.
func gist(said string) string {
	m := gistOf.FindStringSubmatch(said)
	if m == nil {
		return ""
	}
	return strings.Join(strings.Fields(strings.Join(m[1:], " ")), " ")
}

var gistOf = regexp.MustCompile(`<stream:(error)><([a-z-]+)|<(failure|failed) [^>]*><([a-z-]+)|<(proceed|challenge|success|enabled|resumed|presence) |` +
	`<iq type='(result)'|<(?:iq|message|presence) type='(error)'[^>]*><error[^>]*><([a-z-]+)`)
