package scram

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
)

// The channel bindings that are offered. There is no tls-unique: it isn't
// defined for TLS 1.3 (RFC 8446 §C.5).
const (
	BindEndPoint = "tls-server-end-point" // RFC 5929 §4
	BindExporter = "tls-exporter"         // RFC 9266 §2
)

// A Channel is what is known of the TLS connection below. The zero value is a
// connection without TLS.
type Channel struct {
	Version  uint16 // such as tls.VersionTLS13
	Exporter []byte // tls-exporter's data; nil where it isn't safe
	EndPoint []byte // tls-server-end-point's data; nil where it is undefined
}

// ChannelOf reads the channel bindings of a server's connection after its
// handshake. The leaf is the certificate that this connection was shown, which
// may differ from what a new connection would be shown.
func ChannelOf(cs *tls.ConnectionState, leaf *x509.Certificate) Channel {
	ch := Channel{Version: cs.Version}
	if leaf != nil {
		ch.EndPoint = EndPoint(leaf)
	}
	// RFC 9266 §2: label, an empty context, 32 bytes. It is safe with TLS 1.3, or
	// with the extended master secret (RFC 7627 §4); else crypto/tls refuses.
	data, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
	if err == nil {
		ch.Exporter = data
	}
	return ch
}

// EndPoint is the data of tls-server-end-point for a certificate, or nil if the
// type is undefined for it, as it is where the signature names no hash (Ed25519).
func EndPoint(leaf *x509.Certificate) []byte {
	var h crypto.Hash
	switch leaf.SignatureAlgorithm {
	// RFC 5929 §4.1: MD5 and SHA-1 are replaced by SHA-256.
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		h = crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = crypto.SHA512
	default:
		return nil
	}
	sum := h.New()
	sum.Write(leaf.Raw)
	return sum.Sum(nil)
}

// binding is the data of the type called name, or nil if it can't be had on this
// connection.
func (c Channel) binding(name string) []byte {
	switch name {
	case BindEndPoint:
		return c.EndPoint
	case BindExporter:
		return c.Exporter
	}
	return nil
}
