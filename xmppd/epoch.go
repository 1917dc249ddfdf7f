package xmppd

import (
	"net"

	"parley.im/parley/xmppd/wire"
)

// An epoch is one connection of a session's.
type epoch struct {
	conn net.Conn
	in   *wire.Reader
	done chan struct{} // closed when its reader has ended
	dead bool          // closed by us, since it is of no use any more; guarded by the session's mu
}

func newEpoch(conn net.Conn, in *wire.Reader) *epoch {
	return &epoch{conn: conn, in: in, done: make(chan struct{})}
}

// sever closes a connection at once, without TLS's farewell, for which a peer that
// does not read would be waited for. Its reader finds out. s.mu is held.
func (s *Session) sever(e *epoch) {
	e.dead = true
	rawConn(e.conn).Close()
	s.cond.Broadcast()
}

// rawConn is the connection below TLS.
func rawConn(c net.Conn) net.Conn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
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
