package hook

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"parley.im/parley/xmppd/panics"
)

// idleConn is how long a connection is kept for the next event.
const idleConn = 30 * time.Second

// dial is the guarded way to the outside. Its end does not depend on the
// request that asked for it: net/http goes on dialling for the next one, in a goroutine of
// its own, where nobody else could catch a mistake of ours.
func (s *Sender) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Connect)
	defer cancel()
	broke := panics.Catch(s.c.Log, func() {
		if s.c.Dial != nil {
			conn, err = s.c.Dial(ctx, network, addr)
			return
		}
		d := &net.Dialer{Control: s.guard.control, Resolver: s.c.resolver}
		conn, err = d.DialContext(ctx, network, addr)
	})
	if broke {
		err = errBroke
	}
	return conn, err
}

var errBroke = errors.New("a mistake in the server, which its log tells of")

// transport makes one endpoint's connections. No proxy is asked and nothing is
// decompressed, so that what arrives is what was sent; certificates are always
// verified (VIV-5), and no option changes that.
func (s *Sender) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            s.dial,
		TLSClientConfig:        &tls.Config{RootCAs: s.c.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    s.c.Connect,
		DisableCompression:     true,
		MaxConnsPerHost:        s.c.Concurrency,
		MaxIdleConnsPerHost:    s.c.Concurrency,
		IdleConnTimeout:        idleConn,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		// An HTTP/2 connection that has died is found out, not waited for each time.
		HTTP2: &http.HTTP2Config{SendPingTimeout: s.c.Connect, PingTimeout: s.c.Connect},
	}
}
