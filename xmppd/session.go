package xmppd

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/panics"
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
	server     *Server
	agent      *agent
	resource   string
	address    string    // full JID
	id         string    // for the log
	bound      int64     // milliseconds; 0 if a server before this one bound it
	clientSays userAgent // what its client says of itself

	// The id of what it was signed in with; 0 if a server before this one did that. Written
	// with since, below.
	credential atomic.Int64

	heard atomic.Int64 // the server's tick when bytes came last
	busy  atomic.Bool  // has asked for more than its share; written by the reader, and the caretaker

	// Touched by the reader only, and while there is none by whoever resumes the session.
	since      int64 // the moment when its sign-in began
	password   int64 // the id of the password that it was done with; 0 for a device's secret
	targets    map[string]*target
	lastTarget *target
	composing  store.ConversationID // the contact in which the agent writes, as her client says
	spent      allowance
	turn       *turnConn // of its connection

	mu   sync.Mutex // guards what follows; taken after an agent's
	cond sync.Cond  // something changed that the reader may wait for

	epoch   *epoch                // the present connection; nil while hibernating
	ending  *wire.StreamError     // said to the peer when the reader next looks
	parting func(h uint32) []byte // the last words where the session outlives its connection on purpose
	leaving bool                  // the connection is given up; its writer may still be at it
	lostAt  int64                 // tick when the connection went away
	cut     bool                  // cannot be resumed: too slow, or told to go
	closed  bool                  // by the client, properly
	ended   bool
	left    bool // ended, and nobody sees it any more
	pinged  bool

	undecided      int // stanzas read whose effects are not certain yet
	undecidedBytes int
	handled        uint32 // XEP-0198 §4: stanzas decided, in order

	presence  presence
	directed  map[string]*target // who was sent directed presence (RFC 6121 §4.6), by prepared address
	carbons   bool
	copied    *copiedRing // nil before the first copy
	roster    bool        // asked for it, so gets pushes
	versions  bool        // asked with a version (RFC 6121 §2.6)
	blocklist bool        // the same of the block list

	out outbox
	sm  smState

	// The devices that are gone for this one because of a block, by their addresses: whether it
	// has not heard that yet, since its own agent had blocked them. Guarded by the agent's mu.
	parted map[string]bool
}

func (s *Session) log() *slog.Logger {
	return s.server.log.With("session", s.id, "agent", s.agent.name)
}

// run reads until the connection ends, and then sees to what the end means.
func (s *Session) run(e *epoch) {
	defer close(e.done)
	defer s.server.forget(e.conn)
	s.begin(e)
	s.turn = e.turn
	err := s.read(e)
	s.over(e, err)
}

func (s *Session) read(e *epoch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			panics.Log(s.log(), p)
			err = wire.StreamError{Condition: wire.InternalServerError}
		}
	}()
	for {
		st, err := e.in.Next()
		s.heard.Store(s.server.tick.Load())
		if err != nil {
			return err
		}
		if s.server.tracer.on {
			s.server.tracer.read(s.log(), st)
		}
		s.allow(st.Size())
		if st.Kind != wire.Nonza { // acknowledgements are asked for
			s.share(st.Size())
		}
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
		s.presenceStanza(st)
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
	s.turn.pass()
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
	s.closed = clean
	resumable := !clean && stream.Condition == "" && s.sm.resumable && s.server.config.Resume > 0
	if (resumable || s.parting != nil) && !s.cut && !s.ended {
		s.hibernate(e)
		s.mu.Unlock()
		s.agent.handOver(s)
		s.agent.tellDesk()
		return
	}
	s.out.pulls = nil
	s.mu.Unlock()
	var last []byte
	if stream.Condition != "" {
		last = stream.AppendTo(nil)
	}
	said := clean || last != nil
	if said {
		said = s.finish(e, append(last, wire.StreamEnd...)) // RFC 6120 §4.4
	}
	s.gone()
	if said {
		e.conn.Close() // with TLS's farewell, for which nobody waits any more
	}
	rawConn(e.conn).Close()
}

// hibernate keeps the session without a connection, to be resumed (XEP-0198 §5). s.mu
// is held, and given up while it waits for the writer and says its last words.
func (s *Session) hibernate(e *epoch) {
	s.epoch, s.leaving = nil, true // the writer stops after what it is at
	s.lostAt = s.server.tick.Load()
	s.server.Stats.Hibernating.Add(1)
	if s.parting == nil {
		s.sever(e)
	} else {
		e.conn.SetDeadline(time.Now().Add(lastWords))
	}
	for s.out.writing {
		s.cond.Wait()
	}
	if s.parting != nil {
		last := s.parting(s.handled)
		s.mu.Unlock()
		e.conn.Write(last) // for a peer that may be gone already
		rawConn(e.conn).Close()
		s.mu.Lock()
	}
	s.parting, s.leaving = nil, false
	s.cond.Broadcast()
}

