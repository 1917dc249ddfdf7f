package xmppd

import "time"

// An allowance is what a session may still send this second. It fills up to two
// seconds' worth, so that a burst after a silence passes.
type allowance struct {
	at             time.Time
	bytes, stanzas float64
}

// allow waits until a stanza of that size is within the session's rates. Only the
// one who sends too fast waits.
func (s *Session) allow(size int) {
	l := s.server.limits.Load()
	if l.BytesPerSecond == 0 && l.StanzasPerSecond == 0 {
		return
	}
	a := &s.spent
	now := time.Now()
	passed := now.Sub(a.at).Seconds()
	a.at = now
	wait := 0.0
	spend := func(have *float64, rate int, cost float64) {
		if rate == 0 {
			return
		}
		*have = min(*have+passed*float64(rate), 2*float64(rate)) - cost
		wait = max(wait, -*have/float64(rate))
	}
	spend(&a.bytes, l.BytesPerSecond, float64(size))
	spend(&a.stanzas, l.StanzasPerSecond, 1)
	if wait > 0 {
		s.pause(time.Duration(wait * float64(time.Second)))
	}
}

// pause lets the reader wait, unless the session is to end.
func (s *Session) pause(d time.Duration) {
	over := false
	t := time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		over = true
		s.cond.Broadcast()
	})
	defer t.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !over && !s.interrupted() {
		s.cond.Wait()
	}
}
