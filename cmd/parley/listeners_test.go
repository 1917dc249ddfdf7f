package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/conf"
)

// ported serves an installation with these listeners (lines of [[listener]]) and two agents.
func ported(t *testing.T, listeners string, options ...string) *daemon {
	t.Helper()
	dir, config := quickstarted(t, append(options, "-starttls", "", "-tls", "", "-https", "", "-set", "listener=["+listeners+"]", "desk.example")...)
	must(t, "anna@desk.example\tcorrect horse 42\nben@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	return startDaemon(t, dir)
}

// at is the same server where another port is the one for XMPP and HTTPS.
func (d *daemon) at(addr string) *daemon {
	other := *d
	other.tls, other.https = addr, addr
	return &other
}

// A port for both tells by what the client asks for in the handshake (XEP-0368 §4).
func TestPortForBoth(t *testing.T) {
	t.Parallel()
	d := ported(t, `{ address = "127.0.0.1:0", for = "any" }`)
	d = d.at(d.any)
	for _, protocols := range [][]string{{"xmpp-client"}, {"h2", "xmpp-client"}, {"acme-tls/1", "xmpp-client"}} {
		anna := d.login("anna", "correct horse 42", "desk")
		anna.protocols = protocols
		j := anna.in(t) // bound to the connection
		j.lives()
		j.drop()
	}
	for _, c := range []struct {
		name string
		http bool // HTTP/2
	}{{"HTTP/1.1", false}, {"HTTP/2", true}} {
		client := http.Client{Timeout: patience, Transport: &http.Transport{
			ForceAttemptHTTP2: c.http, TLSClientConfig: &tls.Config{RootCAs: d.roots(), ServerName: "desk.example"},
		}}
		for range 2 { // the second one on the same connection
			resp, err := client.Get("https://" + d.any + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || figures(t, string(text))[`parley_certificate_expires_seconds{name="desk.example"}`] < 1 || (resp.ProtoMajor == 2) != c.http {
				t.Errorf("%s: %s %s %v", c.name, resp.Proto, resp.Status, err)
			}
			resp.Body.Close()
		}
		client.CloseIdleConnections()
	}
	// No name of a protocol is a browser of old, and so is one that nobody knows.
	for _, protocols := range [][]string{nil, {"spdy/3"}, {"acme-tls/1"}} {
		conn, err := tls.Dial("tcp", d.any, &tls.Config{RootCAs: d.roots(), ServerName: "desk.example", NextProtos: protocols})
		if err != nil {
			t.Errorf("%q: %v", protocols, err)
			continue
		}
		if got := answerTo(t, conn, "GET /healthz HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") {
			t.Errorf("%q: %q, want HTTP", protocols, got)
		}
	}
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: desk.example\r\n\r\n", "<stream:stream>", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n"} {
		if got := inClear(t, d.any, text); got != "" && (len(got) != 7 || got[0] != 21) { // VIV-1
			t.Errorf("%q in clear is answered with %q", text, got)
		}
	}

	// Whatever is open, the server ends when it is told to.
	anna := d.login("anna", "correct horse 42", "desk")
	anna.protocols = []string{"xmpp-client"}
	j := anna.in(t)
	browser, err := tls.Dial("tcp", d.any, &tls.Config{RootCAs: d.roots(), ServerName: "desk.example", NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	dialFrom(t, "127.0.0.1", d.any)
	began := time.Now()
	d.end(syscall.SIGTERM)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
	j.until("the stream's end", func(e *tree) bool { return e.name.Local == "error" && e.child("system-shutdown") != nil })
}

// answerTo sends bytes and returns all that comes back.
func answerTo(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("after %q: %v", got, err)
	}
	return string(got)
}

// Until it is known what a connection wants, it is a stranger's: counted, and gone in time.
// Those that have turned out to want HTTPS count no more as such.
func TestStrangersOnAPortForBoth(t *testing.T) {
	t.Parallel()
	d := ported(t, `{ address = "127.0.0.1:0", for = "any" }`, "-set", "limits.unauthenticated_per_address=2", "-set", "limits.handshake=2s")
	d = d.at(d.any)
	var web []net.Conn
	for range 4 {
		conn, err := tls.Dial("tcp", d.any, &tls.Config{RootCAs: d.roots(), ServerName: "desk.example", NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Its answer shows that it was handed over.
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: desk.example\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 200"))); err != nil {
			t.Fatal(err)
		}
		web = append(web, conn)
	}
	silent := []net.Conn{dialFrom(t, "127.0.0.1", d.any), dialFrom(t, "127.0.0.1", d.any)}
	eventually(t, "a third one is refused", func() bool {
		c, err := net.Dial("tcp", d.any)
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Second))
		_, err = c.Read(make([]byte, 1))
		return err != nil && !isTimeout(err)
	})
	for _, c := range silent {
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil && isTimeout(err) {
			t.Errorf("a silent one: %q, %v, want it closed", got, err)
		}
	}
	for _, c := range web { // longer than any stranger may take
		if got := answerTo(t, c, "GET /healthz HTTP/1.1\r\nHost: desk.example\r\nConnection: close\r\n\r\n"); !strings.Contains(got, "\r\n\r\nok\n") {
			t.Errorf("a browser's: %q", got)
		}
	}
}

// Only so many browsers are served at the same time; the next one waits for one to leave, and
// then for nobody.
func TestHandedConnections(t *testing.T) {
	t.Parallel()
	h := newHanded(1)
	served := http.Server{Handler: http.NotFoundHandler(), ConnState: h.state}
	done := make(chan error, 1)
	go func() { done <- served.Serve(h) }()
	dir, _ := quickstarted(t, "desk.example")
	cert, err := tls.LoadX509KeyPair(dir+"/tls/cert.pem", dir+"/tls/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	pair := func() (client, server *tls.Conn) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		server = tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}})
		client = tls.Client(ours, &tls.Config{InsecureSkipVerify: true}) // it is about who is served
		shaken := make(chan error, 1)
		go func() { shaken <- server.Handshake() }()
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	first, server := pair()
	if !h.offer(server, nil) {
		t.Fatal("the first is not served")
	}
	_, second := pair()
	late := make(chan time.Time)
	close(late)
	if h.offer(second, late) {
		t.Error("two are served")
	}
	first.Close()
	if !h.offer(second, nil) { // waits until the first has gone
		t.Error("the second is not served")
	}
	served.Close()
	if err := <-done; err != http.ErrServerClosed {
		t.Error(err)
	}
	if _, third := pair(); h.offer(third, nil) {
		t.Error("one is served after the end")
	}
}

// featuresOn is what a stream offers to whoever has not signed in.
func (d *daemon) featuresOn(conn net.Conn) string {
	d.t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		d.t.Fatal(err)
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: d.roots(), ServerName: "desk.example", NextProtos: []string{"xmpp-client"}})
	if _, err := io.WriteString(secured, "<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"); err != nil {
		d.t.Fatal(err)
	}
	var all []byte
	for b := make([]byte, 4096); !strings.Contains(string(all), "</stream:features>"); {
		n, err := secured.Read(b)
		if all = append(all, b[:n]...); err != nil {
			d.t.Fatalf("%q, %v", all, err)
		}
	}
	return string(all)
}

