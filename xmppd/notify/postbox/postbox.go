// Package postbox is a mail server for tests: real SMTP over real TLS, whose mail
// can be read, and which can be slow, refuse, and show a certificate of another
// name.
package postbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A Box is a mail server that runs until its test ends.
type Box struct {
	Addr  string // "localhost:40123"
	Roots *x509.CertPool
	CA    string // the file of its authority

	t     testing.TB
	mails chan Mail

	mu     sync.Mutex // guards what follows
	cond   sync.Cond
	refuse *smtp.SMTPError
	tried  int
}

// A Mail is one that arrived.
type Mail struct {
	From    string
	To      []string
	Subject string
	Text    string
	Raw     string
	Header  mail.Header
}

// Options say how the server is. The zero value has implicit TLS, for localhost.
type Options struct {
	StartTLS bool
	Plain    bool   // and offers no TLS
	Name     string // of the certificate; localhost
	User     string // whom it lets in, with the password "hidden 42"; "" is everybody
	Listen   net.Listener
}

// Open starts a server.
func Open(t testing.TB, o Options) *Box {
	t.Helper()
	b := &Box{t: t, mails: make(chan Mail, 100)}
	b.cond.L = &b.mu
	if o.Name == "" {
		o.Name = "localhost"
	}
	cert := b.certificate(o.Name)
	l := o.Listen
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	b.Addr = "localhost:" + port
	s := smtp.NewServer(backend{b, o.User})
	s.Domain, s.ReadTimeout, s.WriteTimeout = "localhost", 10*time.Second, 10*time.Second
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	switch {
	case o.StartTLS:
		s.TLSConfig = config
	case !o.Plain:
		l = tls.NewListener(l, config)
	}
	s.ErrorLog = silent{}
	served := make(chan struct{})
	go func() { // ends with the server
		defer close(served)
		_ = s.Serve(l) // which says that it was closed
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return b
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// Next is the next mail; the test fails where there is none in time.
func (b *Box) Next() Mail {
	b.t.Helper()
	select {
	case m := <-b.mails:
		return m
	case <-time.After(30 * time.Second):
		b.t.Fatal("no mail within 30 s")
		return Mail{}
	}
}

// Waiting is how many mails nobody has read.
func (b *Box) Waiting() int { return len(b.mails) }

// Refuse has the server answer every mail so; 0 takes them again.
func (b *Box) Refuse(code int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = nil
	if code != 0 {
		b.refuse = &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 7, 1}, Message: "not now"}
	}
}

// Tried is how often somebody wanted to send a mail.
func (b *Box) Tried() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tried
}

// AwaitTries returns when somebody has wanted to send a mail so many times.
func (b *Box) AwaitTries(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.tried < n {
		b.cond.Wait()
	}
}

func (b *Box) certificate(name string) tls.Certificate {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	b.CA = filepath.Join(b.t.TempDir(), "mail-ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(b.CA, text, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.Roots = x509.NewCertPool()
	b.Roots.AppendCertsFromPEM(text)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

type backend struct {
	box  *Box
	user string
}

// NewSession begins a conversation with a client.
func (b backend) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &session{box: b.box, user: b.user, in: b.user == ""}, nil
}

type session struct {
	box  *Box
	user string
	in   bool
	mail Mail
}

// AuthMechanisms are how somebody can sign in.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth lets the one user in.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.user || password != "hidden 42" {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

// Reset forgets the mail that was begun.
func (s *session) Reset() { s.mail = Mail{} }

// Logout ends the conversation.
func (*session) Logout() error { return nil }

// Mail begins a mail.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.tried++
	s.box.cond.Broadcast()
	if !s.in {
		return smtp.ErrAuthRequired
	}
	if s.box.refuse != nil {
		return s.box.refuse
	}
	s.mail = Mail{From: from}
	return nil
}

// Rcpt adds whom it is for.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = append(s.mail.To, to)
	return nil
}

// Data takes the mail.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	var body io.Reader = m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.mail.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	s.mail.Text, s.mail.Raw, s.mail.Header = strings.ReplaceAll(string(text), "\r\n", "\n"), string(raw), m.Header
	s.box.mails <- s.mail
	return err
}
