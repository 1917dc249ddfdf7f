package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley.im/parley/conf"
)

// start makes an installation in a temporary folder.
func quickstarted(t *testing.T, args ...string) (dir, config string) {
	t.Helper()
	dir = t.TempDir()
	_, prose, err := typed(t, "", append([]string{"quickstart", "-dir", dir, "-set", "auth.iterations=10000"}, args...)...)
	if err != nil {
		t.Fatal(prose)
	}
	return dir, filepath.Join(dir, "parley.toml")
}

func TestQuickstart(t *testing.T) {
	dir, config := quickstarted(t, "-account", "desk1", "-starttls", "127.0.0.1:1", "-tls", "127.0.0.1:2", "-https", "",
		"-set", "account.desk1.retention=30d", "desk.example")
	for name, mode := range map[string]os.FileMode{
		"root.key": 0o600, "tls/ca.key": 0o600, "tls/key.pem": 0o600, "tls/ca.pem": 0o644, "tls/cert.pem": 0o644,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %v", name, info, err, mode)
		}
	}
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := f.Accounts[0]
	if a.ID != "desk1" || a.Domain != "desk.example" || !a.Sealed() || f.Keep(a) == 0 {
		t.Errorf("account %+v, want a sealed one for desk.example with a retention", a)
	}
	if f.Listen.StartTLS[0] != "127.0.0.1:1" || f.Listen.TLS[0] != "127.0.0.1:2" || len(f.Listen.HTTPS) != 0 || f.Auth.Iterations != 10000 {
		t.Errorf("configuration %+v, want what the options say", f)
	}
	if _, prose, err := typed(t, "", "check", "-config", config); err != nil {
		t.Errorf("check: %s", prose)
	}
}

// The certificate is good for the domain and its subdomains, to whoever trusts the CA.
func TestQuickstartCertificate(t *testing.T) {
	dir, _ := quickstarted(t, "desk.example")
	verify(t, dir, "tls/cert.pem", "tls/key.pem", "desk.example", "rooms.desk.example")
}

func verify(t *testing.T, dir, cert, key string, names ...string) {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(dir, "tls/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, cert), filepath.Join(dir, key))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s is not for %s: %v", cert, name, err)
		}
	}
}

// Another domain joins, with a certificate from the same CA; nothing is overwritten.
func TestQuickstartAgain(t *testing.T) {
	dir, config := quickstarted(t, "desk.example")
	before := contents(t, dir)
	if _, prose, err := typed(t, "", "quickstart", "-dir", dir, "bücher.example"); err != nil {
		t.Fatal(prose)
	}
	verify(t, dir, "tls/xn--bcher-kva.example.pem", "tls/xn--bcher-kva.example.key", "xn--bcher-kva.example")
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Accounts) != 2 || f.Accounts[1].Domain != "bücher.example" || len(f.Certificates) != 2 {
		t.Errorf("accounts %v, certificates %v, want two of each", f.Accounts, f.Certificates)
	}
	if _, prose, err := typed(t, "", "check", "-config", config); err != nil {
		t.Errorf("check: %s", prose)
	}
	after := contents(t, dir)
	for name, text := range before {
		if !strings.HasPrefix(after[name], text) {
			t.Errorf("%s was changed, not just added to", name)
		}
	}
}

func TestQuickstartRefuses(t *testing.T) {
	dir, _ := quickstarted(t, "desk.example")
	before := contents(t, dir)
	for _, c := range []struct{ in, want string }{
		{"desk.example", "there is an account desk with the domain desk.example already"},
		{"-account desk shop.example", "there is an account desk"},
		{"-tls 127.0.0.1:9 shop.example", "its options are changed by editing it"},
		{"-profile gold shop.example", `"gold" is none of`},
		{"not_a_domain", "not a domain"},
		{"anna@shop.example", "not a domain"},
	} {
		_, prose, err := typed(t, "", append([]string{"quickstart", "-dir", dir}, strings.Fields(c.in)...)...)
		if err == nil || !strings.Contains(prose, c.want) {
			t.Errorf("quickstart %s: %s, want %s", c.in, prose, c.want)
		}
	}
	after := contents(t, dir)
	for name := range after {
		if before[name] != after[name] {
			t.Errorf("%s was changed or made", name)
		}
	}
}

// What stands in the way of a new installation stays as it is.
func TestQuickstartOverwritesNothing(t *testing.T) {
	for _, name := range []string{"root.key", "tls/ca.pem", "tls/key.pem", "accounts.d/desk.toml"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, prose, err := typed(t, "", "quickstart", "-dir", dir, "desk.example"); err == nil {
			t.Errorf("%s was there: %s, want a refusal", name, prose)
		}
		if all := contents(t, dir); len(all) != 1 || all[name] != "mine" {
			t.Errorf("%s was there, and now there is %v", name, all)
		}
	}
}

// contents reads all files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
