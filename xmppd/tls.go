package xmppd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// certificates chooses a certificate by the name that a client asks for. TLS sessions
// are not resumed: each connection has then been shown the leaf that its sign-in is
// bound to, and what a resumption saves is a small part of a sign-in.
type certificates struct {
	byName map[string]*tls.Certificate // lower-case; "*.desk.example" for wildcards
	first  *tls.Certificate
	config *tls.Config
}

func newCertificates(list []tls.Certificate) (*certificates, error) {
	if len(list) == 0 {
		return nil, errors.New("no certificate")
	}
	c := &certificates{byName: make(map[string]*tls.Certificate), first: &list[0]}
	for i := range list {
		if list[i].Leaf == nil {
			leaf, err := x509.ParseCertificate(list[i].Certificate[0])
			if err != nil {
				return nil, fmt.Errorf("parse certificate: %w", err)
			}
			list[i].Leaf = leaf
		}
		for _, name := range list[i].Leaf.DNSNames {
			if name = strings.ToLower(name); c.byName[name] == nil {
				c.byName[name] = &list[i]
			}
		}
	}
	c.config = &tls.Config{
		MinVersion: tls.VersionTLS12,
		// TLS 1.2 with forward secrecy and authenticated encryption only (SMO-2); 1.3 has
		// nothing else. RFC 7590 §3.
		CipherSuites: CipherSuites(),
		// XEP-0368 §4: answered when it is offered. Go refuses a client that offers other
		// protocols only, so those are let in without an answer, below.
		NextProtos:                  []string{alpnXMPP},
		DynamicRecordSizingDisabled: true,
		SessionTicketsDisabled:      true,
		GetCertificate:              c.get,
	}
	return c, nil
}

// errNoCertificate ends handshakes until there is one: an authority has not answered yet.
var errNoCertificate = errors.New("there is no certificate yet")

func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := c.choose(hello.ServerName); cert != nil {
		return cert, nil
	}
	return nil, errNoCertificate
}

// choose is the certificate for a name, by SNI (RFC 6066 §3); nil where there is none at all.
func (c *certificates) choose(name string) *tls.Certificate {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if cert := c.byName[name]; cert != nil {
		return cert
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if cert := c.byName["*."+parent]; cert != nil {
			return cert
		}
	}
	return c.first
}

// forHello makes the configuration for one connection and remembers the leaf that
// it will be shown, which the channel binding needs. On a port that is HTTPS's as well,
// web may change it.
func (c *certificates) forHello(leaf **x509.Certificate, web webConfig) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			cert := c.choose(hello.ServerName)
			if cert == nil {
				if web != nil {
					return web(hello, nil) // it may be about getting one
				}
				return nil, errNoCertificate
			}
			*leaf = cert.Leaf
			if web != nil {
				return web(hello, c.config)
			}
			if len(hello.SupportedProtos) > 0 && !slices.Contains(hello.SupportedProtos, alpnXMPP) {
				other := c.config.Clone()
				other.NextProtos = nil
				return other, nil
			}
			return c.config, nil
		},
	}
}

// Certificate is the certificate that the server shows to a client, for listeners
// of others that are to show the same.
func (s *Server) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.challenged(hello) {
		return s.config.Challenge(hello)
	}
	return s.certs.Load().get(hello)
}

// Shown is the certificate that a client gets to see who asks for that name; nil where there
// is none.
func (s *Server) Shown(name string) *tls.Certificate { return s.certs.Load().choose(name) }

// CipherSuites are those of TLS 1.2 that are spoken: with forward secrecy and
// authenticated encryption (SMO-2). TLS 1.3 has no others.
func CipherSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}
