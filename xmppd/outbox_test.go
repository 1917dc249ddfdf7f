package xmppd

import (
	"net"
	"testing"
	"testing/synctest"
)

func TestAQueueThatIsFullEndsTheSession(t *testing.T) { // rule 36
	for _, c := range []struct {
		name  string
		fill  func(s *Session) // up to the limit
		stays bool
	}{
		{"by number", func(s *Session) {
			for range 4 {
				s.push(testStanza(30))
			}
		}, false},
		{"by bytes", func(s *Session) { s.push(testStanza(990)) }, false},
		{"of what is not acknowledged", func(s *Session) {
			s.sm.on = true
			for range 4 {
				s.push(testStanza(30))
			}
			s.take(new(worker))
		}, false},
		{"but written", func(s *Session) {
			for range 4 {
				s.push(testStanza(30))
			}
			s.take(new(worker))
		}, true},
		{"but pulled", func(s *Session) {
			s.queuePulled([]item{testStanza(900), testStanza(900), testStanza(90), testStanza(90), testStanza(90)})
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newTestAgent(newTestServer(t, testLimits), "anna")
			s := g.away("phone")
			s.sm.resumable, s.sm.id = true, "stream"
			c.fill(s)
			if s.cut {
				t.Fatal("cut before the limit")
			}
			if got := s.push(testStanza(30)); got != c.stays {
				t.Errorf("one more is taken: %t, want %t", got, c.stays)
			}
			if c.stays {
				return
			}
			if g.resumable("stream") != nil {
				t.Error("it can be resumed")
			}
			s.look(1)
			if !s.ended || g.online.Load() != 0 {
				t.Error("the caretaker leaves it")
			}
			if s.push(testStanza(30)) {
				t.Error("an ended session takes something")
			}
		})
	}
}

// A burst of requests waits for its answers to be read, and fills no queue.
func TestABurstOfRequestsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestAgent(newTestServer(t, testLimits), "anna")
		s := g.away("phone")
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		s.epoch, s.out.writing = newEpoch(ours, nil), true
		for range 3 {
			s.push(testStanza(30))
		}
		read := make(chan error, 1)
		go func() { read <- s.told() }()
		synctest.Wait()
		select {
		case <-read:
			t.Fatal("the reader goes on although half of the queue is taken")
		default:
		}
		s.mu.Lock()
		s.take(new(worker))
		s.mu.Unlock()
		if err := <-read; err != nil {
			t.Error(err)
		}

		// A connection that is closed meanwhile is not waited for.
		for range 3 {
			s.push(testStanza(30))
		}
		go func() { read <- s.told() }()
		synctest.Wait()
		s.mu.Lock()
		s.sever(s.epoch)
		s.mu.Unlock()
		if err := <-read; err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.epoch = nil
		s.mu.Unlock()
	})
}

// Whoever asks for long answers and acknowledges none of them is read from, since it may
// yet do so, but not for ever.
func TestLongAnswersThatNobodyAcknowledges(t *testing.T) {
	s := newTestAgent(newTestServer(t, testLimits), "anna").away("phone")
	s.sm.pulledBytes = pullBytes
	for range maxUnacked {
		s.pullLater(new(lateAnswer))
	}
	if s.cut {
		t.Errorf("cut after %d", maxUnacked)
	}
	if s.pullLater(new(lateAnswer)); !s.cut {
		t.Errorf("not cut after %d", maxUnacked+1)
	}
}
