package xmppd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/xmppd/wire"
)

// How long things may take that a session waits for.
const (
	storeWait   = 10 * time.Second // one look into the store, a busy disk included
	farewell    = 5 * time.Second  // to write what a session still has to say
	lastWords   = time.Second      // the same where it will be resumed, and nothing is lost
	maxPending  = 256              // stanzas of one session that are not decided yet
	pendingSize = 1 << 20          // the same in bytes
)

// A Session is one agent's device, from bind to the end of its stream. A stream
// that was cut can be resumed on another connection (XEP-0198 §5); the session
// lives on meanwhile.
type Session struct {
	// Fixed once the session is bound.
	server   *Server
	agent    *agent
	resource string
	address  string // full JID
	id       string // for the log

	heard atomic.Int64 // the server's tick when bytes came last

	// Touched by the reader only.
	targets    map[string]*target
	lastTarget *target
	spent      allowance
	directed   map[string]*target // who was sent directed presence (RFC 6121 §4.6)

	mu   sync.Mutex // guards what follows; taken after an agent's
	cond sync.Cond  // something changed that the reader may wait for

	epoch   *epoch            // the present connection; nil while hibernating
	ending  *wire.StreamError // said to the peer when the reader next looks
	cut     bool              // cannot be resumed: too slow, or told to go
	ended   bool
	pinged  bool
	lostAt  int64                 // tick when the connection went away
	resumed int                   // times
	parting func(h uint32) []byte // the last words where the session outlives its connection on purpose

	undecided      int // stanzas read whose effects are not certain yet
	undecidedBytes int
	handled        uint32 // XEP-0198 §4: stanzas decided, in order

	presence presence
	carbons  bool
	roster   bool // asked for it, so gets pushes

	out outbox
	sm  smState
}

// An epoch is one connection of a session's.
type epoch struct {
	conn net.Conn
	in   *wire.Reader
	done chan struct{} // closed when its reader has ended
}

func (s *Session) log() *slog.Logger {
	return s.server.log.With("session", s.id, "agent", s.agent.name)
}

// run reads until the connection ends, and then sees to what the end means.
func (s *Session) run(e *epoch) {
	defer close(e.done)
	defer s.server.forget(e.conn)
	err := s.read(e)
	s.over(e, err)
}

func (s *Session) read(e *epoch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			logPanic(s.log(), p)
			err = wire.StreamError{Condition: wire.InternalServerError}
		}
	}()
	for {
		st, err := e.in.Next()
		s.heard.Store(s.server.tick.Load())
		if err != nil {
			return err
		}
		s.allow(st.Size())
		if err := s.route(st); err != nil {
			return err
		}
		if err := s.told(); err != nil {
			return err
		}
	}
}

// route is the one switch that every stanza of a client's goes through.
func (s *Session) route(st *wire.Stanza) error {
	if st.Kind == wire.Nonza {
		s.settle()
		return s.nonza(st)
	}
	// RFC 6120 §8.1.2.1; rule 1: a client speaks for itself only.
	if len(st.From) > 0 && string(st.From) != s.address && !s.isFrom(st.From) {
		return wire.StreamError{Condition: wire.InvalidFrom, Text: "'from' is not the address of this session"}
	}
	switch st.Kind {
	case wire.Message:
		pending, err := s.message(st)
		if err != nil {
			return err
		}
		if !pending {
			s.count()
		}
	case wire.Presence:
		s.settle()
		if err := s.presenceStanza(st); err != nil {
			return err
		}
		s.count()
	case wire.IQ:
		s.settle()
		if err := s.iq(st); err != nil {
			return err
		}
		s.count()
	}
	return nil
}

// over is the end of a connection: said, cut, or taken over.
func (s *Session) over(e *epoch, err error) {
	s.settle()
	clean := errors.Is(err, io.EOF)
	var stream wire.StreamError
	if errors.As(err, &stream) {
		s.log().Debug("stream refused", "condition", stream.Condition)
	}
	s.mu.Lock()
	if s.ending != nil {
		stream, err = *s.ending, *s.ending
	}
	hibernate := !clean && stream.Condition == "" && !s.cut && s.sm.resumable && !s.ended && s.server.config.Resume > 0
	if hibernate || s.parting != nil {
		s.hibernate(e)
		s.mu.Unlock()
		return
	}
	s.out.pulls = nil
	s.mu.Unlock()
	var last []byte
	if stream.Condition != "" {
		last = stream.AppendTo(nil)
	}
	if clean || last != nil {
		s.finish(e, append(last, wire.StreamEnd...)) // RFC 6120 §4.4
	}
	e.conn.Close()
	s.gone()
}

