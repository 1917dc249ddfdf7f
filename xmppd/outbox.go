package xmppd

import (
	"slices"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// An item is one thing to write: a stanza, or an element of the stream's own.
type item struct {
	data     []byte        // shared between sessions; never changed
	ordinal  store.Ordinal // of a kept message said to the agent; 0 for others
	seenFrom store.Ordinal // an archive page that shows all from here to ordinal
	at       int64         // milliseconds; when it was sent, 0 if nobody had to know yet
	stanza   bool          // counted by XEP-0198
	pulled   bool          // came from a puller, which has bounds of its own
	starts   bool          // <enabled/>: from here on stanzas are counted
	answered bool          // a request that needs no refusal any more
}

// A puller writes a long answer piece by piece, when the session's writer has
// room for it: archive pages, the backlog. It runs on the writer and hands what it
// has to queuePulled.
type puller interface {
	pull() (done bool)
}

// The writer takes so much at a time; it fills a few TLS records.
const (
	writeSize  = 64 << 10
	maxPulls   = 8       // long answers that one session may wait for; then it is not read from
	maxUnacked = 256     // the same while it acknowledges nothing; more, and it is cut
	pullWindow = 512     // pulled stanzas that may wait to be acknowledged
	pullBytes  = 4 << 20 // the same in bytes
	keptItems  = 4       // room that an empty queue keeps
)

// An outbox is what a session still has to write. Its fields are guarded by the
// session's mu.
type outbox struct {
	queue   []item
	bytes   int // in queue, pushed ones
	pushed  int // in queue, pushed ones
	pulls   []puller
	writing bool
	soon    bool // stands in line for a writer

	inactive  bool       // nobody looks at the device: its client has said so (XEP-0352)
	held      []heldItem // waits for somebody to look; counted in pushed and bytes
	heldBytes int        // in held

	waited bool  // for room, by the reader
	since  int64 // tick when the present write began; 0 between writes
}

// push queues an item without waiting and says whether it was taken. A session
// that does not keep up is ended and cannot be resumed: what it missed of kept
// messages waits in the log (docs/flow.md, step 10). The caller kicks afterwards.
func (s *Session) push(it item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.cut {
		return false
	}
	l := s.server.limits.Load()
	if s.out.pushed+s.sm.pushed >= l.Queue || s.out.bytes+s.sm.bytes+len(it.data) > l.QueueBytes {
		s.overflow()
		return false
	}
	if s.holds(l) && s.hold(it, l) {
		return true
	}
	s.out.queue = append(s.out.queue, it)
	s.out.weigh(it, 1)
	return true
}

// overflow cuts a session that does not keep up; s.mu is held.
func (s *Session) overflow() {
	s.cut = true
	s.server.Stats.CutForSlowness.Add(1)
	if s.ending == nil {
		// RFC 6120 §4.9.3.17.
		s.ending = &wire.StreamError{Condition: wire.ResourceConstraint, Text: "too slow: this session's queue is full"}
	}
	s.cond.Broadcast()
	if e := s.epoch; e != nil {
		// Wakes the reader, which ends the session; and the writer, if the peer does not
		// take what it is being sent. A hibernating session is ended by the caretaker.
		e.conn.SetDeadline(past)
	}
}

// weigh counts an item that joins the queue (1) or leaves it (-1).
func (o *outbox) weigh(it item, sign int) {
	if !it.pulled {
		o.pushed += sign
		o.bytes += sign * len(it.data)
	}
}

// pullFirst starts a long answer before all other; false if the session takes
// none.
func (s *Session) pullFirst(p puller) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.cut {
		return false
	}
	s.out.pulls = append([]puller{p}, s.out.pulls...)
	return true
}

// pullLater adds a long answer. The reader waits while too many are unfinished: whoever
// asks for much reads it before asking for more. It goes on where only the peer's
// acknowledgements can finish one, since it is who reads those.
func (s *Session) pullLater(p puller) {
	s.turn.pass()
	s.mu.Lock()
	for len(s.out.pulls) >= maxPulls && s.mayPull() && !s.interrupted() {
		s.cond.Wait()
	}
	if s.out.pulls = append(s.out.pulls, p); len(s.out.pulls) > maxUnacked {
		s.overflow()
	}
	s.mu.Unlock()
	s.kick()
}

// mayPull says whether there may be more pulled stanzas on the way; s.mu is held.
func (s *Session) mayPull() bool {
	return s.sm.pulledOut < pullWindow && s.sm.pulledBytes < pullBytes
}

// kick sees to it that somebody writes what is queued: at once, unless the session has
// asked for more than its share.
func (s *Session) kick() {
	if s.busy.Load() {
		s.kickSoon()
		return
	}
	s.kickNow()
}

func (s *Session) kickNow() {
	if s.claim(false) {
		s.server.writers.write(job{session: s})
	}
}