// bindable says whether features offer sign-ins that are bound to the connection: in all ways,
// or in none.
func bindable(t *testing.T, features string) bool {
	t.Helper()
	ways := []string{"-PLUS<", "urn:xmpp:sasl-cb:0", "HT-SHA-256-ENDP<"}
	n := 0
	for _, way := range ways {
		if strings.Contains(features, way) {
			n++
		}
	}
	if n != 0 && n != len(ways) {
		t.Errorf("channel binding is offered in some ways only: %s", features)
	}
	return n > 0
}

// Where TLS ends at a proxy nothing that hangs on it is offered, or taken.
func TestNoChannelBinding(t *testing.T) {
	t.Parallel()
	d := ported(t, `{ address = "127.0.0.1:0", for = "tls" }, { address = "127.0.0.1:0", for = "any", channel_binding = false }`)
	for addr, want := range map[string]bool{d.tls: true, d.any: false} {
		if got := bindable(t, d.featuresOn(dialFrom(t, "127.0.0.1", addr))); got != want {
			t.Errorf("channel binding is offered on %s: %t, want %t", addr, got, want)
		}
	}
	anna := d.at(d.any).login("anna", "correct horse 42", "desk")
	anna.protocols = []string{"xmpp-client"}
	if _, err := anna.try(t); err == nil {
		t.Error("signed in with channel binding where there is none")
	}
	anna.untied = true
	anna.in(t).lives()
}

// behind dials the way a proxy does that brings somebody.
func behind(addr, client string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_, err = fmt.Fprintf(c, "PROXY TCP4 %s 127.0.0.1 12345 443\r\n", client)
		}
		return c, err
	}
}

// Behind a proxy it is the client that is looked at: who is locked out, who may see figures.
func TestPROXYProtocol(t *testing.T) {
	t.Parallel()
	d := ported(t, `{ address = "127.0.0.1:0", for = "any", proxy_protocol = true }, { address = "127.0.0.1:0", for = "tls" }`,
		"-set", `trusted_proxies="127.0.0.1"`, "-set", `admin.networks="192.0.2.0/24"`, "-set", "auth.lockout_failures=1", "-set", "log.level=debug")
	from := func(client, password string) login {
		l := d.login("anna", password, "desk")
		l.protocols, l.dial = []string{"xmpp-client"}, behind(d.any, client)
		return l
	}
	for _, password := range []string{"wrong horse 42", "correct horse 42"} { // the first locks her out there
		if _, err := from("192.0.2.7", password).try(t); err == nil {
			t.Errorf("signed in with %s", password)
		}
	}
	from("192.0.2.8", "correct horse 42").in(t).lives()
	d.says("peer=192.0.2.8:12345")

	for _, c := range []struct {
		client string
		status int
	}{{"192.0.2.7", http.StatusOK}, {"127.0.0.1", http.StatusNotFound}, {"198.51.100.1", http.StatusNotFound}} {
		dial := behind(d.any, c.client)
		client := http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			TLSClientConfig:   &tls.Config{RootCAs: d.roots(), ServerName: "desk.example"},
		}}
		resp, err := client.Get("https://desk.example/metrics")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("/metrics for %s: %d, want %d", c.client, resp.StatusCode, c.status)
		}
	}

	// From elsewhere, and where no proxy is expected, it is not even a handshake.
	for _, c := range []struct{ from, to string }{{"127.0.0.2", d.any}, {"127.0.0.1", d.tls}} {
		conn := dialFrom(t, c.from, c.to)
		if _, err := io.WriteString(conn, "PROXY TCP4 192.0.2.7 127.0.0.1 12345 443\r\n"); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if len(got) > 7 || len(got) > 0 && got[0] != 21 || err != nil && isTimeout(err) {
			t.Errorf("a PROXY header from %s to %s: %q, %v", c.from, c.to, got, err)
		}
	}
}

