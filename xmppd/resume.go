package xmppd

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// resume answers <resume/> on a new connection, after sign-in and instead of
// binding (XEP-0198 §5; rule 34). It returns nil without an error when the client
// may bind instead.
func (n *negotiation) resume(previd, h string) (*Session, error) {
	s, answer, err := n.takeUp(previd, h)
	n.out = append(n.out, answer...)
	if s == nil {
		return nil, err
	}
	return n.carryOn(s)
}

// takeUp finds the session of an earlier stream, and what is to be said to its client, who
// has received h stanzas of it. Without one the answer says why.
func (n *negotiation) takeUp(previd, h string) (s *Session, answer []byte, err error) {
	received, err := strconv.ParseUint(h, 10, 32)
	if err != nil {
		return nil, smFailed(wire.BadRequest), nil
	}
	if e := n.agent.refuses(n.began, n.credential); e != nil {
		return nil, nil, e
	}
	if s = n.agent.resumable(previd); s == nil {
		return nil, n.agent.unknownStream(previd), nil
	}
	s.detach()
	// Before it is asked whether that is good still: whoever revokes it looks at this.
	old := s.credential.Swap(n.credential)
	if e := n.agent.refuses(n.began, n.credential); e != nil { // this session itself was just changing the password
		s.credential.Store(old)
		s.release()
		return nil, nil, e
	}
	s.since, s.password = n.began, n.password
	handled, ok, err := s.rewind(uint32(received))
	if err != nil {
		return nil, smFailed(wire.UnexpectedRequest), err // XEP-0198 §6: before the stream error
	}
	if !ok {
		return nil, n.agent.unknownStream(previd), nil
	}
	answer = []byte("<resumed xmlns='" + nsSM + "' previd='" + s.sm.id + "' h='")
	return s, append(strconv.AppendUint(answer, uint64(handled), 10), "'/>"...), nil
}

// carryOn gives a session that was taken up this connection, once its client has been told.
func (n *negotiation) carryOn(s *Session) (*Session, error) {
	n.epoch = newEpoch(n.conn, n.in)
	if err := n.flush(); err != nil {
		s.release()
		return nil, err
	}
	if !s.attach(n.epoch) {
		return nil, wire.StreamError{Condition: wire.Reset}
	}
	n.server.Stats.Resumed.Add(1)
	return s, nil
}

// resumable finds one of the agent's own sessions by its id and claims it, so that
// it does not expire meanwhile.
func (g *agent) resumable(id string) *Session {
	for _, s := range g.list() {
		s.mu.Lock()
		ok := s.sm.resumable && s.sm.id == id && !s.ended && !s.cut && !s.sm.taken
		if ok {
			s.sm.taken = true
		}
		s.mu.Unlock()
		if ok {
			return s
		}
	}
	return nil
}

// maxPast is how many streams that ended are remembered for each agent.
const maxPast = 8

// A pastStream is one that can't be resumed any more.
type pastStream struct {
	id      string
	handled uint32
}

// remember keeps how far a stream came that its client may still believe in; g.mu is
// held.
func (g *agent) remember(p pastStream) {
	if len(g.past) == maxPast {
		g.past = slices.Delete(g.past, 0, 1)
	}
	g.past = append(g.past, p)
}

// unknownStream refuses a resumption: with what was handled of that stream, if that
// is known, so that the client need not send it again (XEP-0198 §5; rule 34).
func (g *agent) unknownStream(id string) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.past {
		if p.id == id {
			b := []byte("<failed xmlns='" + nsSM + "' h='")
			b = strconv.AppendUint(b, uint64(p.handled), 10)
			return append(b, "'><"+wire.ItemNotFound+" xmlns='"+wire.NSStanzas+"'/></failed>"...)
		}
	}
	return smFailed(wire.ItemNotFound)
}

// detach closes the old connection, if it is still there, and waits until what was
// read from it is decided and nobody writes to it.
func (s *Session) detach() {
	s.mu.Lock()
	for s.leaving {
		s.cond.Wait()
	}
	e := s.epoch
	if e != nil {
		s.parting = func(uint32) []byte {
			return append(wire.StreamError{Condition: wire.Conflict, Text: "resumed on another connection"}.AppendTo(nil), wire.StreamEnd...)
		}
		s.cond.Broadcast()
		e.conn.SetReadDeadline(past)
	}
	s.mu.Unlock()
	if e != nil {
		<-e.done
	}
}

// rewind takes the peer's count and puts what it has not received back into the
// queue, before everything else; false if the session is over.
func (s *Session) rewind(h uint32) (handled uint32, ok bool, err error) {
	s.mu.Lock()
	if s.ended || s.cut {
		s.sm.taken = false
		s.mu.Unlock()
		return 0, false, nil
	}
	items, err := s.sm.ack(h)
	if err != nil {
		s.sm.taken = false
		s.mu.Unlock()
		return 0, false, err
	}
	s.letGo()
	again := make([]item, 0, len(s.sm.unacked)+len(s.out.queue))
	for _, it := range s.sm.unacked {
		s.sm.weigh(it, -1)
		it.data = s.delayed(it)
		again = append(again, it)
	}
	for _, it := range s.out.queue {
		// What was to be said of the old connection, as <a/>, is not for the new one.
		if it.stanza {
			again = append(again, it)
		}
	}
	s.out.pushed, s.out.bytes = 0, 0
	for _, it := range again {
		s.out.weigh(it, 1)
	}
	s.out.queue, s.sm.unacked = again, nil
	handled = s.handled
	s.mu.Unlock()
	s.agent.arrived(items)
	return handled, true, nil
}

// delayed adds the time to what comes later than it was sent (XEP-0203), unless it
// has one. An iq takes none.
func (s *Session) delayed(it item) []byte {
	end := "</message>"
	if bytes.HasPrefix(it.data, []byte("<presence")) {
		end = "</presence>"
	}
	if it.at == 0 || !bytes.HasSuffix(it.data, []byte(end)) || im.Delayed(it.data) {
		return it.data
	}
	b := append([]byte(nil), it.data[:len(it.data)-len(end)]...)
	b = im.AppendDelay(b, s.agent.account.domain, time.UnixMilli(it.at))
	return append(b, end...)
}

// attach gives the session its new connection; false if it has ended meanwhile.
func (s *Session) attach(e *epoch) bool {
	s.mu.Lock()
	ok := !s.ended && !s.cut && s.parting == nil && !s.server.closing.Load()
	if ok {
		s.epoch, s.pinged, s.sm.taken = e, false, false
		s.out.inactive = false // XEP-0352 §5.2: it isn't carried over
		s.letGo()
		s.server.Stats.Hibernating.Add(-1)
	}
	s.mu.Unlock()
	if !ok {
		s.release()
		return false
	}
	s.heard.Store(s.server.tick.Load())
	s.log().Info("session resumed")
	s.agent.tellDesk()
	s.kick()
	return true
}

// release gives up a resumption that has not come about.
func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parting == nil { // else the server stops, and keeps it
		s.sm.taken = false
	}
	s.lostAt = s.server.tick.Load()
}
