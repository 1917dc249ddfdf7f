package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"parley.im/parley/xmppd/xmpptest"
)

// The stanzas of TestI9WhatArrivesIsWhatWasSent, with $to and $id to be filled in.
var corpus = []struct {
	name, in string
	live     bool // it is for the moment only
}{
	{"plain", `<message to='$to' id='$id' type='chat'><body>hello</body></message>`, false},
	{"no type", `<message to='$to' id='$id'><body>hello</body></message>`, false},
	{"double quotes and white space in tags", "<message\tto=\"$to\"\n id = \"$id\" type='chat' ><body >it's \"so\"</body\n></message >", false},
	{"prefix declared on the stanza's own tag", `<message xmlns:p='urn:example:p' to='$to' id='$id'><body>x</body><p:a p:b='1' b='2'/></message>`, false},
	{"several, one shadowed inside", `<message xmlns:p='urn:example:p' xmlns:q="urn:example:q'q" to='$to' id='$id'><body>x</body>` +
		`<p:a xmlns:p='urn:example:other'><p:b/><q:c xmlns='urn:example:d'><d q:e=''/></q:c></p:a><p:f/></message>`, false},
	{"prefix stream for something else", `<message xmlns:stream='urn:example:s' to='$to' id='$id'><body>x</body><stream:error/></message>`, false},
	{"prefix of the content namespace", `<message xmlns:c='jabber:client' to='$to' id='$id'><c:body>x</c:body><c:subject>y</c:subject></message>`, false},
	{"content namespace said again", `<message xmlns='jabber:client' to='$to' id='$id'><body xmlns='jabber:client'>x</body></message>`, false},
	{"content namespace deep inside", `<message to='$to' id='$id'><body>x</body><a xmlns='urn:example:a'><body xmlns='jabber:client'>not the body</body></a></message>`, false},
	{"the server's namespace inside", `<message to='$to' id='$id'><body>x</body><body xmlns='jabber:server'>y</body></message>`, false},
	{"no namespace", `<message to='$to' id='$id'><body>x</body><a xmlns=''><b/></a></message>`, false},
	{"a namespace written with references", `<message to='$to' id='$id'><body>x</body><a xmlns='urn:example:&amp;&#x61;'/></message>`, false},
	{"language of the stanza", `<message xml:lang='fr' to='$to' id='$id'><body>x</body></message>`, false},
	{"languages of bodies", `<message xml:lang='x-a&amp;b' to='$to' id='$id'><body xml:lang='en'>x</body><body xml:lang=''>y</body></message>`, false},
	{"entities", `<message to='$to' id='$id'><body>&lt;b&gt; &amp;amp; &apos;&quot; &#x1F600;&#128512; &#13;&#10;&#9;</body></message>`, false},
	{"entities in attributes", `<message to='$to' id='$id&lt;&amp;&#10;&#x9;&apos;"'><body>x</body><a xmlns='urn:a' b='&lt;&#10;&#9;&#13;&quot;'/></message>`, false},
	{"CDATA", `<message to='$to' id='$id'><body><![CDATA[<b>&amp;]] >]]>x<![CDATA[]]]]><![CDATA[>]]></body></message>`, false},
	{"what looks like an end", `<message to='$to' id='$id'><body><![CDATA[</body></message></stream:stream>]]></body></message>`, false},
	{"white space alone", "<message to='$to' id='$id'><body> \t\r\n </body>\n  <subject/>\n</message>", false},
	{"line ends", "<message to='$to' id='$id'><body>a\r\nb\rc\nd</body></message>", false},
	{"supplementary characters", "<message to='$to' id='$id'><body>\U0001F469\u200d\U0001F680 \U0010FFFD \U00020000</body></message>", false},
	{"other odd characters", "<message to='$to' id='$id'><body>\u0085\u2028\ufffd\ue000\u202e\ufeff</body></message>", false},
	{"odd names", `<message to='$to' id='$id'><body>x</body><_ xmlns='urn:a'/><a-b.c9 xmlns='urn:a'/><é xmlns='urn:a' ü='1'/><名前 xmlns='urn:a'/>` +
		`<ns:ns xmlns:ns='urn:a' xmlns='urn:b'/></message>`, false},
	{"empty in three ways", `<message to='$to' id='$id'><body>x</body><a xmlns='urn:a'/><a xmlns='urn:a'></a><a xmlns='urn:a' /></message>`, false},
	{"mixed content", `<message to='$to' id='$id'><body>x</body><p xmlns='urn:a'>one <b>two</b> three<br/>four</p></message>`, false},
	{"deep", `<message to='$to' id='$id'><body>x</body>` + strings.Repeat("<a xmlns='urn:a'>", 55) + "deep" + strings.Repeat("</a>", 55) + `</message>`, false},
	{"much text", `<message to='$to' id='$id'><body>` + strings.Repeat("long &amp; ", 5000) + `</body></message>`, false},
	{"somebody else's stanza-id and delay", `<message to='$to' id='$id'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='room@rooms.example' id='1'/>` +
		`<delay xmlns='urn:xmpp:delay' from='room@rooms.example' stamp='2026-01-01T00:00:00Z'/></message>`, false},
	{"a forwarded message inside", `<message to='$to' id='$id'><body>x</body><forwarded xmlns='urn:xmpp:forward:0'>` +
		`<message xmlns='jabber:client' from='a@b' to='c@d'><body>y</body></message></forwarded></message>`, false},
	{"a chat state alone", `<message to='$to' id='$id' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`, true},
	{"not to be stored", `<message xmlns:p='urn:p' to='$to' id='$id' type='chat'><body>&#x1F600;</body><p:q/><no-store xmlns='urn:xmpp:hints'/></message>`, true},
	{"a headline", `<message xmlns:p='urn:p' to='$to' id='$id' type='headline'><body>x</body><p:q/></message>`, true},
}

