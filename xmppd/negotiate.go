package xmppd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"parley.im/parley/auth"
	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// Namespaces of stream negotiation.
const (
	nsTLS      = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL     = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind     = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession  = "urn:ietf:params:xml:ns:xmpp-session"
	nsBindings = "urn:xmpp:sasl-cb:0"
	nsSM       = "urn:xmpp:sm:3"
)

// maxAttempts bounds the sign-ins of one stream (RFC 6120 §6.4.5).
const maxAttempts = 3

// A negotiation takes one connection to a bound session: TLS, SASL, resource
// binding (RFC 6120 §4.2). It has one absolute deadline, set on the connection.
type negotiation struct {
	server *Server
	port   *Port
	limits *Limits
	log    *slog.Logger
	raw    net.Conn
	turn   *turnConn // raw; a stranger's work is done in turns
	conn   net.Conn  // turn, and after TLS the secured one
	in     *wire.Reader
	leaf   *x509.Certificate

	deadline   time.Time // for all of it
	began      int64     // the moment when the sign-in that succeeded began
	password   int64     // the id of the password that it was done with; 0 for a device's secret
	credential int64     // the id of what it was done with

	says    userAgent // what the client says of itself
	from    string    // whose stream it is, as the client said with SASL2: a bare JID; "" if it did not
	sasl    string    // the namespace of the sign-in: nsSASL or nsSASL2
	opened  bool      // our stream header is out
	account *account
	header  wire.Header // the peer's
	domain  string      // what it asked for, also where that is not ours
	agent   *agent
	epoch   *epoch // the session's first connection
	out     []byte // not sent yet
}

// negotiate returns a session that is bound or resumed and not yet running.
func (n *negotiation) negotiate() (*Session, error) {
	n.turn = &turnConn{Conn: n.raw, turns: &n.server.turns, due: true}
	n.turn.turn.kind, n.turn.turn.peer = newcomers, n.raw
	n.conn = n.turn
	n.in = wire.NewReader(n.conn, n.limits.BeforeLogin)
	if err := n.secure(); err != nil {
		return nil, err
	}
	if err := n.open(); err != nil {
		return nil, err
	}
	wanted, err := n.authenticate()
	if err != nil {
		return nil, err
	}
	n.turn.must(false)
	if wanted != nil {
		return n.proceed(wanted)
	}
	// RFC 6120 §6.4.6: the stream begins anew, on the same connection.
	if err := n.flush(); err != nil {
		return nil, err
	}
	n.in.Restart(n.conn)
	n.in.SetLimits(n.limits.Stanza)
	n.opened = false
	if err := n.open(); err != nil {
		return nil, err
	}
	n.write(n.server.sessionFeatures(n.limits, false, false))
	return n.bind()
}

// secure brings TLS about. Nothing of XMPP is said before, apart from the one
// offer of STARTTLS (I1).
func (n *negotiation) secure() error {
	if !n.port.Direct {
		if err := n.startTLS(); err != nil {
			return err
		}
	}
	conn := tls.Server(n.turn, n.server.certs.Load().forHello(&n.leaf, n.server.webConfig(n.port)))
	n.raw.SetDeadline(earlier(n.deadline, time.Now().Add(n.limits.Handshake)))
	if err := conn.Handshake(); err != nil {
		return handshakeError{err}
	}
	n.raw.SetDeadline(n.deadline)
	n.conn = conn
	if n.port.HTTPS != nil && conn.ConnectionState().NegotiatedProtocol != alpnXMPP {
		return errNotXMPP
	}
	n.turn.turn.kind = secured
	n.opened = false
	// Whatever followed <proceed/> in the plain buffer is dropped (rule 10).
	n.in.Restart(conn)
	return nil
}

// A handshakeError ends a connection on which nothing more can be said: in clear it must
// not (RFC 6120 §5.4.3.2; I1), and there is nothing else.
type handshakeError struct{ error }

