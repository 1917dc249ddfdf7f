package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/conf"
)

// pemPair writes a self-signed certificate and its key.
func pemPair(t *testing.T, dir string, key crypto.Signer, change func(*x509.Certificate)) {
	t.Helper()
	cert := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "desk.example"}, DNSNames: []string{"desk.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(cert)
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", der)
	writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", keyDER)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustKey[K crypto.Signer](key K, err error) K {
	if err != nil {
		panic(err)
	}
	return key
}

// What serve and check refuse: VIV-1, HAP-4.
func TestCertificatesRefused(t *testing.T) {
	good := mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t.Setenv("GODEBUG", "rsa1024min=0")
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string)
		want string
	}{
		{"good", func(t *testing.T, dir string) { pemPair(t, dir, good, nil) }, ""},
		{"expired", func(t *testing.T, dir string) {
			pemPair(t, dir, good, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		}, "certificate.cert: desk.example: expired on "},
		{"too early", func(t *testing.T, dir string) {
			pemPair(t, dir, good, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
		}, "certificate.cert: desk.example: not valid before "},
		{"wrong name", func(t *testing.T, dir string) {
			pemPair(t, dir, good, func(c *x509.Certificate) { c.DNSNames = []string{"shop.example"} })
		}, "account.domain: no certificate is for desk.example"},
		{"wrong pair", func(t *testing.T, dir string) {
			pemPair(t, dir, good, nil)
			other, err := x509.MarshalPKCS8PrivateKey(mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
			if err != nil {
				t.Fatal(err)
			}
			writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", other)
		}, "private key does not match public key"},
		{"short RSA key", func(t *testing.T, dir string) {
			pemPair(t, dir, mustKey(rsa.GenerateKey(rand.Reader, 1024)), nil)
		}, "an RSA key of 1024 bits: at least 2048 are needed"},
		{"short elliptic key", func(t *testing.T, dir string) {
			pemPair(t, dir, mustKey(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)), nil)
		}, "an elliptic key of 224 bits: at least 256 are needed"},
		{"Ed25519", func(t *testing.T, dir string) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			pemPair(t, dir, mustKey(key, err), nil)
		}, "an Ed25519 key: sign-ins could not be bound to the connection"},
		{"SHA-1", func(t *testing.T, dir string) {
			pemPair(t, dir, good, nil)
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(signedWithSHA1), ""))
			if err != nil {
				t.Fatal(err)
			}
			both, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
			if err != nil {
				t.Fatal(err)
			}
			writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", der)
			intermediate, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "cert.pem"), append(both, intermediate...), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "signed with ECDSA-SHA1: SHA-256 or better is needed"},
		{"no file", func(*testing.T, string) {}, "certificate.cert: no such file or directory: "},
		{"open key", func(t *testing.T, dir string) {
			pemPair(t, dir, good, nil)
			if err := os.Chmod(filepath.Join(dir, "key.pem"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "certificate.key: everybody may read it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			f, err := conf.Parse(filepath.Join(dir, "parley.toml"), []byte(certificateConf), nil)
			if err != nil {
				t.Fatal(err)
			}
			list, faults := loadCertificates(f)
			var told strings.Builder
			for _, err := range faults {
				told.WriteString(err.Error() + "\n")
			}
			if c.want == "" && (len(faults) > 0 || len(list) != 1) {
				t.Errorf("refused: %s", &told)
			}
			if !strings.Contains(told.String(), c.want) {
				t.Errorf("told %q, want %q", &told, c.want)
			}
		})
	}
}

const certificateConf = `
[[certificate]]
cert = "cert.pem"
key = "key.pem"
[[account]]
id = "desk"
domain = "desk.example"
`

// signedWithSHA1 is a certificate of an authority that is not up to date.
const signedWithSHA1 = `
MIIBEzCBuwIBBzAJBgcqhkjOPQQBMBExDzANBgNVBAMMBk9sZCBDQTAgFw0yNjExMjEyMzU5MDVaGA8yMTI2MTAyODIzNTkwNVow
GzEZMBcGA1UEAwwQT2xkIGludGVybWVkaWF0ZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAZOQThWVYl1kFfv4OqCkic7UO+v
g6IeQ+bwMhR4FsSW8LDvLUNO7u2uX3cUUKWesvlVHQOhCuyWX2uSTEtwWvEwCQYHKoZIzj0EAQNIADBFAiEAo508mytF5GyNaYMf
UVW/eCM6HeEmz4tMQS+W+XgkEQACIDA56WBYfW+uCZKZy72yS21x0k1H1XkP/IB1fZRCCYBU
`
