package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// A hostility is a way to misbehave on one connection, again and again until it fails.
type hostility struct {
	name string
	do   func(r *rider, n int) error // the n-th time
}

// says is the stranger who says something over TLS before signing in, and waits until it
// is thrown out.
func says(text string) func(net.Conn, login) error {
	return func(c net.Conn, l login) error {
		secured := l.over(c)
		_, err := io.WriteString(secured, fmt.Sprintf(streamHeader, l.domain)+text)
		if err == nil {
			err = ends(secured)
		}
		if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
			return nil // it was, before it had said all
		}
		return err
	}
}

// strangers are hostile without a password, beside the approaches.
var strangers = []approach{
	{"something in clear", inClearPort, func(c net.Conn, l login) error {
		if _, err := fmt.Fprintf(c, streamHeader+"<message to='anna@desk.example'><body>hello</body></message>", l.domain); err != nil {
			return err
		}
		return ends(c)
	}},
	{"no XMPP at all", inClearPort, func(c net.Conn, _ login) error {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: desk.example\r\n\r\n"); err != nil {
			return err
		}
		return ends(c)
	}},
	{"a billion laughs", securePort, says(laughs + "<x>&lol3;</x>")},
	{"10 KiB of children", securePort, says("<x>" + strings.Repeat("<y/>", 10<<8))},
	{"10 KiB of depth", securePort, says(strings.Repeat("<x>", 10<<8))},
	{"10 KiB of one name", securePort, says("<" + strings.Repeat("x", 10<<10))},
	{"characters in pieces", securePort, says("<x>\xe2\x82</x>")},
	{"a stanza before signing in", securePort, says("<message to='anna@desk.example'><body>hello</body></message>")},
	{"compression", securePort, says("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>")},
	{"three mechanisms that nobody offered", securePort, says(strings.Repeat("<auth"+nsSASLFault+" mechanism='PLAIN'>AGFubmEAY29ycmVjdCBob3JzZQ==</auth>", 3))},
	{"a stream to another host", securePort, says("</stream:stream>" + strings.Replace(streamHeader, "%s", "shop.example", 1))},
	{"a wrong password", securePort, func(c net.Conn, l login) error {
		r := &rider{number: 0, conn: l.over(c), salted: make([]byte, 32)}
		return r.wrongly()
	}},
	{"the password of nobody", securePort, func(c net.Conn, l login) error {
		r := &rider{number: 1 << 20, conn: l.over(c), salted: make([]byte, 32)}
		return r.wrongly()
	}},
}

// wrongly tries a password that is none.
func (r *rider) wrongly() error {
	if _, err := r.ask("</stream:features>", streamHeader, "desk.example"); err != nil {
		return err
	}
	return r.scram("</failure>")
}

// ping waits until all is done that was asked before it.
func (r *rider) ping(n int) error {
	id := fmt.Sprintf(" id='ping-%d'", n)
	_, err := r.ask(id, "<iq type='get'%s><ping xmlns='urn:xmpp:ping'/></iq>", id)
	return err
}

// asks sends what form makes of each number up to count, and waits until all is done.
func asks(count int, form func(r *rider, i int) string) func(*rider, int) error {
	return func(r *rider, n int) error {
		var b strings.Builder
		for i := range count {
			b.WriteString(form(r, n*count+i))
		}
		if _, err := io.WriteString(r.conn, b.String()); err != nil {
			return err
		}
		return r.ping(n)
	}
}

// always is a form without a number.
func always(text string) func(*rider, int) string { return func(*rider, int) string { return text } }

// breaks says what ends the stream.
func breaks(text string) func(*rider, int) error {
	return func(r *rider, _ int) error {
		if _, err := io.WriteString(r.conn, text); err != nil {
			return err
		}
		if _, err := r.take("<stream:error>", 1); err != nil {
			return err
		}
		return errEnded
	}
}

// errEnded is how a hostility ends that goes on with another connection.
var errEnded = errors.New("the stream has ended, as it should")

// deafly asks without reading, until the server cuts it off or its patience ends.
func deafly(text string) func(*rider, int) error {
	return func(r *rider, _ int) error {
		if err := r.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		for i := range 4096 {
			if _, err := fmt.Fprintf(r.conn, text, i); err != nil {
				return errEnded
			}
		}
		return errEnded
	}
}

const (
	pageQuery  = "<iq type='set' id='page-%d'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>250</max><before/></set></query></iq>"
	countQuery = "<iq type='set' id='count-%d'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query></iq>"
	oddQuery   = "<iq type='set' id='odd-%d'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>' OR 1=1; --</after></set></query></iq>"
)

