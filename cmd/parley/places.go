package main

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// A limited listener has so many connections open at a time; the next ones wait with the system. What
// a visitor has connected is counted elsewhere (package visit), and gives its place up.
type limited struct {
	net.Listener
	room chan struct{} // a place for each connection that is open
	stop chan struct{} // closed with the listener
	once sync.Once
}

func newLimited(l net.Listener, most int) *limited {
	return &limited{Listener: l, room: make(chan struct{}, most), stop: make(chan struct{})}
}

// Accept waits for a place, and for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.stop:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &placedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

// Close ends the listener. It may be called twice.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.stop) })
	return l.Listener.Close()
}

// A placedConn has a place, until it is closed or gives that up.
type placedConn struct {
	net.Conn
	leave func() // may be called twice
}

// Close closes the connection.
func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// NetConn is what is beneath.
func (c *placedConn) NetConn() net.Conn { return c.Conn }

// leavePlaces gives up the places that a connection has, whatever is around them.
func leavePlaces(c net.Conn) {
	for {
		if p, ok := c.(*placedConn); ok {
			p.leave()
		}
		around, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		c = around.NetConn()
	}
}

type connKey struct{}

// keepConn lets leavePlacesOf find a request's connection.
func keepConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func leavePlacesOf(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		leavePlaces(c)
	}
}
