package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"parley.im/parley/xmppd/hook"
)

// A receiver is what a shop would run: an HTTPS server that verifies each
// webhook, by both of its signatures, and shows it to whoever watches.
type receiver struct {
	server   *http.Server
	url      string
	serving  sync.WaitGroup
	out      io.Writer
	secret   func() (endpointSecret, token string)
	printing sync.Mutex // one block at a time
}

// receiverMost is more than any webhook's body.
const receiverMost = 64 << 10

// newReceiver listens on loopback. The secrets are asked for with each event,
// since the endpoint is registered after its URL is known. Without a port on
// loopback there is no demo, so that panics.
func newReceiver(cert tls.Certificate, secret func() (endpointSecret, token string), out io.Writer) *receiver {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("listen on loopback: %v", err))
	}
	r := &receiver{
		url:    "https://" + receiverHost(cert, l) + "/parley",
		out:    out,
		secret: secret,
	}
	r.server = &http.Server{
		Handler:           r,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	r.serving.Go(func() { r.server.ServeTLS(l, "", "") }) // until Close
	return r
}

// receiverHost is the host and port under which the certificate holds.
func receiverHost(cert tls.Certificate, l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	host := "127.0.0.1"
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err == nil && leaf.VerifyHostname(host) != nil && leaf.VerifyHostname("localhost") == nil {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// URL is where webhooks are to be sent.
func (r *receiver) URL() string { return r.url }

// Close ends the receiver. It may be called twice.
func (r *receiver) Close() error {
	err := r.server.Close()
	r.serving.Wait()
	return err
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, receiverMost))
	if err != nil {
		http.Error(w, "no body", http.StatusBadRequest)
		return
	}
	genuine := r.show(req.Header, body)
	if !genuine {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// show prints one event and says whether both its signatures hold.
func (r *receiver) show(h http.Header, body []byte) bool {
	secret, token := r.secret()
	standard := verifyStandard(secret, h, body)
	sha1 := token != "" && hmac.Equal([]byte(hook.HMAC(token, body)), []byte(h.Get("x-vvc-hmac")))

	var b bytes.Buffer
	fmt.Fprintf(&b, "webhook %s\n", visible(h.Get("x-parley-event")))
	fmt.Fprintf(&b, "  %s webhook-signature  HMAC-SHA-256, Standard Webhooks, the endpoint's secret\n", mark(standard))
	fmt.Fprintf(&b, "  %s x-vvc-hmac         HMAC-SHA1, the account's secret token\n", mark(sha1))
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "  ", "  ") == nil {
		fmt.Fprintf(&b, "  %s\n", visible(pretty.String()))
	} else {
		fmt.Fprintf(&b, "  a body that is not JSON, %d bytes\n", len(body))
	}
	b.WriteByte('\n')

	r.printing.Lock()
	defer r.printing.Unlock()
	r.out.Write(b.Bytes())
	return standard && sha1
}

func verifyStandard(secret string, h http.Header, body []byte) bool {
	lib, err := standardwebhooks.NewWebhook(secret)
	return err == nil && secret != "" && lib.Verify(body, h) == nil
}

func mark(good bool) string {
	if good {
		return "✓ verified "
	}
	return "✗ NOT VALID"
}

// visible writes runes that a terminal might obey (controls, bidirectional
// marks) as JSON would escape them, since messages come from strangers.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\n' || unicode.IsGraphic(r) {
			b.WriteRune(r)
		} else {
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		}
	}
	return b.String()
}
