package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"
)

// A login is what somebody needs to sign in.
type login struct {
	dial                             func(context.Context) (net.Conn, error)
	roots                            *x509.CertPool
	domain, name, password, resource string
	lang                             string   // xml:lang of the stream
	resume                           string   // the id of the session to resume, none of whose stanzas is acknowledged
	protocols                        []string // asked for in the TLS handshake (ALPN)
	untied                           bool     // the sign-in is not bound to the TLS connection
}

// A jabber is one device of an agent's: a client that knows nothing of the server's
// code. It reads with encoding/xml.
type jabber struct {
	t    *testing.T
	jid  string // as it was bound
	bare string
	lang string // of its stream
	conn *tls.Conn
	in   *bufio.Reader
	xml  *xml.Decoder
	got  chan *tree // closed at the end of the stream; <r/> is left out
	done chan struct{}
	ids  int
}

// patience is how long a device waits for what must come.
const patience = 15 * time.Second

// in signs in and fails the test if that does not work.
func (l login) in(t *testing.T) *jabber {
	t.Helper()
	j, err := l.try(t)
	if err != nil {
		t.Fatalf("%s signs in: %v", l.name, err)
	}
	return j
}

// try signs in: TLS, SASL, bind (RFC 6120 §9.1).
func (l login) try(t *testing.T) (*jabber, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	raw, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	j := &jabber{
		t: t, lang: l.lang, conn: tls.Client(raw, &tls.Config{ServerName: l.domain, RootCAs: l.roots, MinVersion: tls.VersionTLS12, NextProtos: l.protocols}),
		got: make(chan *tree, 1<<14), done: make(chan struct{}),
	}
	j.in = bufio.NewReader(j.conn)
	if err := errors.Join(j.conn.SetDeadline(time.Now().Add(patience)), j.begin(l)); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if err := j.conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	go j.read() // ends with the connection
	t.Cleanup(j.drop)
	return j, nil
}

func (j *jabber) begin(l login) error {
	if err := j.header(l); err != nil {
		return err
	}
	if err := j.authenticate(l); err != nil {
		return err
	}
	if err := j.header(l); err != nil {
		return err
	}
	if l.resume != "" {
		return j.takeUp(l)
	}
	j.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s</resource></bind></iq>", l.resource)
	iq, err := j.element()
	if err != nil {
		return err
	}
	j.jid = iq.child("bind").child("jid").text()
	if iq.attr("type") != "result" || j.jid == "" {
		return fmt.Errorf("not bound: %s", iq)
	}
	j.bare, _, _ = strings.Cut(j.jid, "/")
	return nil
}

// takeUp resumes a session that lost its connection (XEP-0198 §5).
func (j *jabber) takeUp(l login) error {
	j.send("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", l.resume)
	e, err := j.element()
	if err != nil {
		return err
	}
	if e.name.Local != "resumed" {
		return fmt.Errorf("not resumed: %s", e)
	}
	j.bare = l.name + "@" + l.domain
	j.jid = j.bare + "/" + l.resource
	return nil
}

// header opens the stream and passes over the features.
func (j *jabber) header(l login) error {
	lang := ""
	if l.lang != "" {
		lang = " xml:lang='" + l.lang + "'"
	}
	j.send("<?xml version='1.0'?><stream:stream to='%s' version='1.0'%s xmlns='jabber:client' "+
		"xmlns:stream='http://etherx.jabber.org/streams'>", l.domain, lang)
	return j.features()
}

// features passes over the server's header, and what stands behind it.
func (j *jabber) features() error {
	// A bufio.Reader hands the decoder byte by byte, so that the next one goes on
	// where this one stops.
	j.xml = xml.NewDecoder(j.in)
	for {
		token, err := j.xml.Token()
		if err != nil {
			return err
		}
		if _, ok := token.(xml.StartElement); ok {
			_, err := j.element()
			return err
		}
	}
}

