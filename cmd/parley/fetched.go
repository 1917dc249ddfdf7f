package main

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"parley.im/parley/conf"
)

// fetched are the certificates of the ACME folder for names that the list has none for. One
// that is spoiled or too old is left out: there will be another one.
func fetched(f *conf.File, list []tls.Certificate, now time.Time) (more []tls.Certificate) {
	if !f.ACME.On() {
		return nil
	}
	for _, name := range neededNames(f) {
		if covers(list, name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(f.ACME.Cache, name))
		if err != nil {
			continue
		}
		// autocert writes the key and then the chain into one file.
		if cert, err := tls.X509KeyPair(text, text); err == nil && len(checkChain(cert, now)) == 0 {
			more = append(more, cert)
		}
	}
	return more
}

// checkACME tells who else can read the secrets of the ACME folder.
func checkACME(f *conf.File) (faults []error) {
	if !f.ACME.On() {
		return nil
	}
	if f.ACME.Roots != "" {
		if _, err := readRoots(f.ACME.Roots); err != nil {
			faults = append(faults, unusable(f, "acme.roots", "", err))
		}
	}
	info, err := os.Stat(f.ACME.Cache)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return faults // it is made when there is something to keep
	case err != nil:
		return append(faults, unusable(f, "acme.cache", "", err))
	case !info.IsDir():
		return append(faults, f.Fault("acme.cache", "", "not a folder: %s", f.ACME.Cache))
	case info.Mode().Perm()&0o077 != 0:
		faults = append(faults, f.Fault("acme.cache", "chmod 700 "+f.ACME.Cache, "others may look into %s", f.ACME.Cache))
	}
	entries, err := os.ReadDir(f.ACME.Cache)
	if err != nil {
		return append(faults, unusable(f, "acme.cache", "", err))
	}
	for _, e := range entries {
		path := filepath.Join(f.ACME.Cache, e.Name())
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			faults = append(faults, f.Fault("acme.cache", "chmod 600 "+path, "others may read the key in %s", path))
		}
	}
	return faults
}

// beginACME prepares what asks an authority for certificates, where there is one.
func (s *server) beginACME(f *conf.File) (err error) {
	missing := func() []string { return namesWithout(s.inst.config(), time.Now()) }
	all := func() []string { return neededNames(s.inst.config()) }
	s.acme, err = newACME(f, missing, all, s.log)
	return err
}

// sameACME refuses another authority while the server runs: who has an account with it is
// decided at the start.
func (s *server) sameACME(f *conf.File) []error {
	if f.ACME == s.inst.config().ACME {
		return nil
	}
	return []error{f.Fault("acme", "restart the server", "cannot be changed while it runs")}
}

// beginRedirect prepares what is said in clear.
func (s *server) beginRedirect() {
	var challenge func(http.Handler) http.Handler
	if s.acme != nil && len(s.redirectOn) > 0 {
		challenge = s.acme.manager.HTTPHandler
	}
	s.redirect = newRedirect(s.log, challenge)
}