// Who is forwarded by a trusted proxy counts as himself; nobody else can pretend anything.
func TestForwardedForOperators(t *testing.T) {
	t.Parallel()
	d := ported(t, `{ address = "127.0.0.1:0", for = "https" }`,
		"-set", `trusted_proxies="127.0.0.9"`, "-set", `admin.networks=["127.0.0.0/8", "192.0.2.0/24"]`)
	for _, c := range []struct {
		from, header, value string
		status              int
	}{
		{"127.0.0.9", "X-Forwarded-For", "192.0.2.7", http.StatusOK},
		{"127.0.0.9", "X-Forwarded-For", "198.51.100.1", http.StatusNotFound},
		{"127.0.0.9", "X-Forwarded-For", "127.0.0.1, 198.51.100.1", http.StatusNotFound},
		{"127.0.0.9", "X-Forwarded-For", "nobody", http.StatusNotFound},
		{"127.0.0.9", "Forwarded", "for=198.51.100.1", http.StatusOK}, // not the header that is believed
		{"127.0.0.8", "X-Forwarded-For", "198.51.100.1", http.StatusOK},
	} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
		client := http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true, DialContext: dialer.DialContext,
			TLSClientConfig: &tls.Config{RootCAs: d.roots(), ServerName: "desk.example"},
		}}
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+d.https+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(c.header, c.value)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("/metrics from %s with %s: %s: %d, want %d", c.from, c.header, c.value, resp.StatusCode, c.status)
		}
	}
}

// VIV-3: what is asked in clear is sent to https, and nothing else is said.
func TestRedirect(t *testing.T) {
	t.Parallel()
	d := ported(t, `{ address = "127.0.0.1:0", for = "https" }`, "-set", `listen.redirect="127.0.0.1:0"`)
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range []struct {
		method, path, host string
		status             int
		want               string
	}{
		{"GET", "/", "desk.example", http.StatusPermanentRedirect, "https://desk.example/"},
		{"POST", "/v1/x?y=z", "Desk.example:80", http.StatusPermanentRedirect, "https://desk.example/v1/x?y=z"},
		{"GET", "/metrics", "desk.example", http.StatusPermanentRedirect, "https://desk.example/metrics"},
		{"GET", "/.well-known/acme-challenge/x", "desk.example", http.StatusPermanentRedirect, "https://desk.example/.well-known/acme-challenge/x"},
		{"GET", "//elsewhere.example/%2e%2e", "desk.example", http.StatusPermanentRedirect, "https://desk.example//elsewhere.example/%2e%2e"},
		{"GET", "/", "desk.example@elsewhere.example", http.StatusBadRequest, ""},
		{"GET", "/", "a/b", http.StatusBadRequest, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+d.redirect+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); resp.StatusCode != c.status || got != c.want {
			t.Errorf("%s %s of %s: %d to %q, want %d to %q", c.method, c.path, c.host, resp.StatusCode, got, c.status, c.want)
		}
	}
}

// A webhook reaches none of the ports, of whatever kind.
func TestOwnPorts(t *testing.T) {
	t.Parallel()
	d, config := quickstarted(t, "-starttls", "", "-tls", "", "-https", "", "-set", `listen.redirect="127.0.0.1:0"`,
		"-set", `trusted_proxies="127.0.0.1"`, "-set", `listener=[{ address = "127.0.0.1:0", for = "any", proxy_protocol = true }]`, "desk.example")
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(d, err)
	}
	s := &server{log: slog.New(slog.DiscardHandler)}
	w := realWorld
	w.control = func(string) (net.Listener, error) { return nil, nil }
	if err := s.listenAll(f, w); err != nil {
		t.Fatal(err)
	}
	if n := len(s.allListeners()); n != 2 {
		t.Errorf("%d listeners, want two", n)
	}
	for _, l := range s.allListeners() {
		if !s.own(netip.MustParseAddrPort(l.Addr().String())) {
			t.Errorf("%s is not its own", l.Addr())
		}
		l.Close()
	}
}
