package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"parley.im/parley/conf"
)

// certificateLook is how often it is looked whether certificates have changed or are about
// to expire.
const certificateLook = time.Minute

// A certificateWatch keeps the certificates that the server shows those of the files.
type certificateWatch struct {
	server   *server
	expiring map[string]int // what was told of certificates that expire; touched by run alone

	mu    sync.Mutex // guards what follows
	files string     // how the files looked when they were read
	good  map[string]tls.Certificate
	told  map[string]string // by file: the complaint that was logged last
	list  []tls.Certificate // that are shown
}

func newCertificateWatch(s *server) *certificateWatch {
	return &certificateWatch{server: s, good: make(map[string]tls.Certificate), told: make(map[string]string)}
}

// set shows the certificates of a configuration that has no faults.
func (w *certificateWatch) set(f *conf.File, list []tls.Certificate) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = looks(f)
	clear(w.good)
	clear(w.told)
	for i, c := range f.Certificates {
		w.good[c.Cert] = list[i] // the files' come first
	}
	return w.show(list)
}

// show is called with mu held. With ACME there may be none yet.
func (w *certificateWatch) show(list []tls.Certificate) error {
	if len(list) == 0 {
		return nil
	}
	w.list = list
	return w.server.xmpp.SetCertificates(list)
}

// shown are the certificates that clients get to see now.
func (w *certificateWatch) shown() []tls.Certificate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.list
}

// ofFile says whether a certificate that is shown is from a [[certificate]].
func (w *certificateWatch) ofFile(leaf *x509.Certificate) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.good {
		if c.Leaf.Equal(leaf) {
			return true
		}
	}
	return false
}

// run looks from time to time, and when something was got from an authority, until ctx ends.
func (w *certificateWatch) run(ctx context.Context) {
	t := time.NewTicker(certificateLook)
	defer t.Stop()
	var got <-chan struct{}
	if w.server.acme != nil {
		got = w.server.acme.got
	}
	for {
		w.server.tellExpiring(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-got:
		}
		w.look(w.server.inst.config(), time.Now())
	}
}

// look reads what has changed. A pair with a fault, such as one that is only half written,
// is not taken; what it was before is shown on, and the others' changes hold.
func (w *certificateWatch) look(f *conf.File, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	files := looks(f)
	// An authority's takes the place of what has expired, also where no file has changed.
	stale := f.ACME.On() && slices.ContainsFunc(w.list, func(c tls.Certificate) bool { return now.After(c.Leaf.NotAfter) })
	if files == w.files && len(w.told) == 0 && !stale {
		return
	}
	changed := files != w.files || stale
	w.files = files
	var list []tls.Certificate
	for i, c := range f.Certificates {
		cert, faults := loadCertificate(f, i, now)
		if len(faults) == 0 {
			changed = changed || w.told[c.Cert] != ""
			delete(w.told, c.Cert)
			w.good[c.Cert] = cert
		} else {
			w.complain(c.Cert, several(faults))
		}
		if cert, ok := w.good[c.Cert]; ok && !(f.ACME.On() && now.After(cert.Leaf.NotAfter)) {
			list = append(list, cert)
		}
	}
	list = append(list, fetched(f, list, now)...)
	if w.server.acme != nil {
		list = append(list, w.server.acme.unkept(list, now)...)
	}
	if faults := uncovered(f, list); len(faults) > 0 {
		w.complain("", several(faults))
		return
	}
	changed = changed || w.told[""] != ""
	delete(w.told, "")
	if !changed || len(list) == 0 {
		return
	}
	if err := w.show(list); err != nil {
		w.complain("", err)
		return
	}
	w.server.log.Info("certificates read again", "certificates", len(list))
}

// complain logs a fault once.
func (w *certificateWatch) complain(file string, err error) {
	if text := err.Error(); w.told[file] != text {
		w.told[file] = text
		w.server.log.Warn("a certificate is not read again; the old one is shown on", "err", err)
	}
}

// looks tells a change of the certificates' files by their times, sizes and numbers.
func looks(f *conf.File) string {
	var paths []string
	for _, c := range f.Certificates {
		paths = append(paths, c.Cert, c.Key)
	}
	if f.ACME.On() {
		for _, name := range neededNames(f) {
			paths = append(paths, filepath.Join(f.ACME.Cache, name))
		}
	}
	var b strings.Builder
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", p, err)
			continue
		}
		fmt.Fprintf(&b, "%s: %d %d %s %d\n", p, info.ModTime().UnixNano(), info.Size(), info.Mode(), inode(info))
	}
	return b.String()
}