func (j *jabber) authenticate(l login) error {
	const space = "urn:ietf:params:xml:ns:xmpp-sasl"
	mechanism := sasl.ScramSha256Plus
	if l.untied {
		mechanism = sasl.ScramSha256
	}
	client := sasl.NewClient(mechanism, sasl.TLSState(j.conn.ConnectionState()), sasl.RemoteMechanisms(mechanism.Name),
		sasl.Credentials(func() (username, password, identity []byte) { return []byte(l.name), []byte(l.password), nil }))
	_, msg, err := client.Step(nil)
	if err != nil {
		return err
	}
	j.send("<auth xmlns='%s' mechanism='%s'>%s</auth>", space, mechanism.Name, base64.StdEncoding.EncodeToString(msg))
	for {
		e, err := j.element()
		if err != nil {
			return err
		}
		if e.name.Local != "challenge" && e.name.Local != "success" {
			return fmt.Errorf("not signed in: %s", e)
		}
		raw, err := base64.StdEncoding.DecodeString(e.text())
		if err != nil {
			return err
		}
		// RFC 5802 §3: the server, too, has shown that it knows the password.
		if _, msg, err = client.Step(raw); err != nil || e.name.Local == "success" {
			return err
		}
		j.send("<response xmlns='%s'>%s</response>", space, base64.StdEncoding.EncodeToString(msg))
	}
}

// element reads up to the end of the next element of the stream.
func (j *jabber) element() (*tree, error) {
	for {
		token, err := j.xml.Token()
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			return readTree(j.xml, token)
		case xml.EndElement:
			return nil, io.EOF
		}
	}
}

func (j *jabber) read() {
	defer close(j.done)
	defer close(j.got)
	for {
		e, err := j.element()
		if err != nil {
			return
		}
		if e.name != (xml.Name{Space: "urn:xmpp:sm:3", Local: "r"}) {
			j.got <- e
		}
	}
}

// send writes to the server. That it does not arrive is told by what then does
// not come.
func (j *jabber) send(format string, args ...any) {
	_, _ = fmt.Fprintf(j.conn, format, args...)
}

// next is the next element; nil at the end of the stream.
func (j *jabber) next() *tree {
	j.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case e := <-j.got:
		return e
	case <-late.C:
		j.t.Fatalf("%s: nothing came", j.jid)
		return nil
	}
}

// until passes over elements up to the one that fits.
func (j *jabber) until(what string, fits func(*tree) bool) *tree {
	j.t.Helper()
	for {
		e := j.next()
		if e == nil {
			j.t.Fatalf("%s: the stream ended before %s", j.jid, what)
		}
		if fits(e) {
			return e
		}
	}
}

// message passes over elements up to the message with that id.
func (j *jabber) message(id string) *tree {
	j.t.Helper()
	return j.until("message "+id, func(e *tree) bool { return e.name.Local == "message" && e.attr("id") == id })
}

// ask sends an iq and returns its answer.
func (j *jabber) ask(typ, to, payload string) *tree {
	j.t.Helper()
	answer, _ := j.all(typ, to, payload)
	return answer
}

// all is ask, and what came before the answer.
func (j *jabber) all(typ, to, payload string) (answer *tree, before []*tree) {
	j.t.Helper()
	j.ids++
	id := fmt.Sprintf("ask-%d", j.ids)
	if to != "" {
		to = " to='" + to + "'"
	}
	j.send("<iq type='%s' id='%s'%s>%s</iq>", typ, id, to, payload)
	answer = j.until("the answer to "+payload, func(e *tree) bool {
		before = append(before, e)
		return e.name.Local == "iq" && e.attr("id") == id
	})
	return answer, before[:len(before)-1]
}

// rest is all that has come by now: a ping's answer comes last (XEP-0199).
func (j *jabber) rest() []*tree {
	j.t.Helper()
	_, before := j.all("get", "", "<ping xmlns='urn:xmpp:ping'/>")
	return before
}

// available sends initial presence and waits until it comes back (RFC 6121 §4.2.2).
func (j *jabber) available(inner string) {
	j.t.Helper()
	j.send("<presence>%s</presence>", inner)
	j.until("its own presence", func(e *tree) bool { return e.name.Local == "presence" && e.attr("from") == j.jid })
}

