package hook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// judge says what is wrong with an answer, or nothing.
func judge(status int) string {
	switch {
	case status >= 200 && status <= 299:
		return ""
	case status >= 300 && status <= 399:
		return fmt.Sprintf("the receiver answered %d: redirects are not followed", status)
	}
	return strings.TrimSpace(fmt.Sprintf("the receiver answered %d %s", status, http.StatusText(status)))
}

// explain says in a sentence why there was no answer. It is written to the
// delivery log in clear, so it is put together from what we know: the text of
// err may quote the URL, and whatever the receiver sent.
func explain(err error) string {
	var (
		refused *refusal
		name    *net.DNSError
		record  tls.RecordHeaderError
		network *net.OpError
	)
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &name) && name.IsNotFound:
		return "the receiver's name cannot be resolved: no such host"
	case errors.As(err, &name):
		return "the receiver's name cannot be resolved"
	case certificate(err) != "":
		return "TLS: " + certificate(err)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "TLS: the receiver does not speak TLS at this port"
	case errors.As(err, &network) && network.Op == "remote error":
		return "TLS: the receiver broke off: " + alert(network.Err)
	case errors.As(err, &network) && network.Op == "local error", strings.HasPrefix(inner(err), "tls: "):
		return "TLS: the receiver does not offer what is needed"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), timedOut(err):
		return "the receiver did not answer in time"
	case errors.Is(err, context.Canceled):
		return "broken off"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at the receiver's address: connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the receiver closed the connection without an answer"
	case errors.As(err, &network) && network.Op == "dial":
		return "the receiver's address cannot be reached"
	}
	return "the receiver's answer cannot be understood"
}

// certificate says what is wrong with the receiver's certificate (VIV-5), or
// nothing if that is not the trouble.
func certificate(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		other   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &unknown):
		return "the receiver's certificate does not lead to a trusted authority"
	case errors.As(err, &host):
		return fmt.Sprintf("the receiver's certificate is not for the name %q", host.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the receiver's certificate has expired or is not valid yet"
	case errors.As(err, &invalid), errors.As(err, &other):
		return "the receiver's certificate is not valid"
	}
	return ""
}

func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// alert is the text of a TLS alert, which is one of a fixed list (RFC 8446 §6).
func alert(err error) string { return strings.TrimPrefix(err.Error(), "tls: ") }

// inner is the text below what net/http says about the request.
func inner(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}
