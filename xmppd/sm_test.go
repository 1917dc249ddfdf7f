package xmppd

import (
	"errors"
	"math"
	"strings"
	"testing"

	"parley.im/parley/xmppd/wire"
)

func TestAckCounts(t *testing.T) { // XEP-0198 §4; rule 32
	const top = math.MaxUint32
	for _, c := range []struct {
		name      string
		acked     uint32
		unacked   int
		h         uint32
		taken     int
		refused   bool
		handledIs string // in the refusal
	}{
		{"nothing new", 5, 3, 5, 0, false, ""},
		{"some", 5, 3, 7, 2, false, ""},
		{"all", 5, 3, 8, 3, false, ""},
		{"too many", 5, 3, 9, 0, true, "h='9' send-count='8'"},
		{"fewer than before", 5, 3, 4, 0, true, ""},
		{"up to the top", top - 1, 3, top, 1, false, ""},
		{"over the top", top - 1, 3, 1, 3, false, ""},
		{"too many over the top", top - 1, 3, 2, 0, true, "h='2' send-count='1'"},
		{"fewer, seen from over the top", 1, 2, top, 0, true, ""},
		{"never sent anything", 0, 0, 1, 0, true, "h='1' send-count='0'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := smState{acked: c.acked}
			for range c.unacked {
				m.sent(testStanza(30))
			}
			items, err := m.ack(c.h)
			var refused wire.StreamError
			if errors.As(err, &refused) != c.refused || !strings.Contains(refused.App, c.handledIs) || c.handledIs == "" && refused.App != "" {
				t.Fatalf("ack(%d): %v %s", c.h, err, refused.App)
			}
			if len(items) != c.taken {
				t.Errorf("ack(%d) took %d, want %d", c.h, len(items), c.taken)
			}
			left := c.unacked - c.taken
			if len(m.unacked) != left || m.pushed != left || m.bytes != left*30 {
				t.Errorf("left: %d unacknowledged, counted as %d with %d bytes, want %d", len(m.unacked), m.pushed, m.bytes, left)
			}
			if !c.refused && m.acked != c.h {
				t.Errorf("acked is %d, want %d", m.acked, c.h)
			}
		})
	}
}

// What comes again on a new connection: the stanzas, with their time, and nothing of
// what the old connection was told about itself. The queue knows its own size.
func TestRewindCountsWhatItQueues(t *testing.T) { // XEP-0198 §5
	g := newTestAgent(newTestServer(t, testLimits), "anna")
	s := g.away("phone")
	s.sm.enabled, s.sm.on, s.sm.resumable = true, true, true
	s.push(testStanza(40))
	s.push(testStanza(40))
	var w worker
	s.take(&w)
	s.push(item{data: ackElement(3)})
	s.push(testStanza(50))
	if _, ok, err := s.rewind(1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	text := s.queued()
	if n := strings.Count(text, "</message>"); n != 2 || strings.Contains(text, "<a ") {
		t.Errorf("%d stanzas in %s, want 2 and no <a/>", n, text)
	}
	if strings.Count(text, "urn:xmpp:delay") != 1 {
		t.Errorf("want a delay at what was sent before, and only there: %s", text)
	}
	if s.out.pushed != 2 || s.out.bytes != len(text) || s.sm.pushed != 0 || s.sm.bytes != 0 {
		t.Errorf("counted %d with %d bytes, and %d unacknowledged; want 2 with %d, and 0", s.out.pushed, s.out.bytes, s.sm.pushed, len(text))
	}
	s.take(&w)
	if s.out.pushed != 0 || s.out.bytes != 0 {
		t.Errorf("the empty queue counts %d with %d bytes", s.out.pushed, s.out.bytes)
	}
}

func TestAResumedSessionThatIsGone(t *testing.T) { // rule 34
	s := newTestServer(t, testLimits)
	g := newTestAgent(s, "anna")
	for i := range maxPast + 2 {
		o := g.away("phone")
		o.sm.resumable, o.sm.id, o.handled = true, strings.Repeat("x", i+1), uint32(i)
		o.gone()
	}
	if got := string(g.unknownStream("xxxx")); !strings.Contains(got, "h='3'") {
		t.Errorf("a stream that is known: %s", got)
	}
	for _, id := range []string{"x", "xx", "never"} {
		if got := string(g.unknownStream(id)); strings.Contains(got, "h=") || !strings.Contains(got, wire.ItemNotFound) {
			t.Errorf("a stream that is not known: %s", got)
		}
	}
}