// archive is the whole archive, oldest first: each <message/> as it was forwarded
// (XEP-0313 §4.3.2 pages through it).
func (j *jabber) archive() (all []*tree) {
	j.t.Helper()
	after := ""
	for {
		answer, before := j.all("set", "", "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"+
			"<max>100</max>"+after+"</set></query>")
		for _, e := range before {
			if m := e.child("result").child("forwarded").child("message"); m != nil {
				all = append(all, m)
			}
		}
		fin := answer.child("fin")
		if fin == nil {
			j.t.Fatalf("%s: no archive: %s", j.jid, answer)
		}
		if fin.attr("complete") == "true" {
			return all
		}
		after = "<after>" + fin.child("set").child("last").text() + "</after>"
	}
}

// drop cuts the line. It may be called twice.
func (j *jabber) drop() {
	_ = j.conn.NetConn().Close() // how the cut ends is nothing that a test asks for
	<-j.done
}

// A tree is an element as encoding/xml reads it, without the declarations of
// namespaces. All methods take nil for an element that is not there.
type tree struct {
	name  xml.Name
	attrs []xml.Attr // sorted
	kids  []any      // *tree or string; neighbouring text is one string
}

// readTree reads the rest of an element.
func readTree(d *xml.Decoder, start xml.StartElement) (*tree, error) {
	e := &tree{name: start.Name}
	for _, a := range start.Attr {
		if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
			e.attrs = append(e.attrs, a)
		}
	}
	e.sort()
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			kid, err := readTree(d, token)
			if err != nil {
				return nil, err
			}
			e.kids = append(e.kids, kid)
		case xml.CharData:
			if n := len(e.kids); n > 0 {
				if before, ok := e.kids[n-1].(string); ok {
					e.kids[n-1] = before + string(token)
					continue
				}
			}
			e.kids = append(e.kids, string(token))
		case xml.EndElement:
			return e, nil
		default:
			return nil, fmt.Errorf("%T inside a stanza", token) // RFC 6120 §11.1
		}
	}
}

func (e *tree) sort() {
	slices.SortFunc(e.attrs, func(a, b xml.Attr) int {
		return strings.Compare(a.Name.Space+" "+a.Name.Local, b.Name.Space+" "+b.Name.Local)
	})
}

// String is the same for the same trees and no others.
func (e *tree) String() string {
	if e == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<{%s}%s", e.name.Space, e.name.Local)
	for _, a := range e.attrs {
		fmt.Fprintf(&b, " {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value)
	}
	b.WriteString(">")
	for _, k := range e.kids {
		if s, ok := k.(string); ok {
			fmt.Fprintf(&b, "%q", s)
			continue
		}
		fmt.Fprint(&b, k)
	}
	b.WriteString("</>")
	return b.String()
}

// attr is the value of an attribute without a prefix, or "".
func (e *tree) attr(local string) string {
	if e != nil {
		for _, a := range e.attrs {
			if a.Name == (xml.Name{Local: local}) {
				return a.Value
			}
		}
	}
	return ""
}

// set gives an attribute a value; "" takes it away.
func (e *tree) set(name xml.Name, value string) {
	e.attrs = slices.DeleteFunc(e.attrs, func(a xml.Attr) bool { return a.Name == name })
	if value != "" {
		e.attrs = append(e.attrs, xml.Attr{Name: name, Value: value})
	}
	e.sort()
}

// child is the first child element of that name, or nil.
func (e *tree) child(local string) *tree {
	if e != nil {
		for _, k := range e.kids {
			if c, ok := k.(*tree); ok && c.name.Local == local {
				return c
			}
		}
	}
	return nil
}

// text is the character data directly in the element.
func (e *tree) text() string {
	var b strings.Builder
	if e != nil {
		for _, k := range e.kids {
			if s, ok := k.(string); ok {
				b.WriteString(s)
			}
		}
	}
	return b.String()
}

// refused sends something instead of signing in and waits until the server has said
// no.
func (l login) refused(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	raw, err := l.dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	j := &jabber{t: t, conn: tls.Client(raw, &tls.Config{ServerName: l.domain, RootCAs: l.roots, MinVersion: tls.VersionTLS12})}
	j.in = bufio.NewReader(j.conn)
	if err := errors.Join(j.conn.SetDeadline(time.Now().Add(patience)), j.header(l)); err != nil {
		t.Fatal(err)
	}
	j.send("%s", text)
	e, err := j.element()
	if err != nil || e.name.Local != "failure" && e.name.Local != "error" {
		t.Errorf("%s: got %s, %v, want a refusal", text, e, err)
	}
}