func (e handshakeError) Error() string { return "TLS handshake: " + e.error.Error() }

func (n *negotiation) startTLS() error {
	if err := n.open(); err != nil {
		return err
	}
	// RFC 6120 §5.3.1: required, and the only feature.
	n.write("<stream:features><starttls xmlns='" + nsTLS + "'><required/></starttls></stream:features>")
	st, err := n.next()
	if err != nil {
		return err
	}
	if st.Kind != wire.Nonza || string(st.Space) != nsTLS || string(st.Name) != "starttls" {
		// I1. RFC 6120 §4.9.3.14; XEP-0035 is long gone.
		return wire.StreamError{Condition: wire.PolicyViolation, Text: "this server speaks over TLS only: send <starttls/> first"}
	}
	n.write("<proceed xmlns='" + nsTLS + "'/>")
	return n.flush()
}

// open answers the peer's stream header with ours (RFC 6120 §4.7).
func (n *negotiation) open() error {
	if err := n.flush(); err != nil {
		return err
	}
	h, err := n.in.Header()
	n.header = h
	if err != nil {
		return err
	}
	domain := h.To
	if d, err := jid.Parse(h.To); err == nil {
		domain = d.Domainpart()
	}
	if n.domain != "" && domain != n.domain {
		// Rule 2, CVE-2018-10847: a restarted stream cannot move to another host.
		return wire.StreamError{Condition: wire.HostUnknown, Text: "this stream is for another host"}
	}
	n.domain = domain
	if n.account == nil {
		n.account = n.server.account(domain)
	}
	if n.account == nil {
		// RFC 6120 §4.9.3.6.
		return wire.StreamError{Condition: wire.HostUnknown, Text: "no such host here; the stream's 'to' is the domain of your address"}
	}
	if n.agent != nil && h.From != "" {
		if from, err := jid.Parse(h.From); err != nil || from.Bare().String() != n.agent.bare {
			return wire.StreamError{Condition: wire.InvalidFrom} // RFC 6120 §4.9.3.9
		}
	}
	if from, err := jid.Parse(h.From); err == nil && from.Domainpart() != n.account.domain {
		return wire.StreamError{Condition: wire.InvalidFrom} // XEP-0388 §2.1
	}
	n.answer()
	return nil
}

func (n *negotiation) answer() {
	n.opened = true
	to := n.header.From
	if _, err := jid.Parse(to); err != nil {
		to = ""
	}
	from := n.domain
	if n.account == nil {
		from = ""
	}
	n.out = wire.AppendHeader(n.out, wire.Header{From: from, To: to, ID: rand.Text(), Version: "1.0", Lang: "en"})
}

// write adds to what is sent before the next read: a header and the features that
// follow it make one TLS record.
func (n *negotiation) write(s string) { n.out = append(n.out, s...) }

// flush sends what was written.
func (n *negotiation) flush() error {
	n.server.tracer.wrote(n.log, n.out)
	_, err := n.conn.Write(n.out)
	n.out = n.out[:0]
	return err
}

// next sends what was written and reads the peer's answer.
func (n *negotiation) next() (*wire.Stanza, error) {
	if err := n.flush(); err != nil {
		return nil, err
	}
	st, err := n.in.Next()
	if err == nil {
		n.server.tracer.read(n.log, st)
	}
	return st, err
}

