package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"parley.im/parley/store"
)

// expiryDays are how long before its end a certificate's is told: in the log, and as an event
// to the accounts that need it.
var expiryDays = []int{1, 3, 7, 14, 30}

const day = 24 * time.Hour

// dueDay is the smallest of expiryDays that a certificate is within; 0 if it is within none. A
// number of days counts only for certificates that live for more than twice as long, since
// short-lived ones are renewed late; and 30 only for files, since what is fetched is renewed then.
func dueDay(leaf *x509.Certificate, fetched bool, now time.Time) int {
	life, left := leaf.NotAfter.Sub(leaf.NotBefore), leaf.NotAfter.Sub(now)
	for _, d := range expiryDays {
		long := time.Duration(d) * day
		if left <= long && life > 2*long && !(fetched && d == 30) {
			return d
		}
	}
	return 0
}

// tellExpiring tells of certificates that come to their end, each once for each of expiryDays:
// what was told is kept in a file over restarts.
func (s *server) tellExpiring(ctx context.Context, now time.Time) {
	path := filepath.Join(s.inst.config().Data, "certificates.json")
	if s.watch.expiring == nil {
		s.watch.expiring = readTold(path)
	}
	before := s.watch.expiring
	after := make(map[string]int)
	for _, cert := range s.watch.shown() {
		d := dueDay(cert.Leaf, !s.watch.ofFile(cert.Leaf), now)
		if d == 0 {
			continue
		}
		id := leafID(cert.Leaf)
		after[id] = d
		if told := before[id]; told != 0 && told <= d {
			after[id] = told
			continue
		}
		s.log.Warn("a certificate expires soon: put a new one in its place", "names", strings.Join(cert.Leaf.DNSNames, " "),
			"expires", cert.Leaf.NotAfter.Format(time.RFC3339), "days", d)
		if err := s.journalExpiring(ctx, cert.Leaf, d, now); err != nil {
			s.log.Warn("event not kept; it is tried again", "event", store.KindCertificateExpiring.Event(), "err", err)
			delete(after, id)
			if told := before[id]; told != 0 {
				after[id] = told
			}
		}
	}
	if maps.Equal(before, after) {
		return
	}
	s.watch.expiring = after
	text, err := json.Marshal(after)
	if err == nil {
		err = replaceFile(path, append(text, '\n'))
	}
	if err != nil {
		s.log.Warn("what was told of certificates is not kept: it may be told again after the next start", "err", err)
	}
}

func leafID(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return hex.EncodeToString(sum[:])
}

// readTold is what was told: the days by certificate. Without a good file it is told again.
func readTold(path string) map[string]int {
	told := make(map[string]int)
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &told) != nil {
		clear(told)
	}
	return told
}

// journalExpiring makes an event in each account whose clients are shown the certificate.
func (s *server) journalExpiring(ctx context.Context, leaf *x509.Certificate, days int, now time.Time) error {
	type expiring struct {
		Names   []string  `json:"names"`
		Expires time.Time `json:"expires"`
		Days    int       `json:"days"`
	}
	data, err := json.Marshal(map[string]any{"certificate": expiring{leaf.DNSNames, leaf.NotAfter.UTC(), days}})
	if err != nil {
		return err
	}
	for _, a := range s.inService() {
		ascii, err := idna.Lookup.ToASCII(a.domain)
		if err != nil {
			continue
		}
		if shown := s.xmpp.Shown(ascii); shown == nil || !shown.Leaf.Equal(leaf) {
			continue
		}
		if _, err := store.Journalize(ctx, a.store, store.KindCertificateExpiring, data, now); err != nil {
			return fmt.Errorf("account %s: %w", a.id, err)
		}
	}
	return nil
}

// writeExpiry writes a figure for each name that there is a certificate for: the seconds that
// are left, less than 0 when it has expired.
func writeExpiry(w io.Writer, list []tls.Certificate, now time.Time) {
	done := make(map[string]bool)
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, cert := range list {
		for _, name := range cert.Leaf.DNSNames {
			if name = strings.ToLower(name); !done[name] {
				done[name] = true
				fmt.Fprintf(w, "parley_certificate_expires_seconds{name=\"%s\"} %.0f\n", escape.Replace(name), cert.Leaf.NotAfter.Sub(now).Seconds())
			}
		}
	}
}
