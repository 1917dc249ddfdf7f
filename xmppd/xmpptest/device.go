package xmpptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// A device is one connection of somebody of the cast.
type device struct {
	who      string // as the talk names it
	person   Person
	resource string
	roots    *x509.CertPool
	readers  *sync.WaitGroup

	raw  net.Conn
	conn net.Conn // raw, or TLS over it
	in   *inbox
	lost error // the first write that didn't reach the server

	scram   scram
	bound   bool // can be pinged
	managed bool // stream management is on: pings would count (XEP-0198 §4)
	unasked bool // sent something since it last waited for an answer
	over    bool // its end has been told
}

// dial opens a connection on which nothing has been said.
func (d *device) dial(ctx context.Context, s Server, how string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := s.Dial(ctx, how)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	d.raw, d.conn = raw, raw
	d.in = newInbox()
	if how == "tls" {
		// XEP-0368 §3: ALPN tells the server which protocol follows.
		return d.secure(ctx, "xmpp-client")
	}
	d.startReading()
	return nil
}

// secure makes the TLS handshake.
func (d *device) secure(ctx context.Context, alpn ...string) error {
	if _, twice := d.conn.(*tls.Conn); twice || d.over {
		return errors.New("a handshake makes no sense here")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn := tls.Client(d.raw, &tls.Config{
		ServerName: d.person.Domain,
		RootCAs:    d.roots,
		NextProtos: alpn,
		MinVersion: tls.VersionTLS12,
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	d.conn = conn
	d.startReading()
	return nil
}

func (d *device) startReading() {
	conn, in := d.conn, d.in
	d.readers.Go(func() { readStreams(conn, in) })
}

// tls is the state of the TLS connection, if there is one.
func (d *device) tls() (tls.ConnectionState, bool) {
	c, ok := d.conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return c.ConnectionState(), true
}

// send writes text. That it doesn't reach the server is no failure by itself:
// the server may be closing, and what it says then is what the talk expects.
func (d *device) send(text string) {
	d.notice(text)
	err := d.conn.SetWriteDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = d.conn.Write([]byte(text))
	}
	if err != nil && d.lost == nil {
		d.lost = err
	}
}

// notice keeps what the runner must know of what the talk sends.
func (d *device) notice(text string) {
	d.unasked = true
	switch n := parseSent(text); {
	case n.is(nsSASL, "auth"):
		d.scram = newScram(n.attr("mechanism"), n.text(), d.person.Password)
	case n.is(nsSASL2, "authenticate"):
		for _, first := range n.children(nsSASL2, "initial-response") {
			d.scram = newScram(n.attr("mechanism"), first.text(), d.person.Password)
		}
	}
}

// parseSent reads what was sent as one element; nil if it isn't one.
func parseSent(text string) *node {
	dec := xml.NewDecoder(strings.NewReader(text))
	start, err := nextStart(dec)
	if err != nil {
		return nil
	}
	n, err := readNode(dec, start)
	if err != nil {
		return nil
	}
	return n
}

// next is the next thing that came.
func (d *device) next() (item, error) {
	it, ok := d.in.next()
	if !ok {
		return it, d.late()
	}
	switch {
	case it.is(nsSASL, "challenge"), it.is(nsSASL2, "challenge"):
		d.scram.challenge(it.node.text())
	case it.is(nsSASL2, "success"):
		for _, b := range it.node.children(nsBind2, "bound") {
			d.bound, d.managed = true, len(b.children(nsSM, "enabled")) > 0
		}
		if len(it.node.children(nsSM, "resumed")) > 0 {
			d.bound, d.managed = true, true
		}
	case it.is(nsClient, "iq") && len(it.node.children(nsBind, "bind")) > 0:
		d.bound = true
	case it.is(nsSM, "enabled"):
		d.managed = true
	case it.is(nsSM, "resumed"):
		d.bound, d.managed = true, true
	}
	d.over = d.over || it.over()
	return it, nil
}

func (d *device) late() error {
	if d.lost != nil {
		return fmt.Errorf("nothing came within %v, and sending ended with: %v", patience, d.lost)
	}
	return fmt.Errorf("nothing came within %v", patience)
}

// drop cuts the line, with no word in TLS or XML.
func (d *device) drop() {
	d.over = true
	// The line is cut: how the cut ends is nothing that the talk tells.
	_ = d.raw.Close()
}