// authenticate runs SASL until it succeeds (RFC 6120 §6), and returns what the client wants
// besides if it was SASL2, whose success is still to be said.
func (n *negotiation) authenticate() (*wanted, error) {
	state := n.conn.(*tls.Conn).ConnectionState()
	ch := scram.ChannelOf(&state, n.leaf)
	if n.port.NoBinding {
		ch = scram.Channel{Version: ch.Version}
	}
	offer := n.account.auth.Offer(ch)
	n.write(n.server.signInFeatures(offer, n.account.auth.FastMechanisms(ch), n.limits))
	for range maxAttempts {
		st, err := n.next()
		if err != nil {
			return nil, err
		}
		n.sasl = st.Space
		var w *wanted
		switch {
		case st.Kind == wire.Nonza && n.sasl == nsSASL && st.Name == "auth":
			err = n.signIn(st, ch, offer)
		case st.Kind == wire.Nonza && n.sasl == nsSASL2 && st.Name == "authenticate":
			w, err = n.signIn2(st, ch, offer)
		case st.Kind == wire.Nonza && n.sasl == nsSASL:
			n.fail("malformed-request", "")
			continue
		default:
			// Rule 5: a stream error, never a stanza error (OF-945). RFC 6120 §4.9.3.12.
			return nil, wire.StreamError{Condition: wire.NotAuthorized, Text: "sign in first"}
		}
		if err == nil {
			n.server.Stats.SignIns.Add(1)
			return w, nil
		}
		var f saslFailure
		if !errors.As(err, &f) {
			return nil, err
		}
		n.server.Stats.SignInFailures.Add(1)
		n.fail(f.condition, f.text)
	}
	// RFC 6120 §6.4.5: enough retries.
	return nil, wire.StreamError{Condition: wire.PolicyViolation, Text: "too many failed sign-ins"}
}

// A saslFailure ends one attempt (RFC 6120 §6.5).
type saslFailure struct{ condition, text string }

func (f saslFailure) Error() string { return "sign in: " + f.condition }

func (n *negotiation) fail(condition, text string) {
	b := []byte("<failure xmlns='" + n.sasl + "'><" + condition + " xmlns='" + nsSASL + "'/>")
	if text != "" {
		b = append(b, "<text xml:lang='en'>"...)
		b = wire.AppendText(b, text)
		b = append(b, "</text>"...)
	}
	n.out = append(append(n.out, b...), "</failure>"...)
}

