package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// probed runs 'parley probe' and returns its exit code and its one line.
func probed(t *testing.T, args ...string) (code int, line string) {
	t.Helper()
	out, prose, err := typed(t, "", append([]string{"probe"}, args...)...)
	if err != nil {
		code = exitCode(err)
	}
	if code == probeUnknown && out == "" {
		return code, prose // it did not come to looking
	}
	if prose != "" || strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") {
		t.Errorf("probe %q says %q, and %q", args, out, prose)
	}
	if want := fmt.Sprintf("PARLEY %s - ", probeWords[code]); !strings.HasPrefix(out, want) {
		t.Errorf("exit code %d, and %s", code, out)
	}
	return code, strings.TrimSuffix(out, "\n")
}

// perfdata is what monitoring plugins' guidelines have behind the bar.
var perfdata = regexp.MustCompile(`^PARLEY [A-Z]+ - [^|\n]+ \|( [a-z]+=-?[0-9.]+(s|c)?(;[0-9]*:?;[0-9]*:?)?)+$`)

// WCP-23: all three kinds of listeners, the certificate's end, whether stores take writes.
func TestProbe(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config, ca := filepath.Join(d.dir, "parley.toml"), filepath.Join(d.dir, "tls/ca.pem")
	all := []string{"-config", config, "-ca", ca, "-url", "https://" + d.https, "-tls", d.tls, "-starttls", d.starttls}
	with := func(more ...string) []string { return append(all[:len(all):len(all)], more...) }
	check := func(wantCode int, want string, args ...string) {
		t.Helper()
		code, line := probed(t, args...)
		if code != wantCode || !strings.Contains(line, want) {
			t.Errorf("probe: %d %s, want %d %s", code, line, wantCode, want)
		}
		if strings.HasPrefix(line, "PARLEY") && !perfdata.MatchString(line) {
			t.Errorf("not what a monitoring system reads: %s", line)
		}
	}
	check(probeOK, "https "+d.https+", tls "+d.tls+", starttls "+d.starttls+", certificates good for", all...)
	check(probeOK, "sessions=0", all...)
	check(probeOK, "unavailable=0;;0", all...)
	check(probeWarning, "a certificate ends on 20", with("-warning", "36500d")...)
	check(probeCritical, "a certificate ends on 20", with("-critical", "36500d")...)
	check(probeOK, "tls "+d.tls, "-ca", ca, "-host", "desk.example", "-tls", d.tls)

	// What does not answer as it should.
	check(probeCritical, "certificate is valid for", with("-host", "other.example")...)
	check(probeCritical, "tls "+d.tls+": TLS: x509: certificate signed by unknown authority", "-config", config, "-tls", d.tls)
	check(probeCritical, "TLS: ", "-config", config, "-ca", ca, "-tls", d.starttls, "-timeout", "1s")
	check(probeCritical, "starttls "+d.https, "-config", config, "-ca", ca, "-starttls", d.https)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	check(probeCritical, "connection refused", with("-tls", closed.Addr().String())...)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	check(probeCritical, "tls "+silent.Addr().String(), "-config", config, "-tls", silent.Addr().String(), "-timeout", "300ms")
	check(probeCritical, "starttls "+silent.Addr().String(), "-config", config, "-starttls", silent.Addr().String(), "-timeout", "300ms")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}

	// Typed wrongly, or with nothing to go by.
	check(probeUnknown, "there is no option -frob", "-frob")
	check(probeUnknown, "-warning: ", with("-warning", "soon")...)
	check(probeUnknown, "not a URL such as", with("-url", "http://desk.example")...)
	check(probeUnknown, "no such file", "-config", filepath.Join(d.dir, "nothing.toml"))
	check(probeUnknown, "no such file", with("-ca", filepath.Join(d.dir, "nothing.pem"))...)

	// A full disk.
	anna := d.login("anna", "correct horse 42", "desk").in(t)
	anna.send("<message to='ben@desk.example' id='before' type='chat'><body>x</body></message>")
	anna.rest()
	limitFiles(t, d, 0)
	anna.send("<message to='ben@desk.example' id='m' type='chat'><body>x</body></message>")
	anna.message("m")
	check(probeCritical, "not ready: account desk: no room", all...)
	limitFiles(t, d, unix.RLIM_INFINITY)
	eventually(t, "the store takes writes again", func() bool { code, _ := probed(t, all...); return code == probeOK })
}