// I9: what a client sends arrives as the same tree, apart from what the server has
// to add: on the recipient's device, in carbons to both sides' other devices, from
// the archives of both, as offline message, and once more to a device that had not
// acknowledged it.
func TestI9WhatArrivesIsWhatWasSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t)
		for i, c := range corpus {
			p.say(c.name, fmt.Sprintf("c%d", i), c.in, !c.live)
		}
		p.later()
	})
}

// I9, for trees that nobody thought of.
func TestI9RandomTrees(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t)
		for i := range 300 {
			g := newGenerator(seed, uint64(i))
			name := fmt.Sprintf("random tree %d of seed %d", i, seed)
			switch i % 3 {
			case 0:
				p.say(name, fmt.Sprintf("r%d", i), g.message(), true)
			case 1:
				p.pass(name, p.anna, p.ben, g.stanza("presence"))
			case 2:
				p.pass(name, p.anna, p.ben, g.stanza("iq type='get'"))
				p.pass(name, p.ben, p.anna, newGenerator(seed, uint64(i)).stanza("iq type='result'"))
			}
		}
		p.later()
	})
}

// A party is Anna with two devices, who talks to Ben with three and to Cleo, who is
// away. Ben's mobile acknowledges nothing (XEP-0198).
type party struct {
	t            *testing.T
	server       *talkServer
	anna, phone  *jabber
	ben, tablet  *jabber
	mobile       *jabber
	resumption   string // the mobile's
	said, toCleo []utterance
	passed       int
}

// An utterance is a message as its recipients should get it.
type utterance struct {
	name, id string
	want     string
	kept     bool
}

