package xmpptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"
)

// A peer is just enough of a server to try the runner on: it negotiates, answers
// pings, and says to each message what says has for its body.
type peer struct {
	cert     tls.Certificate
	roots    *x509.CertPool
	says     map[string]string
	hooks    chan Request
	restarts int
	crashes  int
}

func newPeer(t *testing.T, says map[string]string) *peer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		DNSNames:              []string{"desk.example"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{
		cert:  tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		roots: x509.NewCertPool(),
		says:  says,
		hooks: make(chan Request, 8),
	}
	p.roots.AddCert(leaf)
	return p
}

func (p *peer) Roots() *x509.CertPool    { return p.roots }
func (p *peer) Webhooks() <-chan Request { return p.hooks }
func (p *peer) Restart() error           { p.restarts++; return nil }
func (p *peer) Crash() error             { p.crashes++; return nil }

func (p *peer) Dial(_ context.Context, how string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	s := &peerStream{peer: p, conn: ours}
	go s.serve(how == "tls")
	return theirs, nil
}

type peerStream struct {
	*peer
	conn   net.Conn
	secure bool
	signed bool
	sasl   *sasl.Negotiator
}

func (s *peerStream) serve(direct bool) {
	defer s.conn.Close()
	if direct {
		s.startTLS()
	}
	for s.stream() {
	}
}

func (s *peerStream) startTLS() {
	s.conn, s.secure = tls.Server(s.conn, &tls.Config{Certificates: []tls.Certificate{s.cert}}), true
}

func (s *peerStream) write(text string) { _, _ = s.conn.Write([]byte(text)) }

func (s *peerStream) stream() (again bool) {
	d := xml.NewDecoder(s.conn)
	if _, err := nextStart(d); err != nil {
		return false
	}
	s.write("<?xml version='1.0'?><stream:stream from='desk.example' id='s1' version='1.0' xmlns='jabber:client' xmlns:stream='" + nsStream + "'>" + s.features())
	for {
		tok, err := d.Token()
		if err != nil {
			return false
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			s.write("</stream:stream>")
			return false
		case xml.StartElement:
			n, err := readNode(d, tok)
			if err != nil {
				return false
			}
			switch s.element(n) {
			case errRestart:
				return true
			case errEnd:
				return false
			}
		}
	}
}

var (
	errRestart = errors.New("restart")
	errEnd     = errors.New("end")
)

func (s *peerStream) features() string {
	switch {
	case !s.secure:
		return "<stream:features><starttls xmlns='" + nsTLS + "'><required/></starttls></stream:features>"
	case !s.signed:
		return "<stream:features><mechanisms xmlns='" + nsSASL + "'><mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>"
	}
	return "<stream:features><bind xmlns='" + nsBind + "'/></stream:features>"
}

func (s *peerStream) element(n *node) error {
	switch {
	case n.is(nsTLS, "starttls"):
		s.write("<proceed xmlns='" + nsTLS + "'/>")
		s.startTLS()
		return errRestart
	case n.is(nsSASL, "auth"), n.is(nsSASL, "response"):
		return s.authenticate(n)
	case n.is(nsClient, "iq"):
		s.iq(n)
	case n.is(nsClient, "message"):
		s.write(s.says[strings.TrimSpace(n.children(nsClient, "body")[0].text())])
	case n.is(nsSM, "enable"):
		s.write("<enabled xmlns='" + nsSM + "'/>")
	case n.is(nsSM, "r"):
		s.write("<a xmlns='" + nsSM + "' h='0'/>")
	case n.is("", "leave"), n.is(nsClient, "leave"):
		return errEnd
	}
	return nil
}

func (s *peerStream) iq(n *node) {
	payload := ""
	if len(n.children(nsBind, "bind")) > 0 {
		payload = "<bind xmlns='" + nsBind + "'><jid>anna@desk.example/laptop</jid></bind>"
	}
	s.write(fmt.Sprintf("<iq type='result' id='%s'>%s</iq>", n.attr("id"), payload))
}

func (s *peerStream) authenticate(n *node) error {
	if s.sasl == nil {
		salt := []byte("some salt")
		salted := sasl.SCRAMSaltPassword(sha256.New, []byte("correct horse"), salt, 16)
		s.sasl = sasl.NewServer(sasl.ScramSha256, func(*sasl.Negotiator) bool { return true },
			sasl.SaltedCredentials(func(_, _ []byte, _ string) ([]byte, []byte, int64, error) { return salt, salted, 16, nil }))
	}
	raw, err := base64.StdEncoding.DecodeString(n.text())
	if err != nil {
		return errEnd
	}
	more, resp, err := s.sasl.Step(raw)
	switch {
	case err != nil:
		s.write("<failure xmlns='" + nsSASL + "'><not-authorized/></failure>")
		return nil
	case more:
		s.write("<challenge xmlns='" + nsSASL + "'>" + encode(resp) + "</challenge>")
		return nil
	}
	s.write("<success xmlns='" + nsSASL + "'>" + encode(resp) + "</success>")
	s.signed = true
	return errRestart
}
