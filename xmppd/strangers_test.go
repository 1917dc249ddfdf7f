package xmppd

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener hands out one end of each pipe.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// Whoever comes and goes without signing in leaves nothing behind: no goroutine (the
// bubble would not end), no place taken. CVE-2026-43506 was such a leak.
func TestStrangersLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, testLimits)
		if err := s.SetCertificates([]tls.Certificate{newCertificate(t, "desk.example")}); err != nil {
			t.Fatal(err)
		}
		s.accounts["desk.example"] = newTestAgent(s, "anna").account
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l, false) }()
		const header = "<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
		for _, text := range []string{
			"", "<", "\x16\x03\x01", "GET / HTTP/1.1\r\n\r\n", header, header + header, header + "</stream:stream>",
			header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>nonsense",
			header + "<message/>", "<stream:stream to='nowhere.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
		} {
			for _, stays := range []bool{false, true} { // until the server loses patience, or gone at once
				ours, theirs := net.Pipe()
				l.conns <- theirs
				go io.Copy(io.Discard, ours) // ends with the pipe
				go io.WriteString(ours, text)
				synctest.Wait()
				if !stays {
					ours.Close()
				}
			}
		}
		<-time.After(testLimits.Login + 5*time.Second)
		synctest.Wait()
		s.mu.Lock()
		conns := len(s.conns)
		s.mu.Unlock()
		if s.gate.all != 0 || len(s.gate.from) != 0 || conns != 0 {
			t.Errorf("%d are counted at the gate, from %v; %d connections are known", s.gate.all, s.gate.from, conns)
		}
		l.Close()
		<-served
	})
}