// insiders are hostile with a password: colleagues of those who work.
var insiders = []hostility{
	{"a flood of messages to those who work", asks(100, func(r *rider, i int) string {
		return fmt.Sprintf("<message to='voice%d@desk.example' type='chat' id='%s-%d'><body>flood</body></message>", i%voiceCount, r.name(), i)
	})},
	{"a flood of messages to one another", asks(100, func(r *rider, i int) string {
		return fmt.Sprintf("<message to='rider%d@desk.example' type='chat' id='%d'><body>flood</body></message>", r.number+1, i)
	})},
	{"large messages to itself", asks(10, func(_ *rider, i int) string {
		return fmt.Sprintf("<message type='chat' id='%d'><body>%s</body></message>", i, strings.Repeat("x", 64<<10))
	})},
	{"typing, typing", asks(100, func(_ *rider, i int) string {
		return fmt.Sprintf("<message to='voice%d@desk.example' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", i%voiceCount)
	})},
	{"coming and going", asks(20, always("<presence type='unavailable'/><presence/>"))},
	{"long words of presence", asks(20, always("<presence><status>"+strings.Repeat("x", 8<<10)+"</status></presence>"))},
	{"presence for many", asks(300, func(_ *rider, i int) string {
		return fmt.Sprintf("<presence to='voice%d@desk.example/%d'/><presence to='nobody%d@desk.example'/>", i%voiceCount, i, i)
	})},
	{"probes and requests to everybody", asks(50, func(_ *rider, i int) string {
		return fmt.Sprintf("<presence type='probe' to='voice%d@desk.example'/><presence type='subscribe' to='nobody%d@desk.example'/>", i%voiceCount, i)
	})},
	{"archive pages", asks(8, func(_ *rider, i int) string { return fmt.Sprintf(pageQuery+countQuery+oddQuery, i, i, i) })},
	{"archive pages that nobody reads", deafly(pageQuery)},
	{"rosters that nobody reads", deafly("<iq type='get' id='roster-%d'><query xmlns='jabber:iq:roster'/></iq>")},
	{"messages that nobody acknowledges", asks(100, func(r *rider, i int) string {
		return fmt.Sprintf("<message to='%s@desk.example/%d' type='chat' id='%d'><body>hello</body></message>", r.name(), r.number, i)
	})},
	{"changes of the roster", asks(20, func(_ *rider, i int) string {
		return fmt.Sprintf("<iq type='set' id='%d'><query xmlns='jabber:iq:roster'><item jid='a%d@shop.example'/></query></iq>"+
			"<iq type='set' id='%d'><query xmlns='jabber:iq:roster'><item jid='a%d@shop.example' subscription='remove'/></query></iq>", i, i, i, i)
	})},
	{"rosters", asks(50, func(_ *rider, i int) string {
		return fmt.Sprintf("<iq type='get' id='%d'><query xmlns='jabber:iq:roster'/></iq>", i)
	})},
	{"questions", asks(200, func(_ *rider, i int) string {
		return fmt.Sprintf("<iq type='get' id='%d' to='voice%d@desk.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", i, i%voiceCount)
	})},
	{"things put aside", asks(4, func(_ *rider, i int) string {
		return fmt.Sprintf("<iq type='set' id='%d'><query xmlns='jabber:iq:private'><x xmlns='urn:x:%d'>%s</x></query></iq>", i, i%8, strings.Repeat("x", 32<<10))
	})},
	{"blocking and unblocking", asks(20, func(_ *rider, i int) string {
		return fmt.Sprintf("<iq type='set' id='%d'><block xmlns='urn:xmpp:blocking'><item jid='nobody%d@desk.example'/></block></iq>"+
			"<iq type='set' id='%d'><unblock xmlns='urn:xmpp:blocking'/></iq>", i, i, i)
	})},
	{"changes of the password", asks(2, func(r *rider, i int) string {
		return fmt.Sprintf("<iq type='set' id='%d'><query xmlns='jabber:iq:register'><username>%s</username><password>%s</password></query></iq>", i, r.name(), riderPassword)
	})},
	{"requests that are none", asks(100, always("<iq type='get'/><iq type='maybe' id='1'><x/></iq><iq type='set' id='1'><x xmlns='a'/><x xmlns='b'/></iq><message to='@'/><presence type='odd'/>"))},
	{"forged ids and copies", asks(50, always("<message to='voice0@desk.example' type='chat'><stanza-id xmlns='urn:xmpp:sid:0' by='voice0@desk.example' id='1'/>"+
		"<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message from='voice1@desk.example'><body>no</body></message></forwarded></received></message>"))},
	{"another's name", breaks("<message from='anna@desk.example' to='voice0@desk.example'><body>no</body></message>")},
	{"laughs after signing in", breaks(laughs)},
	{"more than may be said", breaks("<message to='voice0@desk.example'><body>" + strings.Repeat("x", 300<<10) + "</body></message>")},
	{"more depth than there may be", breaks("<message to='voice0@desk.example'>" + strings.Repeat("<x>", 100))},
	{"a count of what never came", breaks("<a xmlns='urn:xmpp:sm:3' h='4000000000'/>")},
	{"nothing but signing in", func(*rider, int) error { return errEnded }},
}
