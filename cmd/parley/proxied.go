package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	// proxyHeaderTime is how long a PROXY header may take. Proxies send it at once.
	proxyHeaderTime = 5 * time.Second
	// proxyHeadersAtOnce is how many connections may be on their way from a proxy to
	// whoever serves them. When there are more, the next ones wait with the system.
	proxyHeadersAtOnce = 256
)

// A proxied listener's connections come from proxies, which say in a header before the first
// byte of TLS who it is that they bring (PROXY protocol, versions 1 and 2). It hands
// out connections whose header has been read, with the address that it tells. Whoever comes
// from elsewhere than the trusted networks, and whatever begins otherwise, is closed.
type proxied struct {
	net.Listener
	trusted func() []netip.Prefix
	log     *slog.Logger
	warned  seldom
	wait    time.Duration // for the header

	ready    chan accepted
	room     chan struct{} // a place for each connection that is on its way
	stop     chan struct{} // closed with the listener
	stopOnce sync.Once
	all      sync.WaitGroup

	mu    sync.Mutex // guards what follows
	early map[net.Conn]struct{}
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// newProxied begins to accept; Close ends that.
func newProxied(l net.Listener, trusted func() []netip.Prefix, log *slog.Logger) *proxied {
	return proxiedWithin(proxyHeaderTime, l, trusted, log)
}

func proxiedWithin(wait time.Duration, l net.Listener, trusted func() []netip.Prefix, log *slog.Logger) *proxied {
	p := &proxied{
		Listener: l, trusted: trusted, log: log.With("listener", l.Addr().String()),
		ready: make(chan accepted), room: make(chan struct{}, proxyHeadersAtOnce), stop: make(chan struct{}),
		early: make(map[net.Conn]struct{}),
		wait:  wait,
	}
	p.all.Go(p.run)
	return p
}

// Accept waits for a connection whose header has been read: headers that take their time
// hold up nobody else.
func (p *proxied) Accept() (net.Conn, error) {
	select {
	case a := <-p.ready:
		return a.conn, a.err
	case <-p.stop:
		return nil, fmt.Errorf("accept on %s: %w", p.Addr(), net.ErrClosed)
	}
}

// Close ends the listener and every connection that was not handed out.
func (p *proxied) Close() error {
	err := p.Listener.Close()
	p.stopOnce.Do(func() { close(p.stop) })
	p.mu.Lock()
	for c := range p.early {
		c.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
	return err
}

func (p *proxied) run() {
	for {
		select {
		case p.room <- struct{}{}:
		case <-p.stop:
			return
		}
		c, err := p.Listener.Accept()
		if err != nil {
			<-p.room
			// Whoever serves decides whether this is the end, and how long to wait.
			if !p.hand(accepted{err: err}) {
				return
			}
			continue
		}
		if !p.begin(c) {
			c.Close()
			return
		}
		p.all.Go(func() {
			defer func() { <-p.room }()
			p.greet(c)
		})
	}
}

// begin notes a connection that Close has to close; false after Close.
func (p *proxied) begin(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stop:
		return false
	default:
	}
	p.early[c] = struct{}{}
	return true
}

// hand gives something to Accept; false if nobody will ask any more.
func (p *proxied) hand(a accepted) bool {
	select {
	case p.ready <- a:
		return true
	case <-p.stop:
		return false
	}
}

// greet takes one connection from its first byte to Accept.
func (p *proxied) greet(c net.Conn) {
	conn, err := p.introduce(c)
	p.mu.Lock()
	delete(p.early, c)
	p.mu.Unlock()
	switch {
	case err == nil:
		if !p.hand(accepted{conn: conn}) {
			c.Close()
		}
		return
	case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET):
		p.log.Debug("left before the PROXY header", "peer", c.RemoteAddr().String())
	case p.warned.now(time.Now()):
		p.log.Warn("a connection to a listener for proxies is closed", "peer", c.RemoteAddr().String(), "err", err)
	}
	c.Close()
}

var (
	errUntrusted   = errors.New("it comes from none of trusted_proxies")
	errNoHeader    = errors.New("no PROXY header came: the proxy has to send one (send-proxy-v2, proxy_protocol on)")
	errHeaderLate  = errors.New("no whole PROXY header came in time")
	errNotOverTCP  = errors.New("the PROXY header tells of no TCP connection")
	errBadProxying = errors.New("not a PROXY header")
)

// introduce reads the header and returns the connection that it tells of.
func (p *proxied) introduce(c net.Conn) (net.Conn, error) {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || !contains(p.trusted(), from.Addr()) {
		return nil, errUntrusted
	}
	if err := c.SetReadDeadline(time.Now().Add(p.wait)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(c)
	addr, err := readProxyHeader(in)
	if err != nil {
		return nil, err
	}
	if addr == nil {
		addr = c.RemoteAddr()
	}
	return &proxiedConn{Conn: c, begin: in, peer: addr}, c.SetReadDeadline(time.Time{})
}

// readProxyHeader returns the address of who was brought: nil if the proxy came for itself
// (LOCAL, as its looks after our health do) or does not know. A header of version 1 is at most
// 107 bytes and comes in one piece, one of version 2 at most 4 KiB.
func readProxyHeader(in *bufio.Reader) (net.Addr, error) {
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		return nil, err // nobody said anything
	}
	h, err := proxyproto.Read(in)
	switch {
	case errors.Is(err, proxyproto.ErrNoProxyProtocol):
		return nil, errNoHeader
	case err != nil && isTimeout(err):
		return nil, errHeaderLate
	case err != nil:
		return nil, fmt.Errorf("%w: %v", errBadProxying, err)
	case h.Command.IsLocal() || h.TransportProtocol.IsUnspec():
		return nil, nil
	}
	from, _, ok := h.TCPAddrs()
	if !ok {
		return nil, errNotOverTCP
	}
	at := from.AddrPort()
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(at.Addr().Unmap(), at.Port())), nil
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// contains says whether one of the networks has the address, IPv4 in IPv6 clothes included.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// A proxiedConn is a connection that a proxy has brought.
type proxiedConn struct {
	net.Conn
	peer  net.Addr
	begin *bufio.Reader // what came together with the header; nil once it is read
}

// RemoteAddr is who the proxy says that it is.
func (c *proxiedConn) RemoteAddr() net.Addr { return c.peer }

// Read is called by one goroutine at a time.
func (c *proxiedConn) Read(b []byte) (int, error) {
	if c.begin != nil {
		if c.begin.Buffered() > 0 {
			return c.begin.Read(b)
		}
		c.begin = nil // an idle session needs no buffer
	}
	return c.Conn.Read(b)
}

var errNoSocket = errors.New("not a socket")

// SyscallConn lets the server see whether the peer has hung up.
func (c *proxiedConn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errNoSocket
}

// seldom says yes at most once a minute, for warnings that a stranger can cause.
type seldom struct{ last atomic.Int64 }

func (s *seldom) now(t time.Time) bool {
	last := s.last.Load()
	return (last == 0 || t.Sub(time.Unix(0, last)) >= time.Minute) && s.last.CompareAndSwap(last, t.UnixNano())
}
