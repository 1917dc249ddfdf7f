package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/hook"
)

// VIV-6: the demo's receiver shows an event as genuine only with both signatures.
func TestReceiverVerifies(t *testing.T) {
	const secret, token = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "47242e60"
	ca, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := ca.issue(time.Now(), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := newReceiver(cert, func() (string, string) { return secret, token }, &out)
	defer r.Close()
	if !strings.HasPrefix(r.URL(), "https://localhost:") {
		t.Errorf("URL = %s, want the certificate's name", r.URL())
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.certPEM)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()

	body := []byte(`{"type":"message.created","data":{"text":"\u202eHello` + "\u202e" + `"}}`)
	for _, c := range []struct {
		name, secret, token string
		status              int
		want                string
	}{
		{"genuine", secret, token, 204, "✓ verified  webhook-signature"},
		{"another secret", "whsec_AAAA", token, 401, "✗ NOT VALID webhook-signature"},
		{"another token", secret, "47242e61", 401, "✗ NOT VALID x-vvc-hmac"},
	} {
		out.Reset()
		now := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL(), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("webhook-id", "evt_1")
		req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		req.Header.Set("webhook-signature", hook.Sign(c.secret, "evt_1", now, body))
		req.Header.Set("x-vvc-hmac", hook.HMAC(c.token, body))
		req.Header.Set("x-parley-event", "message.created")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got := out.String()
		if resp.StatusCode != c.status || !strings.Contains(got, c.want) || !strings.Contains(got, `\u202eHello\u202e`) {
			t.Errorf("%s: %d and\n%s\nwant %d and %q", c.name, resp.StatusCode, got, c.status, c.want)
		}
	}
}