// gone ends the session for good: unavailable to everybody who saw it (exactly
// once; rule 31), and what it had not passed on goes back. It returns when that is
// done, whoever does it.
func (s *Session) gone() {
	s.mu.Lock()
	if s.ended {
		for !s.left {
			s.cond.Wait()
		}
		s.mu.Unlock()
		return
	}
	s.ended = true
	if s.epoch == nil {
		s.server.Stats.Hibernating.Add(-1)
	}
	s.epoch = nil
	left := append(s.sm.unacked, s.out.queue...)
	s.out.queue, s.out.held, s.sm.unacked, s.out.pulls = nil, nil, nil, nil
	s.cond.Broadcast()
	s.mu.Unlock()
	s.unavailable(nil)
	s.agent.leave(s, left)
	s.agent.tellDesk()
	s.returned(left)
	s.log().Info("session ended")
	s.mu.Lock()
	s.left = true
	s.cond.Broadcast()
	s.mu.Unlock()
}

// connected says whether the session has a connection.
func (s *Session) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch != nil
}

// awaySince is when a session lost its connection that nobody is resuming.
func (s *Session) awaySince() (tick int64, away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lostAt, s.epoch == nil && !s.sm.taken && !s.leaving && !s.ended
}

// past is what is known of a session that ended although its client may think that
// it can resume it.
func (s *Session) past() (pastStream, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pastStream{s.sm.id, s.handled}, s.sm.resumable && !s.closed
}

// end ends the session from outside and returns when it is over.
func (s *Session) end(e wire.StreamError) {
	s.mu.Lock()
	s.cut = true
	for s.leaving {
		s.cond.Wait()
	}
	epoch := s.epoch
	if epoch == nil || s.ended {
		s.mu.Unlock()
		s.gone()
		return
	}
	if s.ending == nil {
		s.ending = &e
	}
	s.cond.Broadcast()
	// The reader wakes with a time-out, says why and ends.
	epoch.conn.SetReadDeadline(past)
	for s.epoch == epoch || s.leaving {
		s.cond.Wait()
	}
	s.mu.Unlock()
	s.gone()
}

var past, noDeadline = time.Unix(1, 0), time.Time{}

// look is the caretaker's visit.
func (s *Session) look(now int64) {
	l := s.server.limits.Load()
	if s.busy.Load() && !s.agent.share.take(time.Now(), 0) {
		s.busy.Store(false)
	}
	s.mu.Lock()
	e, silent := s.epoch, seconds(now-s.heard.Load())
	switch {
	case s.ended || s.leaving:
		s.mu.Unlock()
	case e == nil:
		expired := !s.sm.taken && (s.cut || seconds(now-s.lostAt) >= s.server.config.Resume)
		s.mu.Unlock()
		if expired {
			s.gone()
		}
	case silent > l.Idle+l.Dead || s.stuck(now, l):
		s.sever(e)
		s.mu.Unlock()
	case silent > l.Idle && !s.pinged:
		s.pinged = true
		s.mu.Unlock()
		s.push(item{data: s.pingStanza(), stanza: true})
		s.kick()
	default:
		s.pinged = s.pinged && silent > l.Idle
		s.mu.Unlock()
	}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// stuck says that the peer does not take what it is sent, or does not acknowledge
// it although it was asked to (XEP-0198 §4); s.mu is held.
func (s *Session) stuck(now int64, l *Limits) bool {
	return s.out.writing && s.out.since != 0 && seconds(now-s.out.since) > l.Dead ||
		s.sm.asked && seconds(now-s.sm.askedAt) > l.Idle+l.Dead
}

// forget takes a connection out of the server's list.
func (s *Server) forget(c net.Conn) {
	c = rawConn(c)
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// internalError logs what went wrong under an id and tells the peer the id only.
func (s *Session) internalError(err error) wire.StanzaError {
	id := rand.Text()[:10]
	s.log().Error("stanza not handled", "id", id, "err", err)
	return wire.StanzaError{Condition: wire.InternalServerError, Text: "something went wrong here; the server's log knows it as " + id}
}
