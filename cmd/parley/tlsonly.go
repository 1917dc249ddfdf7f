package main

import (
	"errors"
	"net"
)

// A tlsOnly listener's connections write TLS records and nothing else. net/http answers
// HTTP in clear on a TLS port in clear, which is a sentence too many (VIV-1).
type tlsOnly struct{ net.Listener }

type tlsOnlyConn struct{ net.Conn }

// errInClear is what somebody gets who writes past TLS.
var errInClear = errors.New("not a TLS record")

func (l tlsOnly) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tlsOnlyConn{c}, nil
}

// Write takes what begins as a record does (RFC 8446 §5.1): crypto/tls writes whole
// records.
func (c tlsOnlyConn) Write(b []byte) (int, error) {
	const changeCipherSpec, applicationData = 20, 23
	if len(b) > 0 && (b[0] < changeCipherSpec || b[0] > applicationData) {
		return 0, errInClear
	}
	return c.Conn.Write(b)
}