// signIn runs one attempt from its <auth/>.
func (n *negotiation) signIn(st *wire.Stanza, ch scram.Channel, offer scram.Offer) error {
	mechanism := string(st.Attr("mechanism"))
	msg, err := saslData(st)
	if err != nil {
		return err
	}
	if len(msg) == 0 {
		msg = nil // RFC 6120 §6.4.2: an empty challenge asks for the first response
	}
	reply, _, err := n.exchange(mechanism, msg, ch, offer)
	if err != nil {
		return err
	}
	n.write("<success xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString(reply) + "</success>")
	return nil
}

// exchange is one attempt, from the client's first message (nil: none came) to the
// mechanism's last word; and with what she has signed in.
func (n *negotiation) exchange(mechanism string, msg []byte, ch scram.Channel, offer scram.Offer) (last []byte, c store.Credential, err error) {
	n.began = n.server.moments.Add(1)
	x, err := n.account.auth.Begin(auth.Attempt{
		Mechanism: mechanism, Channel: ch, Offer: offer, Addr: remoteIP(n.raw.RemoteAddr()),
	})
	if err != nil {
		return nil, c, saslFailureOf(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.limits.Login)
	defer cancel()
	for {
		reply, done, err := x.Step(ctx, msg)
		if err != nil {
			return nil, c, saslFailureOf(err)
		}
		if done {
			return reply, x.Credential(), n.signedIn(x.Agent(), x.Credential(), mechanism)
		}
		text := base64.StdEncoding.EncodeToString(reply)
		if text == "" && n.sasl == nsSASL {
			text = "=" // RFC 6120 §6.4.2
		}
		n.write("<challenge xmlns='" + n.sasl + "'>" + text + "</challenge>")
		if msg, err = n.response(); err != nil {
			return nil, c, err
		}
	}
}

// signedIn takes note of who it is.
func (n *negotiation) signedIn(g store.Agent, c store.Credential, mechanism string) error {
	a := n.account.agentOf(g)
	switch {
	case a == nil:
		return saslFailure{"not-authorized", ""}
	case n.sasl == nsSASL2 && n.from != "" && n.from != a.bare:
		return errNotHers
	}
	n.password, n.credential = 0, c.ID
	if c.Device == "" {
		n.password = c.ID
	}
	n.agent, n.log = a, n.log.With("agent", a.name)
	n.log.Info("signed in", "mechanism", mechanism)
	return nil
}

func (n *negotiation) response() ([]byte, error) {
	st, err := n.next()
	if err != nil {
		return nil, err
	}
	switch {
	case st.Kind != wire.Nonza || st.Space != n.sasl:
		return nil, wire.StreamError{Condition: wire.NotAuthorized, Text: "sign in first"}
	case st.Name == "abort":
		return nil, saslFailure{"aborted", ""} // RFC 6120 §6.4.4; XEP-0388 §5.5
	case st.Name == "response":
		return saslData(st)
	case n.sasl == nsSASL2:
		// XEP-0388 §2.4; rule 16.
		return nil, wire.StreamError{Condition: wire.PolicyViolation, Text: "while signing in there are <response/> and <abort/> only"}
	}
	return nil, saslFailure{"malformed-request", ""}
}

// saslData decodes the text of an element; "=" is an empty one (RFC 6120 §6.4.2).
func saslData(st *wire.Stanza) ([]byte, error) { return saslText(string(st.Inner)) }

func saslText(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "=" {
		return []byte{}, nil
	}
	msg, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, saslFailure{"incorrect-encoding", ""} // RFC 6120 §6.5.5
	}
	return msg, nil
}

// saslFailureOf turns what auth says into what the peer may know (RFC 6120 §6.5).
func saslFailureOf(err error) error {
	switch {
	case errors.Is(err, auth.ErrMechanism):
		return saslFailure{"invalid-mechanism", ""}
	case errors.Is(err, auth.ErrMalformed):
		return saslFailure{"malformed-request", ""}
	case errors.Is(err, auth.ErrAuthzid):
		return saslFailure{"invalid-authzid", ""} // RFC 6120 §6.5.6; rule 12
	case errors.Is(err, auth.ErrDenied):
		return saslFailure{"not-authorized", ""}
	case errors.Is(err, auth.ErrExpired):
		return saslFailure{"credentials-expired", ""} // RFC 6120 §6.5.3; XEP-0484 §4.2
	case errors.Is(err, auth.ErrDisabled):
		return saslFailure{"account-disabled", "this account is switched off; ask whoever runs the server"}
	case errors.Is(err, auth.ErrLocked):
		return saslFailure{"temporary-auth-failure", "too many failed attempts; wait a few minutes"}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrFull), errors.Is(err, context.DeadlineExceeded):
		return saslFailure{"temporary-auth-failure", "the server cannot check passwords right now"}
	}
	return fmt.Errorf("sign in: %w", err)
}

// refuse tells the peer why there will be no session, if anything can be told.
func (n *negotiation) refuse(err error) {
	var stream wire.StreamError
	switch {
	case errors.As(err, new(handshakeError)):
		n.log.Debug("negotiation ended", "err", err)
		return
	case errors.As(err, &stream):
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		n.log.Debug("left before signing in", "err", err)
		if errors.Is(err, io.EOF) && n.opened {
			n.write(wire.StreamEnd) // RFC 6120 §4.4
			n.flush()
		}
		return
	case isTimeout(err):
		stream = wire.StreamError{Condition: wire.ConnectionTimeout, Text: "signing in took too long"}
		// Tell it, but don't wait for it.
		n.raw.SetDeadline(time.Now().Add(time.Second))
	default:
		n.log.Debug("negotiation ended", "err", err)
		if n.opened {
			stream = wire.StreamError{Condition: wire.InternalServerError}
		}
	}
	if stream.Condition == "" {
		return
	}
	n.log.Debug("negotiation refused", "condition", stream.Condition)
	if !n.opened { // RFC 6120 §4.9.1.2: the header comes first
		n.answer()
	}
	n.out = append(stream.AppendTo(n.out), wire.StreamEnd...)
	n.flush()
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
