package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley.im/parley/conf"
)

// What a monitoring plugin's exit code says, and the word for it.
const (
	probeOK       = 0
	probeWarning  = 1
	probeCritical = 2
	probeUnknown  = 3
)

var probeWords = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// An exitError ends the program with a code of its own, and says what is in it, if anything.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint("exit code ", e.code) }
func (e *exitError) Unwrap() error { return e.err }

func probeCommands() []command {
	return []command{{
		name: "probe",
		does: "Looks whether a server does its work, for monitoring systems: prints one line and exits 0 (OK), 1 (warning), 2 (critical) or 3 (unknown).",
		more: "Connects to every listener of the configuration but those with proxy_protocol, or to those that are named; checks that a stream can begin there, what the certificate is for and when it ends; " +
			"asks /readyz whether the stores take writes, and /metrics for figures and the age of backups.",
		options: []option{
			configOption, setOption,
			{name: "warning", value: "TIME", does: "warns when a certificate is good for less than that; 14d"},
			{name: "critical", value: "TIME", does: "the same, critical; 3d"},
			{name: "backup-warning", value: "TIME", does: "warns when the newest backup of a target is older than that, where there are any; 1h"},
			{name: "backup-critical", value: "TIME", does: "the same, critical; 24h"},
			{name: "host", value: "DOMAIN", does: "whose certificate is wanted, and whose stream; the first account's domain"},
			{name: "url", value: "URL", does: "the HTTPS listener, such as https://desk.example:8443, instead of the configuration's listeners"},
			{name: "tls", value: "ADDR", does: "a listener for XMPP over TLS, such as desk.example:5223, likewise"},
			{name: "starttls", value: "ADDR", does: "a listener for XMPP with STARTTLS, likewise"},
			{name: "ca", value: "FILE", does: "who may vouch for the certificate; the system's authorities"},
			{name: "timeout", value: "TIME", does: "for all of it; 10s"},
		},
		run:    probe,
		plugin: true,
	}}
}

// A probing gathers what is found.
type probing struct {
	host              string
	roots             *x509.CertPool
	warning, critical time.Duration // of certificates
	backups           [2]time.Duration
	copies            bool // the configuration wants some
	now               func() time.Time

	state    int
	problems []string
	good     []string
	perf     []string
	until    time.Time // when the first certificate ends
}

// A target is one listener to look at.
type target struct{ kind, addr string }

func probe(ctx context.Context, c *call) error {
	p := &probing{now: time.Now}
	began := time.Now()
	limit, targets, err := p.prepare(c)
	if err != nil {
		return &exitError{probeUnknown, err}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, t := range targets {
		var err error
		switch t.kind {
		case "https":
			err = p.https(ctx, t.addr)
		default:
			err = p.xmpp(ctx, t)
		}
		if err != nil {
			p.found(probeCritical, "%s %s: %v", t.kind, t.addr, err)
			continue
		}
		p.good = append(p.good, t.kind+" "+t.addr)
	}
	if !c.on("tls") && !c.on("starttls") && p.copies && !slices.ContainsFunc(targets, func(t target) bool { return t.kind == "https" }) {
		p.found(probeUnknown, "no listener for HTTPS tells how old the copies are: name the proxy's with -url")
	}
	p.judgeCertificate()
	p.perf = append(p.perf, fmt.Sprintf("time=%.3fs", time.Since(began).Seconds()))
	if _, err := fmt.Fprintln(c.stdout, p.line()); err != nil {
		return err
	}
	if p.state != probeOK {
		return &exitError{code: p.state}
	}
	return nil
}

// prepare reads the options and finds out what there is to look at.
func (p *probing) prepare(c *call) (limit time.Duration, targets []target, err error) {
	for _, o := range []struct {
		name, standard string
		to             *time.Duration
	}{
		{"warning", "14d", &p.warning}, {"critical", "3d", &p.critical},
		{"backup-warning", "1h", &p.backups[0]}, {"backup-critical", "24h", &p.backups[1]}, {"timeout", "10s", &limit},
	} {
		text := o.standard
		if c.on(o.name) {
			text = c.text(o.name)
		}
		if *o.to, err = conf.ParseDuration(text); err != nil {
			return 0, nil, fmt.Errorf("-%s: %w", o.name, err)
		}
	}
	if c.on("ca") {
		if p.roots, err = readRoots(c.text("ca")); err != nil {
			return 0, nil, err
		}
	}
	p.host = c.text("host")
	if c.on("url") {
		u, err := url.Parse(c.text("url"))
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return 0, nil, fmt.Errorf("-url: not a URL such as https://desk.example:8443: %q", c.text("url"))
		}
		addr := u.Host
		if u.Port() == "" {
			addr = net.JoinHostPort(u.Hostname(), "443")
		}
		targets = append(targets, target{"https", addr})
	}
	for _, kind := range []string{"tls", "starttls"} {
		if c.on(kind) {
			targets = append(targets, target{kind, c.text(kind)})
		}
	}
	if len(targets) > 0 && p.host != "" {
		return limit, targets, nil
	}
	f, err := c.load()
	switch {
	case err == nil && p.host == "" && len(f.Accounts) > 0:
		p.host = f.Accounts[0].Domain
	case p.host != "" || len(targets) == 0:
	default: // no configuration here: the address has the name
		p.host, _, err = net.SplitHostPort(targets[0].addr)
	}
	p.copies = err == nil && f != nil && len(f.Backup.Recipients) > 0
	if err == nil && len(targets) == 0 {
		targets, err = listenersOf(f)
	}
	return limit, targets, err
}

