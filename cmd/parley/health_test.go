package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/xmppd"
	"parley.im/parley/xmppd/web"
)

// healthy serves an installation with all three kinds of listeners and two agents.
func healthy(t *testing.T, options ...string) *daemon {
	t.Helper()
	dir, config := quickstarted(t, append(options, "-starttls", "127.0.0.1:0", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")...)
	must(t, "anna@desk.example\tcorrect horse 42\nben@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	return startDaemon(t, dir)
}

// Whether the server lives is for everybody; what it does is for the operator's
// networks. To others those pages are as any that is not there.
func TestHealthPages(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", `admin.networks=["127.0.0.1/32"]`)
	_, nowhere := d.getFrom("127.0.0.2", "/nowhere")
	for _, c := range []struct {
		from, path string
		status     int
		want       string
	}{
		{"127.0.0.1", "/healthz", http.StatusOK, "ok\n"},
		{"127.0.0.2", "/healthz", http.StatusOK, "ok\n"},
		{"127.0.0.1", "/readyz", http.StatusOK, "ready\n"},
		{"127.0.0.2", "/readyz", http.StatusNotFound, nowhere},
		{"127.0.0.2", "/metrics", http.StatusNotFound, nowhere},
		{"127.0.0.1", "/nowhere", http.StatusNotFound, nowhere},
	} {
		if status, body := d.getFrom(c.from, c.path); status != c.status || body != c.want {
			t.Errorf("%s for %s: %d %q, want %d %q", c.path, c.from, status, body, c.status, c.want)
		}
	}
	if status, body := d.getFrom("127.0.0.1", "/metrics"); status != http.StatusOK || len(figures(t, body)) == 0 {
		t.Errorf("/metrics for the operator: %d %q", status, body)
	}
}

// sample is a line of Prometheus' text format that holds a figure: a name, perhaps
// labels, a value, perhaps a time.
var sample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:, ?[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*")*\})?) (\S+)(?: -?\d+)?$`)

// figures reads Prometheus' text format.
func figures(t *testing.T, text string) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		if !ended {
			t.Errorf("the last line has no end: %q", line)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a line of Prometheus' text format: %q", line)
			continue
		}
		value, err := strconv.ParseFloat(m[2], 64)
		if _, twice := all[m[1]]; err != nil || twice {
			t.Errorf("%q: %v, or told twice", line, err)
		}
		all[m[1]] = value
	}
	return all
}

// figures asks the server.
func (d *daemon) figures() map[string]float64 {
	d.t.Helper()
	status, body := d.get("/metrics")
	if status != http.StatusOK {
		d.t.Fatalf("/metrics: %d %s", status, body)
	}
	return figures(d.t, body)
}

// The figures follow what happens.
func TestMetricsMove(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	moved := func(what string, before map[string]float64, want map[string]float64) {
		t.Helper()
		after := d.figures()
		for name, by := range want {
			was, known := before[name]
			if is := after[name]; !known || is-was != by {
				t.Errorf("%s: %s went from %v to %v, want %v more", what, name, was, is, by)
			}
		}
	}
	start := d.figures()
	anna := d.login("anna", "correct horse 42", "desk").in(t)
	ben := d.login("ben", "correct horse 42", "desk").in(t)
	ben.available("")
	moved("two agents", start, map[string]float64{"parley_sessions": 2, "parley_sign_ins_total": 2, "parley_connections_total": 2, "parley_messages_total": 0})

	before := d.figures()
	for _, id := range []string{"m1", "m2", "m3"} {
		anna.send("<message to='ben@desk.example' id='%s' type='chat'><body>x</body></message>", id)
		ben.message(id)
	}
	moved("three messages", before, map[string]float64{"parley_messages_total": 3, "parley_sessions": 0, "parley_sign_in_failures_total": 0})
	if more := d.figures()["parley_log_records"] - before["parley_log_records"]; more < 3 {
		t.Errorf("three messages: %v more records in the log", more)
	}

	before = d.figures()
	wrong := d.login("anna", "wrong horse 42", "desk")
	if _, err := wrong.try(t); err == nil {
		t.Error("signed in with a wrong password")
	}
	moved("a wrong password", before, map[string]float64{"parley_sign_in_failures_total": 1, "parley_sign_ins_total": 0})

	anna.send("</stream:stream>")
	if e := anna.next(); e != nil {
		t.Errorf("the stream's end is answered with %s", e)
	}
	eventually(t, "one session less", func() bool { return d.figures()["parley_sessions"] == start["parley_sessions"]+1 })
	if d.figures()["parley_stores_unavailable"] != 0 {
		t.Error("a store is unavailable")
	}
}

// VIV-1, VIV-2, I1: whoever speaks in clear is not answered by TLS ports; the port for
// STARTTLS offers that and refuses everything else.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	const header = "<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	for name, text := range map[string]string{
		"HTTP":      "GET /healthz HTTP/1.1\r\nHost: desk.example\r\n\r\n",
		"HTTP/2":    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a post":    "POST / HTTP/1.1\r\nHost: desk.example\r\nContent-Length: 1\r\n\r\nx",
		"a stream":  header,
		"SSL 2":     "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
		"nonsense":  "nonsense\r\n\r\n",
		"line ends": "\r\n\r\n\r\n",
		"zeroes":    strings.Repeat("\x00", 64),
	} {
		for port, addr := range map[string]string{"tls": d.tls, "https": d.https} {
			// At most an alert, a record of TLS (RFC 8446 §6).
			if got := inClear(t, addr, text); got != "" && (len(got) != 7 || got[0] != 21) {
				t.Errorf("%s on the port for %s is answered with %q, want nothing", name, port, got)
			}
		}
	}
	for name, text := range map[string]string{
		"HTTP":         "GET /healthz HTTP/1.1\r\nHost: desk.example\r\n\r\n",
		"TLS":          "\x16\x03\x01\x00\x05hello",
		"a message":    header + "<message to='anna@desk.example'><body>x</body></message>",
		"signing in":   header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFubmEAeA==</auth>",
		"binding":      header + "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
		"registration": header + "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>",
	} {
		got := inClear(t, d.starttls, text)
		if !strings.Contains(got, "<stream:error>") || !strings.HasSuffix(got, "</stream:error></stream:stream>") {
			t.Errorf("%s on the port for STARTTLS is answered with %q, want a stream error and the end", name, got)
		}
		for _, offer := range []string{"HTTP/1", "mechanism", "<bind", "<success", "<failure", "<iq", "<message"} {
			if strings.Contains(got, offer) {
				t.Errorf("%s on the port for STARTTLS is answered with %q", name, got)
			}
		}
		if strings.HasPrefix(text, header) && !strings.Contains(got, "<policy-violation ") {
			t.Errorf("%s on the port for STARTTLS is answered with %q, want policy-violation", name, got)
		}
	}
	if status, _ := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz over TLS: %d", status)
	}
}

