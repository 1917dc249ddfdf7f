package xmppd

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"time"
)

// A Port is a listener and what is special about it.
type Port struct {
	net.Listener
	// Direct says that TLS starts at the first byte (XEP-0368), and not with STARTTLS.
	Direct bool
	// NoBinding says that a proxy ends the clients' TLS: what we see of it is not what they
	// see, so no sign-in can be bound to it, and none is offered (XEP-0440 §3).
	NoBinding bool
	// HTTPS, if set, makes a Direct port one for both: it takes the connections of whoever
	// asks for something else than XMPP in the handshake, or for nothing (XEP-0368 §4).
	// It returns when somebody serves the connection, with false when nobody does before
	// the channel is ready; then the connection is closed.
	HTTPS func(conn *tls.Conn, late <-chan time.Time) bool
}

// The protocols that clients ask for in the handshake (RFC 7301).
const (
	alpnXMPP  = "xmpp-client"
	alpnHTTP2 = "h2"
	alpnHTTP  = "http/1.1"
	alpnACME  = "acme-tls/1" // RFC 8737 §4
)

// errNotXMPP ends the negotiation of a connection that is HTTPS's.
var errNotXMPP = errors.New("the client does not ask for XMPP")

// A webConfig is the TLS of a port that is HTTPS's as well, made from that of XMPP, which is
// nil where there is no certificate.
type webConfig func(hello *tls.ClientHelloInfo, xmpp *tls.Config) (*tls.Config, error)

// webConfig is nil for ports that are XMPP's alone.
func (s *Server) webConfig(p *Port) webConfig {
	if p.HTTPS == nil {
		return nil
	}
	return func(hello *tls.ClientHelloInfo, xmpp *tls.Config) (*tls.Config, error) {
		if s.challenged(hello) {
			return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{alpnACME}, GetCertificate: s.config.Challenge}, nil
		}
		if xmpp == nil {
			return nil, errNoCertificate
		}
		both := xmpp.Clone()
		// The first of ours that the client offers is taken; of nothing that it could be, none.
		both.NextProtos = []string{alpnXMPP, alpnHTTP2, alpnHTTP}
		known := func(p string) bool { return slices.Contains(both.NextProtos, p) }
		if len(hello.SupportedProtos) > 0 && !slices.ContainsFunc(hello.SupportedProtos, known) {
			both.NextProtos = nil
		}
		return both, nil
	}
}

// challenged says whether it is an authority that wants to see whose the name is: it asks for
// that and nothing else (RFC 8737 §3).
func (s *Server) challenged(hello *tls.ClientHelloInfo) bool {
	return s.config.Challenge != nil && slices.Equal(hello.SupportedProtos, []string{alpnACME})
}

// handOver gives a connection to HTTPS. It counts as a stranger's until somebody serves it;
// from then on it is none of ours.
func (s *Server) handOver(n *negotiation, release func()) {
	conn := n.conn.(*tls.Conn)
	if conn.ConnectionState().NegotiatedProtocol == alpnACME {
		s.drop(n.raw) // the handshake was all of it
		return
	}
	late := time.NewTimer(time.Until(earlier(n.deadline, time.Now().Add(n.limits.Handshake))))
	defer late.Stop()
	n.raw.SetDeadline(time.Time{}) // HTTPS has deadlines of its own
	s.mu.Lock()
	delete(s.conns, n.raw)
	s.mu.Unlock()
	if !n.port.HTTPS(conn, late.C) {
		conn.NetConn().Close()
	}
	release()
}