// listenersOf are the configuration's, as they can be reached from this machine. Those behind
// a proxy that says who comes are not among them: they answer nobody else.
func listenersOf(f *conf.File) (targets []target, err error) {
	for _, l := range f.AllListeners() {
		if l.ProxyProtocol {
			continue
		}
		host, port, _ := net.SplitHostPort(l.Address) // checked by conf
		if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
			host = "localhost"
		}
		kinds := []string{l.For}
		if l.For == "any" {
			kinds = []string{"tls", "https"}
		}
		for _, kind := range kinds {
			targets = append(targets, target{kind, net.JoinHostPort(host, port)})
		}
	}
	if len(targets) == 0 {
		return nil, errors.New("no listener answers without a proxy: name the proxy's with -url, -tls or -starttls")
	}
	return targets, nil
}

// found notes something that is not as it should be.
func (p *probing) found(state int, format string, args ...any) {
	// Critical is worse than a warning, and that than not to know.
	rank := [...]int{probeOK: 0, probeUnknown: 1, probeWarning: 2, probeCritical: 3}
	if rank[state] > rank[p.state] {
		p.state = state
	}
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// judgeCertificate looks how long the first certificate to end is good.
func (p *probing) judgeCertificate() {
	if p.until.IsZero() {
		return
	}
	left := p.until.Sub(p.now())
	switch {
	case left < p.critical:
		p.found(probeCritical, "a certificate ends on %s", p.until.Format(time.DateOnly))
	case left < p.warning:
		p.found(probeWarning, "a certificate ends on %s", p.until.Format(time.DateOnly))
	default:
		p.good = append(p.good, "certificates good for "+days(left.Truncate(24*time.Hour)))
	}
	p.perf = append(p.perf, fmt.Sprintf("certificate=%.0fs;%.0f:;%.0f:", left.Seconds(), p.warning.Seconds(), p.critical.Seconds()))
}

// line is what a monitoring system shows, and what it draws.
func (p *probing) line() string {
	text := strings.Join(p.problems, "; ")
	if text == "" {
		text = strings.Join(p.good, ", ")
	}
	text = strings.ReplaceAll(line(text), "|", "/") // which begins the figures
	return fmt.Sprintf("PARLEY %s - %s | %s", probeWords[p.state], text, strings.Join(p.perf, " "))
}

// secure makes TLS of a connection, as a client does that trusts nobody, and notes when the
// certificate ends.
func (p *probing) secure(ctx context.Context, conn net.Conn, protocol string) (*tls.Conn, error) {
	over := tls.Client(conn, &tls.Config{ServerName: p.host, RootCAs: p.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{protocol}})
	if err := over.HandshakeContext(ctx); err != nil {
		if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("TLS: %w", err)
	}
	for _, cert := range over.ConnectionState().PeerCertificates {
		if p.until.IsZero() || cert.NotAfter.Before(p.until) {
			p.until = cert.NotAfter
		}
	}
	return over, nil
}
