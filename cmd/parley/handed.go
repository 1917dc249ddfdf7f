package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// A handed listener gives HTTPS the connections that ports for both have told apart
// (XEP-0368 §4). The handshake is behind them.
type handed struct {
	conns chan net.Conn
	room  chan struct{} // a place for each connection that is open
	stop  chan struct{} // closed with the listener
	once  sync.Once

	mu   sync.Mutex // guards what follows
	open map[net.Conn]struct{}
}

// newHanded lets so many be open at the same time.
func newHanded(most int) *handed {
	return &handed{
		conns: make(chan net.Conn), room: make(chan struct{}, most), stop: make(chan struct{}),
		open: make(map[net.Conn]struct{}),
	}
}

// offer waits until somebody serves the connection. It is false when nobody does before the
// channel is ready, because there are too many already or the server stops.
func (h *handed) offer(c *tls.Conn, late <-chan time.Time) bool {
	select {
	case h.room <- struct{}{}:
	case <-late:
		return false
	case <-h.stop:
		return false
	}
	h.mu.Lock()
	h.open[c] = struct{}{}
	h.mu.Unlock()
	select {
	case h.conns <- c:
		return true
	case <-late:
	case <-h.stop:
	}
	h.gone(c)
	return false
}

// state is told by net/http what becomes of its connections.
func (h *handed) state(c net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		h.gone(c)
	}
}

// gone makes room for another connection.
func (h *handed) gone(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.open[c]; ok {
		delete(h.open, c)
		<-h.room
	}
}

// Accept waits for a connection that was offered.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.stop:
		return nil, net.ErrClosed
	}
}

// Close ends it. It may be called twice.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.stop) })
	return nil
}

// Addr is none: the connections come from several ports.
func (h *handed) Addr() net.Addr { return &net.TCPAddr{} }