func newParty(t *testing.T) *party {
	talk := &xmpptest.Talk{}
	for _, name := range []string{"anna", "ben", "cleo"} {
		talk.Cast = append(talk.Cast, xmpptest.Person{Name: name, Role: "agent", Domain: "desk.example", Password: "correct horse 42"})
	}
	p := &party{t: t, server: newTalkServer(t, talk)}
	laptop := p.login("anna", "laptop")
	laptop.lang = "de" // RFC 6120 §4.7.4: holds for all that says nothing else
	p.anna = laptop.in(t)
	p.phone = p.login("anna", "phone").in(t)
	p.ben = p.login("ben", "desk").in(t)
	p.tablet = p.login("ben", "tablet").in(t)
	p.mobile = p.login("ben", "mobile").in(t)
	p.mobile.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	p.resumption = p.mobile.until("enabled", func(e *tree) bool { return e.name.Local == "enabled" }).attr("id")
	p.anna.available("")
	p.ben.available("")
	p.mobile.available("")
	for _, j := range []*jabber{p.phone, p.tablet} {
		j.available("<priority>-1</priority>")
		j.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>")
	}
	return p
}

func (p *party) login(name, resource string) login {
	return login{
		dial: func(ctx context.Context) (net.Conn, error) { return p.server.net.dial(ctx, talkTLS) }, roots: p.server.Roots(),
		domain: "desk.example", name: name, password: "correct horse 42", resource: resource,
	}
}

// say has Anna say it to Ben, looks at all devices at once, and has her say it to
// Cleo for later.
func (p *party) say(name, id, in string, kept bool) {
	p.t.Helper()
	stanza, want := p.expected(p.anna, in, "ben@desk.example", id)
	p.anna.send("%s", stanza)
	p.same(name+", delivered", want, p.ben.message(want.attr("id")), "ben@desk.example")
	if want.attr("type") != "headline" {
		p.same(name+", carbon of what was received", want, p.copied(p.tablet, "received", want.attr("id")), "ben@desk.example")
		p.same(name+", carbon of what was sent", want, p.copied(p.phone, "sent", want.attr("id")), "anna@desk.example")
	}
	p.said = append(p.said, utterance{name, want.attr("id"), want.String(), kept})

	stanza, want = p.expected(p.anna, in, "cleo@desk.example", id+"-c")
	p.anna.send("%s", stanza)
	p.toCleo = append(p.toCleo, utterance{name, want.attr("id"), want.String(), kept})
}

