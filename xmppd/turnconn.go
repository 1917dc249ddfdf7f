package xmppd

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// A turnConn is a connection whose reader works in turns while it has to: from what it has
// read to the next time it reads.
type turnConn struct {
	net.Conn
	turns *turns

	// Touched by the reader only.
	turn turn
	due  bool
}

// Read waits for bytes, and then for a turn. What a stranger has said who has hung up
// meanwhile is nobody's business any more: they may come and go faster than they can be served.
func (c *turnConn) Read(b []byte) (int, error) {
	c.pass()
	n, err := c.Conn.Read(b)
	if !c.due || n == 0 { // what ends costs little
		return n, err
	}
	if !c.turns.take(&c.turn) {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// hungUp says whether the peer has closed a connection from which everything was read.
func hungUp(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true // closed by us
	}
	over := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		over = n == 0 && err == nil || err == unix.ECONNRESET
	})
	return over || err != nil
}

// pass ends the reader's turn, before it waits for something.
func (c *turnConn) pass() {
	if c != nil && c.due {
		c.turns.leave(&c.turn)
	}
}

// must says whether the reader works in turns from now on, and waits for one then.
func (c *turnConn) must(due bool) {
	if c == nil {
		return // a test's connection
	}
	if !due {
		c.pass()
	}
	c.due, c.turn.kind, c.turn.peer = due, sessions, nil
	if due {
		c.turns.keep(&c.turn)
	}
}

// NetConn is the connection itself.
func (c *turnConn) NetConn() net.Conn { return c.Conn }
