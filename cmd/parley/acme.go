package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/panics"
)

// acmeWaits are how long it takes until an authority is asked again that refused a name: the
// last one holds on. Let's Encrypt lets a name fail five times an hour.
var acmeWaits = []time.Duration{5 * time.Minute, 20 * time.Minute, time.Hour}

// acmeKeys gets certificates for all names that no file has one for, and new ones before those
// expire (RFC 8555). What it got is in a folder, from where the certificateWatch takes it.
type acmeKeys struct {
	manager *autocert.Manager
	names   func() []string // that certificates are missing for
	log     *slog.Logger
	folder  *acmeFolder
	got     chan struct{} // something is new
	again   chan struct{} // the operator wants it tried now
	asks    *acmeTransport
	end     context.Context
	ended   context.CancelFunc
}

// newACME prepares to ask the authority of the configuration; run does it. Nil if there is none.
// Names are those that it asks for; all are those that are this server's, which whoever comes
// to port 80 can make it look up.
func newACME(f *conf.File, names, all func() []string, log *slog.Logger) (*acmeKeys, error) {
	if !f.ACME.On() {
		return nil, nil
	}
	k := &acmeKeys{names: names, log: log, got: make(chan struct{}, 1), again: make(chan struct{}, 1)}
	k.end, k.ended = context.WithCancel(context.Background())
	k.folder = &acmeFolder{dir: f.ACME.Cache, log: log, got: k.got, unkept: make(map[string][]byte)}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if f.ACME.Roots != "" {
		roots, err := readRoots(f.ACME.Roots)
		if err != nil {
			return nil, unusable(f, "acme.roots", "", err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	k.asks = &acmeTransport{under: transport, end: k.end}
	k.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS,
		Cache:  k.folder,
		Email:  f.ACME.Email,
		Client: &acme.Client{
			DirectoryURL: f.ACME.Directory, UserAgent: "Parley",
			HTTPClient: &http.Client{Timeout: time.Minute, Transport: k.asks},
		},
		HostPolicy: func(_ context.Context, host string) error {
			if h, _, err := net.SplitHostPort(host); err == nil { // as HTTP has it
				host = h
			}
			if !slices.Contains(all(), host) {
				return fmt.Errorf("no name of this server: %q", host)
			}
			return nil
		},
	}
	return k, nil
}

// run asks for what is missing, until ctx ends.
func (k *acmeKeys) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, k.ended)
	defer stop()
	t := time.NewTicker(certificateLook)
	defer t.Stop()
	next, refused := make(map[string]time.Time), make(map[string]int)
	for {
		for _, name := range k.names() {
			if ctx.Err() != nil {
				return
			}
			if time.Now().Before(next[name]) {
				continue
			}
			if err := k.get(ctx, name); err != nil && ctx.Err() == nil {
				wait := acmeWaits[min(refused[name], len(acmeWaits)-1)]
				refused[name]++
				next[name] = time.Now().Add(wait)
				k.log.Error("no certificate from the authority; 'parley check -dns' tells what it has to find",
					"name", name, "wait", wait, "err", err)
				continue
			}
			delete(refused, name)
			delete(next, name)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-k.again:
			clear(next)
		}
	}
}

// retry asks again at once for what was refused.
func (k *acmeKeys) retry() {
	select {
	case k.again <- struct{}{}:
	default:
	}
}

// get returns when there is a certificate for the name, or when ctx ends. From then on the
// manager renews it.
func (k *acmeKeys) get(ctx context.Context, name string) error {
	done := make(chan error, 1)
	// It ends by itself within five minutes: autocert cannot be told to stop. After ctx it
	// does nothing but wait, since nothing is asked any more.
	go func() {
		err := errors.New("asking the authority broke: the log has more")
		panics.Catch(k.log, func() {
			_, err = k.manager.GetCertificate(&tls.ClientHelloInfo{
				ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, // that is: with an ECDSA key
			})
		})
		done <- err
	}()
	select {
	case err := <-done:
		if why := k.asks.why(); err != nil && why != "" {
			err = fmt.Errorf("%w; what it found: %s", err, why)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unkept are certificates for which the folder has no room.
func (k *acmeKeys) unkept(list []tls.Certificate, now time.Time) (more []tls.Certificate) {
	k.folder.mu.Lock()
	defer k.folder.mu.Unlock()
	for name, text := range k.folder.unkept {
		if cert, err := tls.X509KeyPair(text, text); err == nil && !covers(list, name) && len(checkChain(cert, now)) == 0 {
			more = append(more, cert)
		}
	}
	return more
}

// namesWithout are the needed names that no file has a certificate for.
func namesWithout(f *conf.File, now time.Time) []string {
	var files []tls.Certificate
	for i := range f.Certificates {
		if cert, faults := loadCertificate(f, i, now); len(faults) == 0 {
			files = append(files, cert)
		}
	}
	return slices.DeleteFunc(neededNames(f), func(name string) bool { return covers(files, name) })
}

// An acmeFolder keeps what autocert wants kept: the account's key, certificates with their keys,
// and what an authority is about to ask for.
type acmeFolder struct {
	dir string
	log *slog.Logger
	got chan struct{}

	mu     sync.Mutex // guards what follows
	unkept map[string][]byte
}

// Get is autocert.Cache's.
func (d *acmeFolder) Get(ctx context.Context, name string) ([]byte, error) {
	d.mu.Lock()
	text := d.unkept[name]
	d.mu.Unlock()
	if text != nil {
		return text, nil
	}
	return autocert.DirCache(d.dir).Get(ctx, name)
}

// Put is autocert.Cache's. A certificate that cannot be written is used nevertheless: the
// authority would count another one. Nothing is done with an account's key that is not kept.
func (d *acmeFolder) Put(_ context.Context, name string, data []byte) error {
	err := writeSecret(d.dir, name, data)
	if strings.Contains(name, "+") {
		return err
	}
	d.mu.Lock()
	delete(d.unkept, name)
	if err != nil {
		d.log.Error("a certificate cannot be kept; it will be asked for again after the next start", "name", name, "err", err)
		d.unkept[name] = data
	}
	d.mu.Unlock()
	select {
	case d.got <- struct{}{}:
	default:
	}
	return nil
}

// Delete is autocert.Cache's.
func (d *acmeFolder) Delete(ctx context.Context, name string) error {
	return autocert.DirCache(d.dir).Delete(ctx, name)
}