// Somebody else's network gets no figures, and the probe says so instead of guessing.
func TestProbeFromElsewhere(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", `admin.networks=["192.0.2.0/24"]`)
	code, line := probed(t, "-config", filepath.Join(d.dir, "parley.toml"), "-ca", filepath.Join(d.dir, "tls/ca.pem"), "-url", "https://"+d.https)
	if code != probeUnknown || !strings.Contains(line, "/readyz is not for this machine") {
		t.Errorf("%d %s", code, line)
	}
}

// The age of backups is looked at where there are any; a server that says too much, or
// nonsense, is no trouble.
func TestProbeOfFigures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, metrics string
		code          int
		want          string
	}{
		{"none", "parley_sessions 3\n", probeOK, "sessions=3"},
		{"young", "parley_backup_age_seconds{target=\"a\",of=\"data\"} 100\nparley_backup_age_seconds{target=\"b\",of=\"keys\"} 200\n", probeOK, "backups 3m20s old"},
		{"old", "parley_backup_age_seconds{target=\"a\",of=\"data\"} 4000\n", probeWarning, `the newest backup {target="a",of="data"} is 1h6m40s old`},
		{"too old", "parley_backup_age_seconds{target=\"a|b\"} 90000\n", probeCritical, `{target="a/b"} is 25h0m0s old`},
		{"nonsense", "parley_sessions\nparley_sessions x\n \n" + strings.Repeat("x", 2<<20), probeOK, "https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, config := quickstarted(t, "desk.example")
			cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls/cert.pem"), filepath.Join(dir, "tls/key.pem"))
			if err != nil {
				t.Fatal(err)
			}
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/metrics" {
					fmt.Fprint(w, c.metrics)
				}
			})}
			ended := make(chan struct{})
			go func() { // ends with Close
				defer close(ended)
				_ = s.Serve(l) // which says that it was closed
			}()
			defer func() { s.Close(); <-ended }()
			code, line := probed(t, "-config", config, "-ca", filepath.Join(dir, "tls/ca.pem"), "-url", "https://"+l.Addr().String())
			if code != c.code || !strings.Contains(line, c.want) {
				t.Errorf("%d %s, want %d %s", code, line, c.code, c.want)
			}
		})
	}
}

// Which listeners there are says the whole configuration: [listen] and [[listener]]. Those
// behind a proxy would answer it only.
func TestProbeOfTheConfiguration(t *testing.T) {
	t.Parallel()
	d := ported(t, `{ address = "127.0.0.1:0", for = "any" }, { address = "127.0.0.1:0", for = "tls", proxy_protocol = true }`, "-set", `trusted_proxies="127.0.0.2"`)
	ca := filepath.Join(d.dir, "tls/ca.pem")
	_, options := safes(t, t.TempDir(), "5m")
	// As the configuration would be with the ports that the server has chosen.
	listening := func(more string, options ...string) []string {
		args := []string{"-config", filepath.Join(d.dir, "parley.toml"), "-ca", ca, "-set", "listener=[" + more + "]"}
		for _, o := range options {
			args = append(args, "-set", o)
		}
		return args
	}
	proxied := `{ address = "127.0.0.1:1", for = "https", proxy_protocol = true }`
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"both", listening(fmt.Sprintf(`{ address = %q, for = "any" }, %s`, d.any, proxied)), probeOK, "- tls " + d.any + ", https " + d.any + ", certificates good"},
		{"none without a proxy", listening(proxied), probeUnknown, "no listener answers without a proxy"},
		{"copies that are not made", listening(fmt.Sprintf(`{ address = %q, for = "any" }`, d.any), options...), probeWarning, "the server makes no copies, although they are configured"},
		{"copies that nobody asks for", listening(fmt.Sprintf(`{ address = %q, for = "tls" }, %s`, d.any, proxied), options...), probeUnknown, "no listener for HTTPS tells how old the copies are"},
	} {
		if code, line := probed(t, c.args...); code != c.code || !strings.Contains(line, c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.name, code, line, c.code, c.want)
		}
	}
}

// How old copies are is told of a server that makes them.
func TestProbeOfBackups(t *testing.T) {
	t.Parallel()
	_, options := safes(t, t.TempDir(), "5m")
	var sets []string
	for _, o := range options {
		sets = append(sets, "-set", o)
	}
	d := healthy(t, sets...)
	config := filepath.Join(d.dir, "parley.toml")
	must(t, "", "backup", "-config", config)
	code, line := probed(t, "-config", config, "-ca", filepath.Join(d.dir, "tls/ca.pem"), "-url", "https://"+d.https)
	if code != probeOK || !strings.Contains(line, "- backups ") || !strings.Contains(line, " backup=") {
		t.Errorf("%d %s", code, line)
	}
}
