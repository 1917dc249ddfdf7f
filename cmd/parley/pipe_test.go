package main

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// A pipeNet is a network of pipes: nothing of it leaves the process, so that all of
// a server can run in a synctest bubble.
type pipeNet struct {
	mu        sync.Mutex // guards what follows
	listeners map[string]*pipeListener
	dialed    map[string][]net.Conn // by address: the listener's ends
}

type pipeListener struct {
	net     *pipeNet
	address pipeAddr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }

func newPipeNet() *pipeNet {
	return &pipeNet{listeners: make(map[string]*pipeListener), dialed: make(map[string][]net.Conn)}
}

// cut cuts all lines to these addresses.
func (n *pipeNet) cut(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, address := range addresses {
		for _, c := range n.dialed[address] {
			_ = c.Close() // a pipe's does not fail
		}
		delete(n.dialed, address)
	}
}

func (n *pipeNet) listen(_, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("%s is in use", address)
	}
	l := &pipeListener{net: n, address: pipeAddr(address), conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

func (n *pipeNet) dial(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("nobody listens on %s", address)
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		n.mu.Lock()
		n.dialed[address] = append(n.dialed[address], theirs)
		n.mu.Unlock()
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		delete(l.net.listeners, string(l.address))
		l.net.mu.Unlock()
	})
	return nil
}

func (l *pipeListener) Addr() net.Addr { return l.address }
