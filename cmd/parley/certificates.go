package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/idna"

	"parley.im/parley/conf"
)

// loadCertificates reads the certificates of the configuration and says
// everything that is wrong with them. Those that it returns may be used only if
// nothing is.
func loadCertificates(f *conf.File) ([]tls.Certificate, []error) {
	return certificatesAt(f, time.Now())
}

func certificatesAt(f *conf.File, now time.Time) (list []tls.Certificate, faults []error) {
	if len(f.Certificates) == 0 && !f.ACME.On() {
		return nil, []error{f.Fault("certificate", "make a test certificate with 'parley quickstart desk.example'", "there is none")}
	}
	for i := range f.Certificates {
		cert, errs := loadCertificate(f, i, now)
		faults = append(faults, errs...)
		if len(errs) == 0 {
			list = append(list, cert)
		}
	}
	faults = append(faults, checkACME(f)...)
	if len(faults) == 0 {
		list = append(list, fetched(f, list, now)...)
		faults = uncovered(f, list)
	}
	return list, faults
}

func loadCertificate(f *conf.File, i int, now time.Time) (tls.Certificate, []error) {
	c, key := f.Certificates[i], "certificate."+strconv.Itoa(i)
	var faults []error
	certPEM, err := os.ReadFile(c.Cert)
	if err != nil {
		faults = append(faults, unusable(f, key+".cert", "make a test certificate with 'parley quickstart desk.example'", err))
	}
	keyPEM, err := os.ReadFile(c.Key)
	if err != nil {
		faults = append(faults, unusable(f, key+".key", "", err))
	} else if info, err := os.Stat(c.Key); err == nil && info.Mode().Perm()&0o007 != 0 {
		faults = append(faults, f.Fault(key+".key", "chmod 600 "+c.Key, "everybody may read it: %s", c.Key))
	}
	if len(faults) > 0 {
		return tls.Certificate{}, faults
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return cert, []error{f.Fault(key+".cert", "", "%v", err)}
	}
	for _, err := range checkChain(cert, now) {
		faults = append(faults, f.Fault(key+".cert", "", "%v", err))
	}
	return cert, faults
}

// plainPath is "no such file: path" instead of "open path: no such file".
func plainPath(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("%w: %s", e.Err, e.Path)
	}
	return err
}

// checkChain holds a certificate and what it brings along to the rules.
func checkChain(cert tls.Certificate, now time.Time) (errs []error) {
	for i, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return append(errs, fmt.Errorf("certificate %d of the file: %v", i+1, err))
		}
		whose := c.Subject.CommonName
		if whose == "" && len(c.DNSNames) > 0 {
			whose = c.DNSNames[0]
		}
		switch {
		case now.After(c.NotAfter):
			errs = append(errs, fmt.Errorf("%s: expired on %s", whose, c.NotAfter.Format(time.DateOnly)))
		case now.Before(c.NotBefore):
			errs = append(errs, fmt.Errorf("%s: not valid before %s", whose, c.NotBefore.Format(time.DateOnly)))
		}
		if err := checkKey(c.PublicKey); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", whose, err))
		}
		root := i > 0 && string(c.RawIssuer) == string(c.RawSubject) // nobody checks a root's own signature
		if !root {
			if err := checkSignature(c.SignatureAlgorithm); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", whose, err))
			}
		}
	}
	return errs
}

// checkKey refuses keys that are too short (VIV-1), and those for which no channel
// binding is defined.
func checkKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < 2048 {
			return fmt.Errorf("an RSA key of %d bits: at least 2048 are needed", n)
		}
	case *ecdsa.PublicKey:
		if n := key.Curve.Params().BitSize; n < 256 {
			return fmt.Errorf("an elliptic key of %d bits: at least 256 are needed", n)
		}
	case ed25519.PublicKey:
		// RFC 5929 §4.1: tls-server-end-point takes the signature's hash, which Ed25519 has none of.
		return errors.New("an Ed25519 key: sign-ins could not be bound to the connection")
	default:
		return fmt.Errorf("a key of an unknown kind (%T)", key)
	}
	return nil
}

// checkSignature refuses hashes that can be forged. HAP-4
func checkSignature(a x509.SignatureAlgorithm) error {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return nil
	case x509.PureEd25519:
		return errors.New("signed with Ed25519: sign-ins could not be bound to the connection")
	}
	return fmt.Errorf("signed with %v: SHA-256 or better is needed", a)
}

// uncovered tells of the accounts whose domain stands in no certificate, and never will.
func uncovered(f *conf.File, list []tls.Certificate) (faults []error) {
	if f.ACME.On() {
		return nil
	}
	for i, a := range f.Accounts {
		if a.Disabled || covers(list, a.Domain) {
			continue
		}
		faults = append(faults, f.Fault("account."+strconv.Itoa(i)+".domain",
			"clients check the name: add a certificate for it, as [[certificate]]",
			"no certificate is for %s", a.Domain))
	}
	return faults
}

func covers(list []tls.Certificate, domain string) bool {
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return false
	}
	for _, c := range list {
		if c.Leaf != nil && c.Leaf.VerifyHostname(ascii) == nil {
			return true
		}
	}
	return false
}

// readRoots reads a file of authorities.
func readRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", path)
	}
	return pool, nil
}
