package xmpptest

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
)

// A Server is what a talk is played against.
type Server interface {
	// Dial opens a connection on which nothing has been said: how is "starttls"
	// for the port that starts in clear, "tls" for direct TLS, "https" for visitors.
	Dial(ctx context.Context, how string) (net.Conn, error)

	// Roots are the authorities that the clients trust.
	Roots() *x509.CertPool

	// Webhooks delivers what the server's webhook receiver got; nil when there is
	// none.
	Webhooks() <-chan Request

	// Restart stops the server as its operator would and starts it again on the
	// same files. It returns when the new one accepts connections.
	Restart() error

	// Crash ends the server as kill -9 does, with no time for anything, and starts it
	// again on what was on disk at that moment.
	Crash() error
}

// A Request is one that a webhook receiver got.
type Request struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
}
