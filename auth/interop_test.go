package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"mellium.im/sasl"

	"parley.im/parley/auth/scram"
)

// Another implementation's client signs in, with and without channel binding over
// real TLS.
func TestMelliumsClient(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	client, server, leaf := handshake(t, tls.VersionTLS13)
	ch := scram.ChannelOf(&server, leaf)
	for _, m := range []sasl.Mechanism{
		sasl.ScramSha1, sasl.ScramSha256, sasl.ScramSha1Plus, sasl.ScramSha256Plus,
	} {
		t.Run(m.Name, func(t *testing.T) {
			offer := o.Offer(ch)
			c := sasl.NewClient(m, sasl.TLSState(client), sasl.RemoteMechanisms(offer.Mechanisms...),
				sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte("anna"), []byte(password), nil }))
			x, err := o.Begin(Attempt{Mechanism: m.Name, Channel: ch, Offer: offer, Addr: home})
			if err != nil {
				t.Fatal(err)
			}
			talk(t, c, x)
			if x.Agent().Name != "anna" {
				t.Errorf("signed in %+v", x.Agent())
			}
		})
	}
}

// talk passes messages until both sides are content.
func talk(t *testing.T, c *sasl.Negotiator, x *Exchange) {
	t.Helper()
	var reply []byte
	for range 2 {
		_, msg, err := c.Step(reply)
		if err != nil {
			t.Fatal(err)
		}
		var done bool
		if reply, done, err = x.Step(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		if done {
			if more, _, err := c.Step(reply); more || err != nil {
				t.Fatalf("client on the server's last message: more %v, %v", more, err)
			}
			return
		}
	}
	t.Fatal("no end after two messages")
}

// Both ends of a connection see the same channel, and another connection is another.
func TestChannelOf(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client, server, leaf := handshake(t, version)
		a, b := scram.ChannelOf(&client, client.PeerCertificates[0]), scram.ChannelOf(&server, leaf)
		if b.Version != version || len(b.Exporter) != 32 || len(b.EndPoint) != sha256.Size {
			t.Errorf("channel over %x: %+v", version, b)
		}
		if !slices.Equal(a.Exporter, b.Exporter) || !slices.Equal(a.EndPoint, b.EndPoint) {
			t.Errorf("over %x the ends differ: %+v and %+v", version, a, b)
		}
		_, other, _ := handshake(t, version)
		if slices.Equal(b.Exporter, scram.ChannelOf(&other, nil).Exporter) {
			t.Errorf("over %x two connections have one exporter", version)
		}
	}
}

// The hash of tls-server-end-point is the signature's, but SHA-256 at least
// (RFC 5929 §4.1), and there is none for Ed25519.
func TestEndPoint(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if got := scram.EndPoint(certificate(t, ed, x509.PureEd25519).Leaf); got != nil {
		t.Errorf("Ed25519: %x, want none", got)
	}
	leaf := certificate(t, p384, x509.ECDSAWithSHA384).Leaf
	if want := sha512.Sum384(leaf.Raw); !slices.Equal(scram.EndPoint(leaf), want[:]) {
		t.Errorf("P-384: %x, want %x", scram.EndPoint(leaf), want)
	}
	leaf = certificate(t, rsaKey, x509.SHA512WithRSAPSS).Leaf
	if want := sha512.Sum512(leaf.Raw); !slices.Equal(scram.EndPoint(leaf), want[:]) {
		t.Errorf("RSA-PSS: %x, want %x", scram.EndPoint(leaf), want)
	}
	old := &x509.Certificate{Raw: []byte("old"), SignatureAlgorithm: x509.SHA1WithRSA}
	if want := sha256.Sum256(old.Raw); !slices.Equal(scram.EndPoint(old), want[:]) {
		t.Errorf("SHA-1: %x, want %x", scram.EndPoint(old), want)
	}
}

func certificate(t *testing.T, key any, algorithm x509.SignatureAlgorithm) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "desk.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"desk.example"}, SignatureAlgorithm: algorithm,
	}
	public := key.(crypto.Signer).Public()
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// handshake makes a TLS connection of that version and tells what both ends know.
func handshake(t *testing.T, version uint16) (client, server tls.ConnectionState, leaf *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := certificate(t, key, x509.ECDSAWithSHA256)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	near, far := net.Pipe()
	c := tls.Client(near, &tls.Config{ServerName: "desk.example", RootCAs: roots, MaxVersion: version})
	s := tls.Server(far, &tls.Config{
		Certificates: []tls.Certificate{cert}, MaxVersion: version,
		SessionTicketsDisabled: true, // nobody reads them here
	})
	t.Cleanup(func() { near.Close(); far.Close() })
	failed := make(chan error, 1)
	go func() { failed <- s.HandshakeContext(t.Context()) }()
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState(), s.ConnectionState(), cert.Leaf
}
