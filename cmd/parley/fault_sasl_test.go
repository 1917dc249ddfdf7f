package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
)

// ejabberd 26.07: the password of one name opened a session for another, which the client
// had put beside it. Rule 12; RFC 6120 §6.3.8.
func nobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		features, _, _ := strings.Cut(annaAt(t, s, signedOut).to(fmt.Sprintf(streamHeader, "desk.example")), "</mechanisms>")
		offered := regexp.MustCompile(`<mechanism>([^<]+)`).FindAllStringSubmatch(features, -1)
		if len(offered) < 4 {
			t.Fatalf("offered are %q", offered)
		}
		for _, m := range offered {
			flag := "n"
			if strings.HasSuffix(m[1], "-PLUS") {
				flag = "p=tls-exporter"
			}
			for authzid, want := range map[string]string{
				"bob": "failure invalid-authzid", "bob@desk.example": "failure invalid-authzid", "anna@shop.example": "failure invalid-authzid",
				"anna@desk.example/x": "failure invalid-authzid", "anna": "failure invalid-authzid", "desk.example": "failure invalid-authzid",
				"anna@desk.example": "challenge", // herself
			} {
				first := base64.StdEncoding.EncodeToString([]byte(flag + ",a=" + authzid + ",n=anna,r=fyko+d2lbbFgONRv9qkxdawL"))
				for _, auth := range []string{
					"<auth" + nsSASLFault + " mechanism='" + m[1] + "'>" + first + "</auth>",
					"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='" + m[1] + "'><initial-response>" + first + "</initial-response></authenticate>",
				} {
					if got := gist(annaAt(t, s, secured).to(auth)); got != want {
						t.Errorf("%s for %s: %q, want %s", auth, authzid, got, want)
					}
				}
			}
		}
	})
}

// CVE-2022-48195: a library let an empty nonce pass. A client's that is empty or short is
// refused; the server's own is long and new each time.
func longNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for _, nonce := range []string{"", "r=", "r=a", "r=1234567"} {
			first := base64.StdEncoding.EncodeToString([]byte("n,,n=anna," + nonce))
			if got := gist(annaAt(t, s, secured).to("<auth" + nsSASLFault + " mechanism='SCRAM-SHA-256'>" + first + "</auth>")); got != "failure malformed-request" {
				t.Errorf("with the nonce %q: %q, want malformed-request", nonce, got)
			}
		}
		const mine = "fyko+d2lbbFgONRv9qkxdawL"
		seen := make(map[string]bool)
		for range 5 {
			said := annaAt(t, s, secured).to("<auth" + nsSASLFault + " mechanism='SCRAM-SHA-256'>" + firstOfAnna + "</auth>")
			m := regexp.MustCompile(`<challenge [^>]*>([^<]*)`).FindStringSubmatch(said)
			challenge, err := base64.StdEncoding.DecodeString(m[1])
			if err != nil {
				t.Fatal(err)
			}
			nonce, _, _ := strings.Cut(strings.TrimPrefix(string(challenge), "r="), ",")
			added, ok := strings.CutPrefix(nonce, mine)
			if !ok || len(added) < 20 || seen[added] {
				t.Errorf("the challenge is %q", challenge)
			}
			seen[added] = true
		}
	})
	atLeast(t, "mellium.im/sasl", "v0.3.1")
}

// CVE-2025-59154: an identity was read out of a client certificate's text. Here nobody
// is asked for one, and there is no EXTERNAL (eachStepInItsTurn).
func noClientCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			raw, err := s.net.dial(t.Context(), talkTLS)
			if err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(raw, &tls.Config{
				ServerName: "desk.example", RootCAs: s.Roots(), MinVersion: version, MaxVersion: version,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					t.Errorf("TLS %x: the server asks for a certificate", version)
					return new(tls.Certificate), nil
				},
			})
			if err := conn.Handshake(); err != nil {
				t.Error(err)
			}
			raw.Close()
		}
	})
}

// CVE-2021-32920: a stranger could make the server handshake again and again on one
// connection. TLS 1.3 has no such thing, and for TLS 1.2 it is refused.
func noRenegotiation(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no openssl, which is the client that can ask for it")
	}
	dir, _ := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "", "desk.example")
	d := startDaemon(t, dir)
	header := fmt.Sprintf(streamHeader, "desk.example") + "</stream:stream>\n"
	talk := func(before string) string {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c := exec.CommandContext(ctx, openssl, "s_client", "-connect", d.tls, "-servername", "desk.example", "-tls1_2", "-legacy_renegotiation")
		out := &processLog{tls: make(chan string, 1)}
		c.Stdout, c.Stderr = out, out
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if before != "" {
			_, _ = in.Write([]byte(before)) // what comes of it, it says
			eventually(t, "s_client renegotiates", func() bool { return strings.Contains(out.String(), "RENEGOTIATING") })
		}
		_, _ = in.Write([]byte(header))
		_ = c.Wait()
		return out.String()
	}
	if got := talk(""); !strings.Contains(got, "<stream:features>") {
		t.Fatalf("without renegotiation the server says %s", got)
	}
	if got := talk("R\n"); strings.Contains(got, "<stream:features>") {
		t.Errorf("after renegotiation the server says %s", got)
	}
}
