package xmppd

import (
	"net"

	"parley.im/parley/xmppd/wire"
)

// An epoch is one connection of a session's.
type epoch struct {
	conn net.Conn
	in   *wire.Reader
	turn *turnConn     // below conn
	done chan struct{} // closed when its reader has ended
	dead bool          // closed by us, since it is of no use any more; guarded by the session's mu
}

func newEpoch(conn net.Conn, in *wire.Reader) *epoch {
	e := &epoch{conn: conn, in: in, done: make(chan struct{})}
	e.turn, _ = below(conn, func(c net.Conn) bool { _, ok := c.(*turnConn); return ok }).(*turnConn)
	return e
}

// sever closes a connection at once, without TLS's farewell, for which a peer that
// does not read would be waited for. Its reader finds out. s.mu is held.
func (s *Session) sever(e *epoch) {
	e.dead = true
	rawConn(e.conn).Close()
	s.cond.Broadcast()
}

// rawConn is the connection below TLS and turns.
func rawConn(c net.Conn) net.Conn { return below(c, func(net.Conn) bool { return false }) }

// below goes down through what a connection is wrapped in, up to what is wanted.
func below(c net.Conn, wanted func(net.Conn) bool) net.Conn {
	for !wanted(c) {
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = over.NetConn()
	}
	return c
}

// begin takes the deadline of the sign-in away, unless the session has been told to
// end meanwhile.
func (s *Session) begin(e *epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == e && !s.interrupted() {
		e.conn.SetDeadline(noDeadline)
	}
}

// interrupted says that the reader is wanted back, whatever it waits for; s.mu is
// held.
func (s *Session) interrupted() bool {
	return s.ending != nil || s.parting != nil || s.epoch == nil || s.epoch.dead
}