// hibernate keeps the session without a connection, to be resumed (XEP-0198 §5). s.mu
// is held, and given up while it waits for the writer.
func (s *Session) hibernate(e *epoch) {
	s.epoch = nil // the writer stops after what it is at
	if s.parting == nil {
		e.conn.Close()
	} else {
		e.conn.SetDeadline(time.Now().Add(lastWords))
	}
	for s.out.writing {
		s.cond.Wait()
	}
	if s.parting != nil {
		e.conn.Write(s.parting(s.handled)) // for a peer that may be gone already
		e.conn.Close()
	}
	s.parting = nil
	s.lostAt = s.server.tick.Load()
	s.cond.Broadcast()
}

// gone ends the session for good: unavailable to everybody who saw it (exactly
// once; rule 31), and what it had not passed on goes back.
func (s *Session) gone() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	s.epoch = nil
	left := append(s.out.queue, s.sm.unacked...)
	s.out.queue, s.sm.unacked, s.out.pulls = nil, nil, nil
	s.cond.Broadcast()
	s.mu.Unlock()
	s.unavailable(nil)
	s.agent.leave(s, left)
	s.log().Info("session ended")
}

// end ends the session from outside and returns when it is over.
func (s *Session) end(e wire.StreamError) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.cut = true
	epoch := s.epoch
	if epoch == nil {
		s.mu.Unlock()
		s.gone()
		return
	}
	if s.ending == nil {
		s.ending = &e
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	// The reader wakes with a time-out, says why and ends.
	epoch.conn.SetReadDeadline(past)
	<-epoch.done
}

var past = time.Unix(1, 0)

// told is the stream error that somebody wants this stream to end with.
func (s *Session) told() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return *s.ending
	}
	return nil
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
	if s.undecided == 0 || s.undecided == maxPending-1 || s.undecidedBytes < pendingSize {
		s.cond.Broadcast()
	}
}

// settle waits until everything the session has sent so far is decided, so that
// whatever comes next cannot overtake it.
func (s *Session) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.undecided > 0 {
		s.cond.Wait()
	}
}

// count says that a stanza was handled at once (XEP-0198 §4).
func (s *Session) count() {
	s.mu.Lock()
	s.handled++
	s.mu.Unlock()
}

// look is the caretaker's visit.
func (s *Session) look(now int64) {
	l := s.server.limits.Load()
	s.mu.Lock()
	e, silent := s.epoch, time.Duration(now-s.heard.Load())*time.Second
	stuck := s.out.writing && s.out.since != 0 && time.Duration(now-s.out.since)*time.Second > l.Dead
	switch {
	case s.ended:
		s.mu.Unlock()
	case e == nil:
		expired := !s.sm.taken && time.Duration(now-s.lostAt)*time.Second >= s.server.config.Resume
		s.mu.Unlock()
		if expired {
			s.gone()
		}
	case stuck || silent > l.Idle+l.Dead:
		s.mu.Unlock()
		e.conn.Close() // the reader finds out
	case silent > l.Idle && !s.pinged:
		s.pinged = true
		s.mu.Unlock()
		s.push(item{data: s.pingStanza(), stanza: true})
		s.kick()
	case silent <= l.Idle && s.pinged:
		s.pinged = false
		s.mu.Unlock()
	default:
		s.mu.Unlock()
	}
}

// forget takes a connection out of the server's list.
func (s *Server) forget(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

func logPanic(log *slog.Logger, p any) {
	log.Error("panic", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// internalError logs what went wrong under an id and tells the peer the id only.
func (s *Session) internalError(err error) wire.StanzaError {
	id := rand.Text()[:10]
	s.log().Error("stanza not handled", "id", id, "err", err)
	return wire.StanzaError{Condition: wire.InternalServerError, Text: "something went wrong here; the server's log knows it as " + id}
}