// expected is what a device is to send, and what should come of it.
func (p *party) expected(from *jabber, in, to, id string) (stanza string, want *tree) {
	p.t.Helper()
	stanza = strings.NewReplacer("$to", to, "$id", id).Replace(in)
	d := xml.NewDecoder(strings.NewReader("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" + stanza))
	for want == nil {
		token, err := d.Token()
		if err != nil {
			p.t.Fatalf("%q: %v", stanza, err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local != "stream" {
			if want, err = readTree(d, start); err != nil {
				p.t.Fatalf("%q: %v", stanza, err)
			}
		}
	}
	want.set(xml.Name{Local: "from"}, from.jid)
	if want.name.Local == "message" && want.attr("type") == "" {
		want.set(xml.Name{Local: "type"}, "normal") // RFC 6121 §5.2.2: the default, said outright
	}
	lang := xml.Name{Space: "http://www.w3.org/XML/1998/namespace", Local: "lang"}
	if !slices.ContainsFunc(want.attrs, func(a xml.Attr) bool { return a.Name == lang }) {
		want.set(lang, from.lang) // RFC 6120 §8.1.5
	}
	return stanza, want
}

// copied passes over elements up to the carbon copy of a message.
func (p *party) copied(j *jabber, direction, id string) (inner *tree) {
	p.t.Helper()
	j.until("a copy of "+id, func(e *tree) bool {
		inner = e.child(direction).child("forwarded").child("message")
		return inner.attr("id") == id
	})
	return inner
}

// same compares, apart from what the server adds for owner.
func (p *party) same(what string, want, got *tree, owner string) {
	p.t.Helper()
	if got := bared(got, owner); got != want.String() {
		p.t.Errorf("%s:\nsent %s\ngot  %s", what, want, got)
	}
}

// bared is a stanza without what the server added to it for owner, at its end.
func bared(e *tree, owner string) string {
	c := *e
	for n := len(c.kids); n > 0 && added(c.kids[n-1], owner); n-- {
		c.kids = c.kids[:n-1]
	}
	return c.String()
}

// added says whether only the server can have put this child there: a stanza-id
// (XEP-0359) or the time of an offline message (XEP-0203).
func added(kid any, owner string) bool {
	e, ok := kid.(*tree)
	return ok && (e.name == xml.Name{Space: "urn:xmpp:sid:0", Local: "stanza-id"} && e.attr("by") == owner ||
		e.name == xml.Name{Space: "urn:xmpp:delay", Local: "delay"} && e.attr("from") == "desk.example")
}

// pass has one device send a stanza to another one.
func (p *party) pass(name string, from, to *jabber, in string) {
	p.t.Helper()
	p.passed++
	id := fmt.Sprintf("p%d", p.passed)
	stanza, want := p.expected(from, in, to.jid, id)
	from.send("%s", stanza)
	p.same(name, want, to.until(name, func(e *tree) bool { return e.attr("id") == id }), "")
}

// later looks at what was said once more: as Cleo, who comes back, and in the
// archives of all three.
func (p *party) later() {
	p.t.Helper()
	p.anna.rest() // all of it is kept
	cleo := p.login("cleo", "desk").in(p.t)
	cleo.available("")
	for _, u := range p.toCleo {
		if u.kept {
			p.found("offline", u, cleo.message(u.id), "cleo@desk.example")
		}
	}
	p.replay("Ben's", p.ben, p.said)
	p.replay("Cleo's", cleo, p.toCleo)
	both := make([]utterance, 0, 2*len(p.said))
	for i := range p.said {
		both = append(both, p.said[i], p.toCleo[i])
	}
	p.replay("Anna's", p.phone, both)
	p.resumed()
}

// resumed looks at what Ben's mobile is sent once more, after a restart of the server.
func (p *party) resumed() {
	p.t.Helper()
	p.mobile.rest()
	if err := p.server.Restart(); err != nil {
		p.t.Fatal(err)
	}
	again := p.login("ben", "mobile")
	again.resume = p.resumption
	mobile := again.in(p.t)
	for _, u := range p.said {
		p.found("sent again", u, mobile.message(u.id), "ben@desk.example")
	}
}

// replay compares an archive with what was said and kept, in its order.
func (p *party) replay(whose string, j *jabber, said []utterance) {
	p.t.Helper()
	all := j.archive()
	said = slices.Clone(said)
	said = slices.DeleteFunc(said, func(u utterance) bool { return !u.kept })
	if len(all) != len(said) {
		p.t.Fatalf("%s archive holds %d messages, want %d", whose, len(all), len(said))
	}
	for i, u := range said {
		p.found(whose+" archive", u, all[i], "")
	}
}

func (p *party) found(where string, u utterance, got *tree, owner string) {
	p.t.Helper()
	if got := bared(got, owner); got != u.want {
		p.t.Errorf("%s, %s:\nsent %s\ngot  %s", u.name, where, u.want, got)
	}
}

// A generator writes stanzas at random, well-formed ones, in all the ways in which
// the same can be written.
type generator struct {
	r *rand.Rand
	b strings.Builder
	n int // elements so far
}

func newGenerator(seed, n uint64) *generator { return &generator{r: rand.New(rand.NewPCG(seed, n))} }

var (
	localNames = []string{"a", "_b", "c-d.e", "é", "名前", "x1", "Ωmega", "body", "message"}
	prefixes   = []string{"p", "q2", "_r", "été"}
	spaceNames = []string{"urn:a", "urn:b", "jabber:client", "jabber:server", "urn:xmpp:forward:0", "urn:&amp;&#x41;", "http://example.org/?a=b"}
	texts      = []string{
		"word", " ", "\n\t", "\r\n", "&lt;", "&amp;", "&gt;", "&apos;&quot;", "&#10;", "&#x1F600;", "&#x10FFFD;", "'\"", "]] ", "> ",
		"<![CDATA[<a>&b;]]>", "<![CDATA[]]>", "<![CDATA[]]]]><![CDATA[>]]>", "é名\U0001F680", "\u0085\u2028\ufffd", "%s%d",
	}
	values = []string{"", "v", "&lt;&amp;", "&#10;&#9;", "é\U0001F680", "&quot;&apos;", ">", "urn:a"}
)

func (g *generator) pick(from []string) string { return from[g.r.IntN(len(from))] }

func (g *generator) quoted(s string) string {
	if g.r.IntN(2) == 0 {
		return "'" + s + "'"
	}
	return `"` + s + `"`
}

// message has a body, so that it is kept.
func (g *generator) message() string {
	scope := g.open("message" + g.pick([]string{"", " type='chat'", " type='normal'"}))
	g.b.WriteString("<body>x")
	g.text()
	g.b.WriteString("</body>")
	for range g.r.IntN(4) {
		g.element(scope, 1)
	}
	g.b.WriteString("</message>")
	return g.b.String()
}

// stanza has one payload.
func (g *generator) stanza(tag string) string {
	scope := g.open(tag)
	g.element(scope, 1)
	name, _, _ := strings.Cut(tag, " ")
	g.b.WriteString("</" + name + ">")
	return g.b.String()
}

// open writes a stanza's start tag and says which prefixes it declares.
func (g *generator) open(tag string) (scope []string) {
	g.b.WriteString("<" + tag + " to='$to' id='$id'")
	for _, p := range prefixes {
		if g.r.IntN(2) == 0 {
			g.b.WriteString(" xmlns:" + p + "=" + g.quoted(g.pick(spaceNames)))
			scope = append(scope, p)
		}
	}
	g.b.WriteString(">")
	return scope
}

// element writes an element with all that is inside.
func (g *generator) element(scope []string, depth int) {
	g.n++
	var declared strings.Builder
	switch g.r.IntN(6) {
	case 0:
		declared.WriteString(" xmlns=''")
	case 1, 2:
		declared.WriteString(" xmlns=" + g.quoted(g.pick(spaceNames)))
	}
	scope = slices.Clone(scope)
	if g.r.IntN(3) == 0 {
		p := g.pick(prefixes)
		declared.WriteString("\n xmlns:" + p + " = " + g.quoted(g.pick(spaceNames)))
		scope = append(scope, p)
	}
	name := g.name(scope)
	g.b.WriteString("<" + name)
	if g.r.IntN(2) == 0 {
		g.b.WriteString(declared.String())
		declared.Reset()
	}
	for i := range g.r.IntN(4) {
		// The number keeps two attributes of one element apart, whatever their prefixes mean.
		fmt.Fprintf(&g.b, " %s%d=%s", g.name(scope), i, g.quoted(g.pick(values)))
	}
	if g.r.IntN(8) == 0 {
		g.b.WriteString(" xml:lang='de'")
	}
	g.b.WriteString(declared.String())
	if g.r.IntN(4) == 0 {
		g.b.WriteString(g.pick([]string{"/>", " />"}))
		return
	}
	g.b.WriteString(g.pick([]string{">", " >"}))
	for range g.r.IntN(4) {
		if depth < 12 && g.n < 60 && g.r.IntN(2) == 0 {
			g.element(scope, depth+1)
		} else {
			g.text()
		}
	}
	g.b.WriteString("</" + name + g.pick([]string{">", "\n>"}))
}

func (g *generator) name(scope []string) string {
	if len(scope) > 0 && g.r.IntN(2) == 0 {
		return g.pick(scope) + ":" + g.pick(localNames)
	}
	return g.pick(localNames)
}

func (g *generator) text() {
	for range g.r.IntN(4) {
		g.b.WriteString(g.pick(texts))
	}
}

// The generator is only worth something if another parser reads what it writes.
func TestGeneratorIsWellFormed(t *testing.T) {
	for i := range uint64(200) {
		in := newGenerator(1, i).message()
		d := xml.NewDecoder(strings.NewReader(in))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v", in, err)
			}
		}
	}
}
