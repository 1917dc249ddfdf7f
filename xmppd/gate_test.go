package xmppd

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestGate(t *testing.T) {
	g := gate{from: make(map[string]int)}
	l := &Limits{Unauthenticated: 4, UnauthenticatedPerAddress: 2}
	var leave []func()
	for _, c := range []struct {
		from string
		ok   bool
	}{
		{"192.0.2.1:1", true}, {"192.0.2.1:2", true}, {"192.0.2.1:3", false},
		{"[::ffff:192.0.2.1]:4", false}, // the same address, seen through an IPv6 socket
		{"[2001:db8::1]:1", true}, {"[2001:db8::2:3]:1", true},
		{"[2001:db8::ffff]:1", false}, // the same /64
		{"[2001:db8:0:1::1]:1", false}, {"198.51.100.1:1", false},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.from)
		if err != nil {
			t.Fatal(err)
		}
		out, ok := g.enter(addr, l)
		if ok != c.ok {
			t.Errorf("%s enters: %t, want %t", c.from, ok, c.ok)
		}
		if ok {
			leave = append(leave, out)
		}
	}
	for _, out := range leave {
		out()
		out() // twice is once
	}
	if g.all != 0 || len(g.from) != 0 {
		t.Errorf("all left, but %d are counted, from %v", g.all, g.from)
	}
}

func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLimits
		l.StanzasPerSecond, l.BytesPerSecond = 10, 1000
		g := newTestAgent(newTestServer(t, l), "anna")
		s := g.away("phone")
		s.epoch = &epoch{}
		took := func(n, size int) time.Duration {
			from := time.Now()
			for range n {
				s.allow(size)
			}
			return time.Since(from).Round(10 * time.Millisecond)
		}
		<-time.After(time.Minute) // two seconds' worth gather, no more
		if d := took(20, 10); d != 0 {
			t.Errorf("a burst of two seconds' worth took %v", d)
		}
		if d := took(10, 10); d != time.Second {
			t.Errorf("one second's worth of stanzas took %v", d)
		}
		<-time.After(time.Minute)
		if d := took(4, 1000); d != 2*time.Second {
			t.Errorf("four seconds' worth of bytes after a silence took %v, want 2s", d)
		}
		// Whoever is told to end does not wait.
		s.mu.Lock()
		s.cut = true
		s.epoch.dead = true
		s.mu.Unlock()
		if d := took(1, 100000); d != 0 {
			t.Errorf("a session without a connection waited %v", d)
		}
		s.mu.Lock()
		s.epoch = nil
		s.mu.Unlock()
	})
}

// A pause ends however short it is: nobody wakes a reader twice.
func TestAShortPauseEnds(t *testing.T) {
	s := newTestAgent(newTestServer(t, testLimits), "anna").away("phone")
	s.epoch = &epoch{}
	done := make(chan struct{})
	go func() { // ends with its pauses
		defer close(done)
		for i := range 20_000 {
			s.pause(time.Duration(i % 1000))
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("a reader sleeps for ever")
	}
	s.mu.Lock()
	s.epoch = nil
	s.mu.Unlock()
}