// kickSoon is kick for what may wait for others' turn: what one session makes many read, and
// what sessions want that want much. More may come together meanwhile.
func (s *Session) kickSoon() {
	s.mu.Lock()
	if l := s.server.limits.Load(); s.out.pushed > l.Queue/8 || s.out.bytes > l.QueueBytes/8 {
		s.mu.Unlock()
		s.kickNow() // before it is taken for slow
		return
	}
	stands := s.out.soon || s.out.writing || !s.writable()
	s.out.soon = s.out.soon || !stands
	s.mu.Unlock()
	if !stands {
		s.server.writers.writeSoon(s)
	}
}

// claim says whether the caller is to see to it that the session is written to: there is
// something, and nobody else does. With soon, only who still stands in line for that.
func (s *Session) claim(soon bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := (!soon || s.out.soon) && !s.out.writing && s.writable()
	s.out.soon = s.out.soon && !ok && !soon
	s.out.writing = s.out.writing || ok
	return ok
}

// writable says whether a writer would find something to write, and where to; s.mu is
// held.
func (s *Session) writable() bool { return s.epoch != nil && !s.ended && s.hasWork() }

// hasWork says whether a writer would find something; s.mu is held.
func (s *Session) hasWork() bool {
	return len(s.out.queue) > 0 || len(s.out.pulls) > 0 && s.mayPull()
}

// flush writes until nothing is left. Only one flush of a session runs at a time
// (I5); w is the worker's memory.
func (s *Session) flush(w *worker) {
	for {
		s.mu.Lock()
		e := s.epoch
		if e == nil || s.ended || !s.hasWork() {
			s.out.writing, s.out.since = false, 0
			s.cond.Broadcast()
			s.mu.Unlock()
			return
		}
		if len(s.out.queue) == 0 {
			p := s.out.pulls[0]
			s.mu.Unlock()
			if p.pull() {
				s.pullDone(p)
			}
			continue
		}
		s.out.since = s.server.tick.Load()
		s.take(w)
		s.mu.Unlock()
		if s.server.tracer.on {
			s.server.tracer.wrote(s.log(), w.buf)
		}
		if _, err := e.conn.Write(w.buf); err != nil {
			s.writeFailed(e, w.items)
			return
		}
		s.wrote(w.items)
	}
}

// take moves what fits into one write to w; s.mu is held.
func (s *Session) take(w *worker) {
	w.buf, w.items = w.buf[:0], w.items[:0]
	n, now := 0, time.Now().UnixMilli()
	for n < len(s.out.queue) && (n == 0 || len(w.buf)+len(s.out.queue[n].data) <= writeSize) {
		it := s.out.queue[n]
		n++
		w.buf = append(w.buf, it.data...)
		s.out.weigh(it, -1)
		s.sm.on = s.sm.on || it.starts
		if s.sm.on && it.stanza {
			if it.at == 0 {
				it.at = now
			}
			s.sm.sent(it)
		} else {
			w.items = append(w.items, it)
		}
	}
	clear(s.out.queue[:n]) // what was written is not held by the array
	switch {
	case n < len(s.out.queue):
		s.out.queue = s.out.queue[n:]
	case cap(s.out.queue) > keptItems: // most sessions are idle most of the time
		s.out.queue = nil
	default:
		s.out.queue = s.out.queue[:0]
	}
	if s.out.waited {
		s.cond.Broadcast()
	}
	if s.sm.on && len(s.sm.unacked) > 0 && !s.sm.asked {
		s.sm.ask(s.server.tick.Load())
		w.buf = append(w.buf, requestAck...)
	}
}

// queuePulled queues what a puller has read; false if the session has ended.
func (s *Session) queuePulled(items []item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	for i := range items {
		items[i].pulled = true
	}
	s.letGo()
	s.out.queue = append(s.out.queue, items...)
	return true
}

// pullDone takes a puller away that has nothing more to say.
func (s *Session) pullDone(p puller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.out.pulls, p); i >= 0 {
		s.out.pulls = append(s.out.pulls[:i:i], s.out.pulls[i+1:]...)
	}
	s.cond.Broadcast()
}

// wrote is called after a write, with the items that nobody will acknowledge: for
// a client without stream management, written is as good as it gets.
func (s *Session) wrote(items []item) { s.agent.arrived(items) }

// writeFailed closes the connection, so that the reader finds out. What was to be
// written is nobody's any more: with stream management the session still has it.
func (s *Session) writeFailed(e *epoch, items []item) {
	s.agent.mu.Lock()
	s.agent.lost(items)
	s.agent.mu.Unlock()
	s.returned(items)
	s.mu.Lock()
	s.sever(e)
	s.out.writing, s.out.since = false, 0
	s.cond.Broadcast()
	s.mu.Unlock()
}

// finish writes the rest and a last word, within a short time, and says whether that
// was possible.
func (s *Session) finish(e *epoch, last []byte) bool {
	e.conn.SetDeadline(time.Now().Add(farewell))
	s.kickNow()
	s.mu.Lock()
	for s.out.writing && !s.ended {
		s.cond.Wait()
	}
	s.out.writing = true // nobody else writes from here on
	dead := e.dead
	s.mu.Unlock()
	if dead {
		return false
	}
	_, err := e.conn.Write(last)
	return err == nil
}
