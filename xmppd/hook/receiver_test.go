package hook

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// A seen is one request as it arrived.
type seen struct {
	at     time.Time
	header http.Header
	proto  string
	path   string
	body   []byte
}

// A receiver notes what it gets and answers as it is told.
type receiver struct {
	mu     sync.Mutex
	got    []seen
	answer http.HandlerFunc // nil is 204
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.got = append(r.got, seen{time.Now(), req.Header, req.Proto, req.URL.Path, body})
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	answer(w, req)
}

func (r *receiver) all() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) say(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// An authority vouches for receivers.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for a name or address that is valid until then.
func (a *authority) issue(t testing.TB, name string, until time.Time) tls.Certificate {
	t.Helper()
	return a.issueFrom(t, name, time.Now().Add(-24*time.Hour), until)
}

// selfSigned makes a certificate for a name or address that nobody vouches for.
func selfSigned(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	own := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}}
	c := (&authority{cert: own, key: key}).signed(t, key, name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	c.Certificate = c.Certificate[:1]
	return c
}

// issueFrom makes one that is valid from a time until another.
func (a *authority) issueFrom(t testing.TB, name string, from, until time.Time) tls.Certificate {
	t.Helper()
	return a.signed(t, newKey(t), name, from, until)
}

func (a *authority) signed(t testing.TB, key *ecdsa.PrivateKey, name string, from, until time.Time) tls.Certificate {
	t.Helper()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}

// https starts a real receiver on loopback and returns its URL.
func https(t testing.TB, cert tls.Certificate, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL + "/parley"
}

// loopback is a configuration that may reach receivers on this machine.
func loopback(a *authority) Config {
	return Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: a.pool}
}

// start runs a sender for the account until the test ends, or until stop.
func start(t testing.TB, c Config, a Account) (s *Sender, stop func()) {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s = New(c)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx, a) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return s, stop
}

// Pipes are a network without addresses: each name is a handler.
type pipes struct {
	mu    sync.Mutex
	names map[string]*pipeListener // host:port
	wg    sync.WaitGroup
	close []func() error
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// serve has h answer at host:port, with a certificate if there is one.
func (p *pipes) serve(addr string, h http.Handler, cert *tls.Certificate) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	p.mu.Lock()
	if p.names == nil {
		p.names = make(map[string]*pipeListener)
	}
	p.names[addr] = l
	p.close = append(p.close, s.Close)
	p.mu.Unlock()
	p.wg.Go(func() {
		if cert == nil {
			s.Serve(l)
			return
		}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		s.ServeTLS(l, "", "")
	})
}

// dial is for Config.Dial. A name that nobody serves is a host that never
// answers.
func (p *pipes) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	p.mu.Lock()
	l := p.names[addr]
	p.mu.Unlock()
	if l == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
	case <-ctx.Done():
	}
	return nil, net.ErrClosed
}

func (p *pipes) end() {
	for _, f := range p.close {
		f()
	}
	p.wg.Wait()
}
