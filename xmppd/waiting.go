package xmppd

// told waits for room and answers the stream error that somebody wants this stream to
// end with.
func (s *Session) told() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitRoom()
	if s.ending != nil {
		return *s.ending
	}
	return nil
}

// breathe lets the reader wait for room in the queue while it fills it itself.
func (s *Session) breathe() {
	s.kick()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitRoom()
}

// waitRoom waits while half of the queue is taken: whoever asks much and does not read
// the answers is not read from meanwhile, so that a burst of requests, or the presence
// of many colleagues at once, fills no queue. s.mu is held.
func (s *Session) waitRoom() {
	for half := s.server.limits.Load().Queue / 2; s.out.pushed > half && (s.out.writing || s.out.soon) && !s.interrupted(); {
		s.turn.pass()
		s.out.waited = true
		s.cond.Wait()
	}
	s.out.waited = false
}

// room is where a message waits before it waits for its commit; nil is nowhere.
func (s *Session) room(size int) *turns {
	switch a := s.agent.account; {
	case !s.busy.Load():
		return nil
	case size > maxQuick:
		return &a.large
	default:
		return &a.small
	}
}

// undecide counts a stanza whose effects wait for a commit. The reader waits while
// there are too many.
func (s *Session) undecide(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.undecided >= maxPending || s.undecidedBytes >= pendingSize {
		s.cond.Wait()
	}
	s.undecided++
	s.undecidedBytes += size
}

// decide is called by the dispatcher, in the order in which the stanzas came.
func (s *Session) decide(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled++
	s.undecided--
	s.undecidedBytes -= size
	s.cond.Broadcast()
}

// settle waits until everything the session has sent so far is decided, so that
// whatever comes next cannot overtake it.
func (s *Session) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.undecided > 0 {
		s.turn.pass()
		s.cond.Wait()
	}
}

// count says that a stanza was handled at once (XEP-0198 §4).
func (s *Session) count() {
	s.mu.Lock()
	s.handled++
	s.mu.Unlock()
}