// Where a handshake fails or never comes, nobody is there with whom a word could be
// exchanged: RFC 6120 §5.4.3.2, and I1.
func TestNothingWithoutAHandshake(t *testing.T) {
	t.Parallel()
	const header = "<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	const starttls = header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for _, text := range []string{"", "<iq/>", "\x16\x03\x01\x00\x05hello", header} {
			for port, before := range map[string]string{talkTLS: "", talkStartTLS: starttls} {
				conn, err := s.net.dial(t.Context(), port)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go io.WriteString(conn, before+text) // ends with the connection
				all, err := io.ReadAll(conn)
				if err != nil {
					t.Error(err)
				}
				got := string(all)
				if before != "" {
					_, got, _ = strings.Cut(got, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
				}
				if got != "" && (len(got) != 7 || got[0] != 21) { // at most an alert of TLS
					t.Errorf("%q on %s, and no handshake: %q", text, port, got)
				}
			}
		}
	})
}

// inClear sends bytes and returns all that comes back until the server closes.
func inClear(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Less than what any of the server's own deadlines gives.
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // it did not read everything
		t.Errorf("%q on %s: not closed: %v", text, addr, err)
	}
	return string(got)
}

// SMO-2: what is older than TLS 1.2 is refused on every port.
func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	for port, addr := range map[string]string{"tls": d.tls, "https": d.https} {
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
			conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: d.roots(), ServerName: "desk.example", MinVersion: version, MaxVersion: version})
			if err == nil {
				conn.Close()
			}
			if good := version >= tls.VersionTLS12; good != (err == nil) {
				t.Errorf("%s on the port for %s: %v", tls.VersionName(version), port, err)
			}
		}
	}
}

// A webhook cannot be made to speak to the server itself, also where loopback is
// allowed (VIV-5).
func TestWebhooksNeverReachTheServer(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", `webhook.allow=["127.0.0.0/8", "::1/128", "::ffff:0:0/96"]`)
	config := d.dir + "/parley.toml"
	for _, addr := range []string{d.starttls, d.tls, d.https} {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "localhost"} {
			var hook web.WebhookInfo
			answer := must(t, "", "webhook", "add", "-json", "-config", config, "-events", "webhook.test", "-url", "https://"+host+":"+port+"/")
			if err := json.Unmarshal([]byte(answer), &hook); err != nil {
				t.Fatal(err)
			}
			must(t, "", "webhook", "test", "-config", config, hook.ID)
			var tried []web.DeliveryInfo
			eventually(t, "an attempt at "+hook.URL, func() bool {
				if err := json.Unmarshal([]byte(must(t, "", "webhook", "deliveries", "-json", "-config", config, hook.ID)), &tried); err != nil {
					t.Fatal(err)
				}
				return len(tried) > 0
			})
			if got := tried[0]; got.Status != 0 || !strings.Contains(got.Err, "this server itself listens there") {
				t.Errorf("%s: %+v, want a refusal", hook.URL, got)
			}
			must(t, "", "webhook", "delete", "-config", config, hook.ID)
		}
	}
}

// A listener on all addresses is the server's own on each of them.
func TestOwnAddresses(t *testing.T) {
	all, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer all.Close()
	one, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	s := &server{httpsOn: []net.Listener{all}, xmppOn: []xmppd.Port{{Listener: one, Direct: true}}}
	port := func(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }
	for _, c := range []struct {
		addr string
		port uint16
		want bool
	}{
		{"127.0.0.1", port(all), true},
		{"127.0.0.7", port(all), true},
		{"::1", port(all), true},
		{"::", port(all), true},
		{"0.0.0.0", port(all), true},
		{"::ffff:127.0.0.1", port(all), true},
		{"192.0.2.1", port(all), false}, // somebody else's
		{"127.0.0.1", port(one), true},
		{"::ffff:127.0.0.1", port(one), true},
		{"127.0.0.7", port(one), false},
		{"::1", port(one), false},
		{"127.0.0.1", 1, false},
	} {
		if got := s.own(netip.AddrPortFrom(netip.MustParseAddr(c.addr), c.port)); got != c.want {
			t.Errorf("own(%s, port %d) = %v, want %v", c.addr, c.port, got, c.want)
		}
	}
}
