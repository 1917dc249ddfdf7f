package xmppd

import (
	"sync"
	"time"
)

// An allowance is what a session may still send, and ask for, this second. It is the
// reader's.
type allowance struct {
	at             time.Time
	bytes, stanzas bucket
	silent         time.Time // until when it is not read from: its agent has told too many too much
}

// A share is what an agent's sessions have asked for lately.
type share struct {
	mu   sync.Mutex // guards what follows
	at   time.Time
	left bucket // stanzas, those that cost much counted for several

	told   time.Time
	copies bucket // of presence
}

const (
	// fairShare is how many stanzas a second of an agent's are served at once. Who sends more
	// is served as well, but in turns with others who do.
	fairShare, fairBurst = 50, 60

	// settled is when a session counts as at work: those who are just arriving do not hold up
	// others who are.
	settled = 5 * time.Second

	// presenceCopies bounds what presence may become when everybody gets it: so many copies a
	// second that an agent's sessions make others read. Which makes more waits; after a silence
	// they may tell 10,000. Each KiB of a longer one counts as another.
	presenceCopies, presenceBurst = 500, 10_000
	copySize                      = 1 << 10
	longestPause                  = 10 // seconds

	// setCost is what something costs of the share that is kept, or a page of the archive.
	setCost = 10
)

// A bucket fills by a rate, and holds so much at most. It may be in debt.
type bucket float64

func (b *bucket) fill(passed, rate, most float64) { *b = bucket(min(float64(*b)+passed*rate, most)) }

// debt is how many seconds it takes to fill an empty bucket again.
func (b bucket) debt(rate float64) float64 { return max(0, -float64(b)/rate) }

// allow waits until a stanza of that size is within the session's rates. Only the one who
// sends too fast waits.
func (s *Session) allow(size int) {
	l := s.server.limits.Load()
	a := &s.spent
	now := time.Now()
	passed := now.Sub(a.at).Seconds()
	a.at = now
	wait := a.silent.Sub(now).Seconds()
	spend := func(b *bucket, rate, cost int) {
		if rate > 0 {
			b.fill(passed, float64(rate), 2*float64(rate)) // a burst after a silence passes
			*b -= bucket(cost)
			wait = max(wait, b.debt(float64(rate)))
		}
	}
	spend(&a.bytes, int(l.BytesPerSecond), size)
	spend(&a.stanzas, l.StanzasPerSecond, 1)
	if wait > 0 {
		s.turn.pass()
		s.pause(time.Duration(wait * float64(time.Second)))
	}
}

// share charges a stanza to the agent's share, and takes a turn if that is more.
func (s *Session) share(size int) {
	more, now := s.charge(1+bucket(size/maxQuick)), s.spent.at
	s.turn.must(s.busy.Load())
	if !more && now.UnixMilli()-s.bound > int64(settled/time.Millisecond) {
		s.server.turns.served(now)
	}
}

// charge takes what a stanza costs from the agent's share, and says whether that was more
// than it. A debt is not kept for long. Only where others are at work, too, it matters.
func (s *Session) charge(cost bucket) (more bool) {
	more = s.agent.share.take(s.spent.at, cost)
	if busy := more && s.server.turns.pressed(s.spent.at); busy != s.busy.Load() {
		s.busy.Store(busy)
	}
	return more
}

// take says whether that was more than the share.
func (h *share) take(now time.Time, cost bucket) (more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.After(h.at) {
		h.left.fill(now.Sub(h.at).Seconds(), fairShare, fairBurst)
		h.at = now
	}
	h.left = max(h.left-cost, -fairBurst)
	return h.left < 0
}

// tells charges copies of presence that the session has made.
func (s *Session) tells(copies int) {
	now := time.Now()
	s.spent.silent = now.Add(s.agent.share.tell(now, copies))
}

// tell is how long a session has to be silent after so many copies.
func (h *share) tell(now time.Time, copies int) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.After(h.told) {
		h.copies.fill(now.Sub(h.told).Seconds(), presenceCopies, presenceBurst)
		h.told = now
	}
	h.copies = max(h.copies-bucket(copies), -longestPause*presenceCopies)
	return time.Duration(h.copies.debt(presenceCopies) * float64(time.Second))
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
