package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store"
)

// A watched server shows the certificates of an installation; the test says when it looks.
type watched struct {
	t   *testing.T
	dir string
	*server
	said bytes.Buffer
}

func watching(t *testing.T, options ...string) *watched {
	t.Helper()
	dir, config := quickstarted(t, append(options, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")...)
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{t: t, dir: dir}
	w.server, err = newServer(t.Context(), f, slog.New(slog.NewTextHandler(&w.said, nil)), realWorld)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// looks returns what was logged, and the serial number that is shown.
func (w *watched) looks(now time.Time) (said, serial string) {
	w.said.Reset()
	w.watch.look(w.inst.config(), now)
	return w.said.String(), w.xmpp.Shown("desk.example").Leaf.SerialNumber.String()
}

// issue is a certificate and key of the installation's CA.
func (w *watched) issue(now time.Time) (cert, key []byte, serial string) {
	w.t.Helper()
	ca, err := readAuthority(filepath.Join(w.dir, "tls"))
	if err != nil {
		w.t.Fatal(err)
	}
	if cert, key, err = ca.issue(now, "desk.example", "*.desk.example"); err != nil {
		w.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return cert, key, pair.Leaf.SerialNumber.String()
}

func (w *watched) write(name string, text []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// A new pair of files is shown once it is whole. Whatever is there meanwhile is told once, and
// the old pair goes on.
func TestCertificateFilesWatched(t *testing.T) {
	t.Parallel()
	w := watching(t)
	now := time.Now()
	said, first := w.looks(now)
	if said != "" {
		t.Errorf("nothing has changed: %s", said)
	}
	cert, key, second := w.issue(now)
	for _, step := range []struct {
		name  string
		do    func()
		warns string
		shows string
	}{
		{"the certificate alone", func() { w.write("tls/cert.pem", cert) }, "private key does not match", first},
		{"half of the key", func() { w.write("tls/key.pem", key[:len(key)/2]) }, "failed to find any PEM data", first},
		{"the whole key", func() { w.write("tls/key.pem", key) }, "", second},
		{"nonsense", func() { w.write("tls/cert.pem", []byte("nonsense")) }, "failed to find any PEM data", second},
		{"a key that is open", func() {
			w.write("tls/cert.pem", cert)
			if err := os.Chmod(filepath.Join(w.dir, "tls/key.pem"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "everybody may read it", second},
		{"closed again", func() {
			if err := os.Chmod(filepath.Join(w.dir, "tls/key.pem"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "", second},
		{"another domain's", func() {
			pemPair(t, filepath.Join(w.dir, "tls"), mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
				func(c *x509.Certificate) { c.DNSNames = []string{"shop.example"} })
		}, "no certificate is for desk.example", second},
		{"none", func() {
			if err := os.Remove(filepath.Join(w.dir, "tls/cert.pem")); err != nil {
				t.Fatal(err)
			}
		}, "no such file", second},
	} {
		step.do()
		said, shows := w.looks(now)
		if shows != step.shows {
			t.Errorf("%s: %s is shown, want %s", step.name, shows, step.shows)
		}
		switch {
		case step.warns == "" && !strings.Contains(said, "certificates read again"):
			t.Errorf("%s: %s, want that it was read", step.name, said)
		case step.warns != "" && (strings.Count(said, "level=WARN") != 1 || !strings.Contains(said, step.warns)):
			t.Errorf("%s: %s, want one warning of %s", step.name, said, step.warns)
		}
		if strings.Contains(said, "PRIVATE KEY") {
			t.Errorf("%s: a key is in the log", step.name)
		}
		if again, _ := w.looks(now); again != "" {
			t.Errorf("%s: told again: %s", step.name, again)
		}
	}
}

// One customer's bad pair keeps no new one from another, and what is not valid yet is
// taken when it is.
func TestCertificatePairsApart(t *testing.T) {
	t.Parallel()
	w := watching(t)
	if _, prose, err := typed(t, "", "quickstart", "-dir", w.dir, "shop.example"); err != nil {
		t.Fatal(prose)
	}
	if err := w.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	shop := w.xmpp.Shown("shop.example").Leaf
	w.write("tls/shop.example.pem", []byte("nonsense"))
	cert, key, serial := w.issue(now.Add(48 * time.Hour))
	w.write("tls/cert.pem", cert)
	w.write("tls/key.pem", key)
	if said, shows := w.looks(now); shows == serial || !strings.Contains(said, "not valid before") || !strings.Contains(said, "shop.example.pem") && strings.Count(said, "level=WARN") != 2 {
		t.Errorf("too early: %s is shown, %s", shows, said)
	}
	if said, shows := w.looks(now.Add(49 * time.Hour)); shows != serial || !strings.Contains(said, "certificates read again") {
		t.Errorf("in time: %s is shown, want %s; %s", shows, serial, said)
	}
	if got := w.xmpp.Shown("shop.example").Leaf; !got.Equal(shop) {
		t.Error("the other customer's certificate is gone")
	}
}

// Where a file's certificate has expired, the authority's takes its place, as soon as it is there.
func TestFetchedForExpired(t *testing.T) {
	t.Parallel()
	w := watching(t, "-set", "acme.directory=https://127.0.0.1:1/dir")
	f := w.inst.config()
	end := w.xmpp.Shown("desk.example").Leaf.NotAfter
	if got := namesWithout(f, end.Add(-time.Minute)); len(got) != 0 {
		t.Errorf("asked for although a file has one: %s", got)
	}
	later := end.Add(time.Minute)
	if got := namesWithout(f, later); !slices.Equal(got, []string{"desk.example"}) {
		t.Errorf("an expired one leaves %s to be asked for", got)
	}
	if said, _ := w.looks(later); strings.Count(said, "expired on") != 1 {
		t.Errorf("the log: %s", said)
	}
	if said, _ := w.looks(later); said != "" {
		t.Errorf("told again: %s", said)
	}
	cert, key, serial := w.issue(later)
	if err := w.acme.folder.Put(t.Context(), "desk.example", append(key, cert...)); err != nil {
		t.Fatal(err)
	}
	if said, shows := w.looks(later); shows != serial || !strings.Contains(said, "certificates read again") {
		t.Errorf("%s is shown, want %s; %s", shows, serial, said)
	}
	if w.watch.ofFile(w.xmpp.Shown("desk.example").Leaf) {
		t.Error("it counts as a file's")
	}
}

// Each of expiryDays is told once, in the log and as an event, also over a restart.
func TestExpiryIsTold(t *testing.T) {
	t.Parallel()
	w := watching(t)
	end := w.xmpp.Shown("desk.example").Leaf.NotAfter
	told := func(left time.Duration) string {
		w.said.Reset()
		w.tellExpiring(t.Context(), end.Add(-left))
		return w.said.String()
	}
	for _, c := range []struct {
		left time.Duration
		want string // "" is nothing
	}{
		{40 * day, ""}, {30 * day, "days=30"}, {30*day - time.Hour, ""}, {13 * day, "days=14"}, {8 * day, ""},
		{2 * day, "days=3"}, // a server that was away for some days tells the newest only
		{2 * day, ""}, {time.Hour, "days=1"}, {0, ""}, {-time.Hour, ""},
	} {
		said := told(c.left)
		if c.want == "" && said != "" || !strings.Contains(said, c.want) || strings.Count(said, "level=WARN") > 1 {
			t.Errorf("%v before the end: %q, want %q", c.left, said, c.want)
		}
	}
	account, err := w.inst.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	var days []int
	err = account.store.Read(t.Context(), 0, 100, func(e *store.Entry) error {
		if e.Kind != store.KindCertificateExpiring {
			return nil
		}
		var data struct {
			Certificate struct {
				Names   []string
				Expires time.Time
				Days    int
			}
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || data.Certificate.Names[0] != "desk.example" || !data.Certificate.Expires.Equal(end) {
			t.Errorf("event %s, %v", e.Data, err)
		}
		days = append(days, data.Certificate.Days)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{30, 14, 3, 1}; !slices.Equal(days, want) {
		t.Errorf("events at %v days, want %v", days, want)
	}
	// The next start knows it all.
	w.watch.expiring = nil
	if said := told(time.Hour); said != "" {
		t.Errorf("told again after a restart: %q", said)
	}
	// A file that a crash has spoiled costs a second warning, and nothing else.
	w.write("data/certificates.json", []byte(`{"a":`))
	w.watch.expiring = nil
	if said := told(time.Hour); !strings.Contains(said, "days=1") {
		t.Errorf("after the file was spoiled: %q", said)
	}
	if said := told(time.Hour); said != "" {
		t.Errorf("and again: %q", said)
	}
}

// A day counts for certificates that live long enough, and the longest not for what is renewed
// by itself.
func TestDueDay(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		life, left time.Duration
		fetched    bool
		want       int
	}{
		{397 * day, 31 * day, false, 0}, {397 * day, 30 * day, false, 30}, {397 * day, -day, false, 1},
		{90 * day, 29 * day, false, 30}, {90 * day, 29 * day, true, 0}, {90 * day, 13 * day, true, 14},
		{7 * day, 7 * day, true, 0}, {7 * day, 2 * day, true, 3}, {6 * day, 2 * day, true, 0}, {6 * day, day, true, 1}, {day, time.Hour, true, 0},
	} {
		leaf := &x509.Certificate{NotAfter: now.Add(c.left), NotBefore: now.Add(c.left - c.life)}
		if got := dueDay(leaf, c.fetched, now); got != c.want {
			t.Errorf("a life of %v, %v left, fetched %t: %d, want %d", c.life, c.left, c.fetched, got, c.want)
		}
	}
}

// The figure of each name counts down.
func TestExpiryFigures(t *testing.T) {
	t.Parallel()
	w := watching(t)
	end := w.xmpp.Shown("desk.example").Leaf.NotAfter
	var text bytes.Buffer
	writeExpiry(&text, append(w.watch.shown(), w.watch.shown()...), end.Add(-time.Hour))
	got := figures(t, text.String())
	if len(got) != 2 || got[`parley_certificate_expires_seconds{name="desk.example"}`] != 3600 || got[`parley_certificate_expires_seconds{name="*.desk.example"}`] != 3600 {
		t.Errorf("got %v", got)
	}
}
