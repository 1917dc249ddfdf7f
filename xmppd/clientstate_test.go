package xmppd

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// newInactive is a connected session whose device nobody looks at. It keeps back so
// many stanzas at most.
func newInactive(t *testing.T, held int) *Session {
	t.Helper()
	l := testLimits
	l.Queue, l.QueueBytes, l.Held = 4*held, 4000, held
	s := newTestAgent(newTestServer(t, l), "anna").away("phone")
	s.server.Stats.Hibernating.Add(-1)
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	s.epoch, s.out.writing = newEpoch(ours, nil), true
	if err := s.nonza(&wire.Stanza{Name: "inactive", Space: nsCSI}); err != nil {
		t.Fatal(err)
	}
	return s
}

func presenceFrom(who, typ string) item {
	b := wire.AppendOpen(nil, wire.Presence, wire.Attrs{From: who, Type: typ})
	return item{data: wire.AppendClose(b, wire.Presence), stanza: true}
}

// Of everybody's presence the newest is kept back, in the order in which the newest
// came, and it goes before what matters (rule 55).
func TestTheNewestPresenceWaits(t *testing.T) {
	s := newInactive(t, 10)
	for _, who := range []string{"a/1", "b/1", "a/2", "a/1"} {
		s.push(presenceFrom(who, ""))
	}
	s.push(presenceFrom("b/1", "unavailable"))
	if got := s.queued(); got != "" || len(s.out.held) != 3 || s.out.pushed != 3 {
		t.Fatalf("queued %q; %d held, %d counted, want nothing, 3 and 3", got, len(s.out.held), s.out.pushed)
	}
	s.push(item{data: ackElement(1)}) // of the stream's own
	if len(s.out.held) != 3 {
		t.Error("an <a/> takes along what is kept back")
	}
	kept := testStanza(40)
	kept.ordinal = store.Ordinal(1)
	s.push(kept)
	text := s.queued()
	var at []int
	for _, sign := range []string{"<a ", "from='a/2'", "from='a/1'", "type='unavailable' from='b/1'", "</message>"} {
		at = append(at, strings.Index(text, sign))
	}
	for i, n := range at {
		if n < 0 || i > 0 && n < at[i-1] {
			t.Fatalf("at %v in %s", at, text)
		}
	}
	if strings.Count(text, "<presence") != 3 || strings.Count(text, "urn:xmpp:delay") != 3 {
		t.Errorf("want three presences, each with its time: %s", text)
	}
	if s.out.pushed != 5 || s.out.bytes != len(text) {
		t.Errorf("counted %d with %d bytes, want 5 with %d", s.out.pushed, s.out.bytes, len(text))
	}
}

// What is kept back has a bound, at which all of it goes (rule 55).
func TestWhatIsKeptBackIsBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		size int // of each
		fits int // so many are kept back, and the next one takes all along
	}{
		{"by number", 100, 9},
		{"by bytes", 300, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newInactive(t, 10)
			for i := range c.fits {
				s.push(presenceFrom(fmt.Sprintf("a/%0*d", c.size-len("<presence from='a/'></presence>"), i), ""))
			}
			if s.queued() != "" || s.cut {
				t.Fatalf("%d of %d bytes are not kept back", c.fits, c.size)
			}
			s.push(presenceFrom(strings.Repeat("z", c.size), ""))
			if n := strings.Count(s.queued(), "<presence"); n != c.fits+1 || len(s.out.held) != 0 || s.cut {
				t.Errorf("%d are queued, %d still held, cut: %t; want %d, 0, false", n, len(s.out.held), s.cut, c.fits+1)
			}
		})
	}
}

// Sessions that lost their line keep back as well, so that a burst of presence doesn't
// end them (rule 36); on both the new connection begins with what was kept back.
func TestASessionWithoutALineKeepsTheNewest(t *testing.T) {
	l := testLimits
	l.Queue, l.Held = 16, 4
	s := newTestAgent(newTestServer(t, l), "anna").away("phone")
	s.sm.enabled, s.sm.on, s.sm.resumable = true, true, true
	for range 100 {
		s.push(presenceFrom("a/1", ""))
		s.push(presenceFrom("a/1", "unavailable"))
	}
	if s.cut || s.out.pushed != 1 {
		t.Fatalf("cut: %t, %d wait", s.cut, s.out.pushed)
	}
	if _, ok, err := s.rewind(0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s.push(presenceFrom("b/1", "")) // before the new connection is in place
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s.out.inactive, s.out.writing = true, true
	if !s.attach(newEpoch(ours, nil)) || s.out.inactive {
		t.Fatal("not attached, or still inactive") // XEP-0352 §5.2
	}
	text := s.queued()
	if strings.Count(text, "<presence") != 2 || strings.Index(text, "unavailable") > strings.Index(text, "b/1") {
		t.Errorf("resumed with %s", text)
	}
	s.push(presenceFrom("c/1", ""))
	if !strings.Contains(s.queued(), "c/1") {
		t.Error("a resumed session keeps back")
	}
}

func TestClientStateSwitchedOff(t *testing.T) {
	s := newInactive(t, 4)
	l := *s.server.limits.Load()
	l.Held = 0
	s.server.SetLimits(l)
	s.push(presenceFrom("a/1", ""))
	if s.queued() == "" {
		t.Error("with held = 0 something is kept back")
	}
}

// While its user looks, a device's pushes cost no memory of their own.
func TestPushAllocatesNothing(t *testing.T) {
	s := newInactive(t, 1000)
	s.out.inactive = false
	s.out.queue = make([]item, 0, 2000)
	it := presenceFrom("a/1", "")
	if n := testing.AllocsPerRun(1000, func() { s.push(it) }); n != 0 {
		t.Errorf("%v allocations for a push, want 0", n)
	}
}
