package xmppd

import (
	"encoding/xml"
	"fmt"
	"math"
	"net"
	"testing"
	"testing/synctest"

	"parley.im/parley/xmppd/wire"
)

// Both counters of a stream pass 2³² and begin again at zero, and it is resumed on the
// other side of that as anywhere else (XEP-0198 §4; rule 32).
func TestAStreamThatCountsBeyondItsCounters(t *testing.T) {
	const near = math.MaxUint32 - 1
	synctest.Test(t, func(t *testing.T) {
		l := testLimits
		l.Queue, l.QueueBytes = 100, 10000
		server := newTestServer(t, l)
		g := newTestAgent(server, "anna")
		s := newSession(g, "phone")
		s.handled = near
		s.sm = smState{enabled: true, on: true, resumable: true, id: "stream", acked: near}
		g.mu.Lock()
		g.enter(s)
		g.mu.Unlock()

		line, n := newLine(t, g)
		s.epoch = newEpoch(n.conn, n.in)
		server.wg.Go(func() { s.run(s.epoch) })
		for i := range 4 {
			line.send("<iq type='get' id='p%d'><ping xmlns='urn:xmpp:ping'/></iq>", i)
			line.want("iq", fmt.Sprintf("p%d", i), "")
		}
		line.send("<r xmlns='urn:xmpp:sm:3'/>")
		line.want("a", "", "2")
		line.send("<a xmlns='urn:xmpp:sm:3' h='1'/>") // all but the last
		line.conn.Close()
		synctest.Wait()
		if s.sm.acked != 1 || len(s.sm.unacked) != 1 {
			t.Fatalf("acknowledged up to %d, %d left, want 1 and 1", s.sm.acked, len(s.sm.unacked))
		}

		// What was acknowledged before the counters began again can't be taken back.
		line, n = newLine(t, g)
		go line.send("<resume xmlns='urn:xmpp:sm:3' previd='stream' h='%d'/>", uint32(math.MaxUint32))
		if _, err := n.resumes(line.received(n)); err == nil {
			t.Error("resumed with a count that is behind")
		}
		line, n = newLine(t, g)
		go line.send("<resume xmlns='urn:xmpp:sm:3' previd='stream' h='1'/>")
		st := line.received(n)
		server.wg.Go(func() {
			if back, err := n.resumes(st); back != s || err != nil {
				t.Errorf("resume: %v, %v", back, err)
				return
			}
			s.run(n.epoch)
		})
		line.want("resumed", "", "2")
		line.want("iq", "p3", "")
		line.send("<iq type='get' id='p4'><ping xmlns='urn:xmpp:ping'/></iq><a xmlns='urn:xmpp:sm:3' h='2'/><r xmlns='urn:xmpp:sm:3'/>")
		line.want("iq", "p4", "")
		line.want("a", "", "3")
		line.conn.Close()
		synctest.Wait()
		if s.sm.acked != 2 || len(s.sm.unacked) != 1 || s.handled != 3 {
			t.Errorf("at the end: acknowledged %d, %d left, handled %d; want 2, 1 and 3", s.sm.acked, len(s.sm.unacked), s.handled)
		}
	})
}

// A line is the client's end of a pipe.
type line struct {
	t    *testing.T
	conn net.Conn
	xml  *xml.Decoder
}

// newLine is a connection as it is after sign-in, seen from both ends.
func newLine(t *testing.T, g *agent) (*line, *negotiation) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	s := g.account.server
	n := &negotiation{server: s, limits: s.limits.Load(), log: s.log, raw: ours, conn: ours, in: wire.NewReader(ours, wire.Limits{}), agent: g}
	l := &line{t: t, conn: theirs, xml: xml.NewDecoder(theirs)}
	go l.send("<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
	if _, err := n.in.Header(); err != nil {
		t.Fatal(err)
	}
	return l, n
}

func (l *line) send(format string, args ...any) { fmt.Fprintf(l.conn, format, args...) }

// received is what the server reads next.
func (l *line) received(n *negotiation) *wire.Stanza {
	l.t.Helper()
	st, err := n.in.Next()
	if err != nil {
		l.t.Fatal(err)
	}
	return st
}

// want reads the next element, requests for acknowledgement apart.
func (l *line) want(name, id, h string) {
	l.t.Helper()
	for {
		var e struct {
			XMLName xml.Name
			ID      string `xml:"id,attr"`
			H       string `xml:"h,attr"`
		}
		if err := l.xml.Decode(&e); err != nil {
			l.t.Fatalf("want <%s>: %v", name, err)
		}
		if e.XMLName.Local == "r" {
			continue
		}
		if e.XMLName.Local != name || e.ID != id || e.H != h {
			l.t.Fatalf("got <%s id='%s' h='%s'>, want <%s id='%s' h='%s'>", e.XMLName.Local, e.ID, e.H, name, id, h)
		}
		return
	}
}

// resumes is resume as it is asked for.
func (n *negotiation) resumes(st *wire.Stanza) (*Session, error) {
	return n.resume(string(st.Attr("previd")), string(st.Attr("h")))
}
