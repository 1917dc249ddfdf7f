package xmppd

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// newCertificate is a self-signed one for these names.
func newCertificate(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signed(t, key, &key.PublicKey, names)
}

func signed(t *testing.T, key, public any, names []string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// shake makes a handshake with the configuration that these certificates give, and
// returns the client's view of it, and the leaf that the server remembers.
func (c *certificates) shake(t *testing.T, client *tls.Config) (tls.ConnectionState, *x509.Certificate, error) {
	t.Helper()
	client.InsecureSkipVerify = true // it is about which one is shown
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	for _, end := range []net.Conn{ours, theirs} {
		if err := end.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	var leaf *x509.Certificate
	done := make(chan error, 1)
	go func() { done <- tls.Server(theirs, c.forHello(&leaf, nil)).Handshake() }()
	conn := tls.Client(ours, client)
	err := conn.Handshake()
	if err != nil {
		ours.Close()
	}
	err = errors.Join(err, <-done)
	return conn.ConnectionState(), leaf, err
}

func TestCertificateByName(t *testing.T) { // RFC 6066 §3
	c, err := newCertificates([]tls.Certificate{
		newCertificate(t, "first.example"),
		newCertificate(t, "desk.example", "*.desk.example"),
		newCertificate(t, "chat.desk.example"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":                     "first.example", // no name: the first
		"first.example":        "first.example",
		"desk.example":         "desk.example",
		"DESK.Example":         "desk.example",
		"files.desk.example":   "desk.example",
		"chat.desk.example":    "chat.desk.example", // a name goes before a wildcard
		"a.files.desk.example": "first.example",     // which is for one label
		"elsewhere.example":    "first.example",
	} {
		state, leaf, err := c.shake(t, &tls.Config{ServerName: name})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		got := state.PeerCertificates[0]
		if got.Subject.CommonName != want {
			t.Errorf("%q is shown %s, want %s", name, got.Subject.CommonName, want)
		}
		if !got.Equal(leaf) {
			t.Errorf("%q: the binding is computed from another certificate than the one shown", name)
		}
	}
}

func TestALPNIsAnsweredAndNotDemanded(t *testing.T) { // XEP-0368 §4
	c, err := newCertificates([]tls.Certificate{newCertificate(t, "desk.example")})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		offered []string
		want    string
	}{
		{nil, ""},
		{[]string{"xmpp-client"}, "xmpp-client"},
		{[]string{"h2", "xmpp-client"}, "xmpp-client"},
		{[]string{"h2", "http/1.1"}, ""},
	} {
		state, _, err := c.shake(t, &tls.Config{ServerName: "desk.example", NextProtos: k.offered})
		if err != nil || state.NegotiatedProtocol != k.want {
			t.Errorf("offered %q: answered %q, %v, want %q", k.offered, state.NegotiatedProtocol, err, k.want)
		}
	}
}

// SMO-2, VIV-1, VIV-2: TLS 1.2 with forward secrecy and authenticated encryption, and
// 1.3.
func TestOnlyGoodTLS(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []struct {
		name string
		cert tls.Certificate
		good string // in the names of its suites
	}{
		{"ECDSA", newCertificate(t, "desk.example"), "TLS_ECDHE_ECDSA_"},
		{"RSA", signed(t, key, &key.PublicKey, []string{"desk.example"}), "TLS_ECDHE_RSA_"},
	} {
		c, err := newCertificates([]tls.Certificate{kind.cert})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if !slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
				continue
			}
			want := strings.HasPrefix(s.Name, kind.good) && (strings.Contains(s.Name, "_GCM_") || strings.Contains(s.Name, "_CHACHA20_"))
			state, _, err := c.shake(t, &tls.Config{ServerName: "desk.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{s.ID}})
			if (err == nil) != want || want && state.CipherSuite != s.ID {
				t.Errorf("%s with %s: %v, want it taken: %t", kind.name, s.Name, err, want)
			}
		}
		for version, want := range map[uint16]bool{
			tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
		} {
			_, _, err := c.shake(t, &tls.Config{ServerName: "desk.example", MinVersion: version, MaxVersion: version})
			if (err == nil) != want {
				t.Errorf("%s with %s: %v, want it taken: %t", kind.name, tls.VersionName(version), err, want)
			}
		}
	}
}

func TestNoCertificate(t *testing.T) {
	s := newTestServer(t, testLimits)
	if err := s.SetCertificates(nil); err == nil {
		t.Error("a server without a certificate")
	}
	if err := s.SetCertificates([]tls.Certificate{{Certificate: [][]byte{{1, 2, 3}}}}); err == nil {
		t.Error("a certificate that is none")
	}
}

// New certificates are for new connections, without a restart; those that are there
// stay. IPv4 and IPv6 are the same.
func TestCertificatesAreReplaced(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Skipf("this machine has no such address: %v", err)
			}
			s := newTestServer(t, testLimits)
			if err := s.SetCertificates([]tls.Certificate{newCertificate(t, "old.example")}); err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- s.Serve(l, true) }()
			old := dialTLS(t, l.Addr().String())
			if got := old.ConnectionState().PeerCertificates[0].DNSNames[0]; got != "old.example" {
				t.Errorf("shown %s", got)
			}
			if err := s.SetCertificates([]tls.Certificate{newCertificate(t, "new.example")}); err != nil {
				t.Fatal(err)
			}
			fresh := dialTLS(t, l.Addr().String())
			if got := fresh.ConnectionState().PeerCertificates[0].DNSNames[0]; got != "new.example" {
				t.Errorf("after the change: shown %s", got)
			}
			// The first one still works: it is told that there is no such host.
			for _, c := range []*tls.Conn{old, fresh} {
				if _, err := c.Write([]byte("<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")); err != nil {
					t.Fatal(err)
				}
				answer, err := bufio.NewReader(c).ReadString('\x00')
				if !strings.Contains(answer, "host-unknown") {
					t.Errorf("got %q, %v", answer, err)
				}
			}
			l.Close()
			if err := <-served; err == nil {
				t.Error("Serve ended without an error")
			}
		})
	}
}

func dialTLS(t *testing.T, address string) *tls.Conn {
	t.Helper()
	raw, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	if err := raw.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}
