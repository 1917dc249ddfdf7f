package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/conf"
)

// The ports of docs/proxies, as they are at the proxy and at Parley alike.
var proxyPorts = []string{"443", "5222", "5223", "8443"}

// A front is Parley behind one of the proxies of docs/proxies.
type front struct {
	*daemon
	port map[string]string // where the proxy listens, by the port of docs/proxies
}

// docsProxy reads a file of docs/proxies and puts this machine's addresses and files into it.
// Each of them has to be there.
func docsProxy(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/proxies", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			t.Errorf("%s has no %q", name, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(text))
}

// ways are the ports of docs/proxies as they are on this machine.
type ways struct {
	port            map[string]string // where the proxy listens, by the port of docs/proxies
	inside, outside []string          // pairs for docsProxy: for parley.toml, and for the proxy's file
}

func newWays(t *testing.T, listens func(port string) string) *ways {
	t.Helper()
	w := &ways{port: make(map[string]string), inside: []string{"10.1.0.4", "127.0.0.1"}}
	free := freeAddresses(t, 2*len(proxyPorts))
	for i, port := range proxyPorts {
		addr, proxy := free[2*i], free[2*i+1]
		w.port[port] = proxy
		w.inside = append(w.inside, `"10.1.0.5:`+port+`"`, `"`+addr+`"`)
		w.outside = append(w.outside, "10.1.0.5:"+port, addr, listens(port), listens(proxy))
	}
	return w
}

// configure puts what docs/proxies/parley.toml has around a configuration that has no listeners
// of its own, and more options at its top.
func (w *ways) configure(t *testing.T, before, options string) string {
	t.Helper()
	// The top's options come before the first table.
	top, tables, _ := strings.Cut(docsProxy(t, "parley.toml", w.inside...), "[listen]")
	return top + options + before + "\n[listen]" + tables
}

// start returns when the proxy listens; it ends with the test. told is what to print then if that
// has failed.
func (w *ways) start(t *testing.T, cmd *exec.Cmd, told func() string) {
	t.Helper()
	said := new(screen)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("%s: %s\nparley: %s", cmd.Path, said, told())
		}
	})
	for _, addr := range w.port {
		eventually(t, cmd.Path+" listens", func() bool {
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
}

// behindProxy starts Parley with docs/proxies/parley.toml, and the proxy before it.
func behindProxy(t *testing.T, config string, listens func(port string) string, files func(dir string) []string, run func(dir, file string) *exec.Cmd) *front {
	t.Helper()
	dir, path := quickstarted(t, "desk.example")
	must(t, "anna@desk.example\tcorrect horse 42\n", "agent", "import", "-config", path)
	w := newWays(t, listens)
	text := w.configure(t, contentsOf(t, path), "admin = { networks = '127.0.0.3' }\nlog = { level = 'debug' }\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	both := contentsOf(t, filepath.Join(dir, "tls/cert.pem")) + contentsOf(t, filepath.Join(dir, "tls/key.pem"))
	file := filepath.Join(dir, config)
	for path, text := range map[string]string{filepath.Join(dir, "tls/both.pem"): both, file: docsProxy(t, config, append(files(dir), w.outside...)...)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &front{startDaemon(t, dir), w.port}
	w.start(t, run(dir, file), f.log)
	return f
}

// What docs/operations.md, docs/routing.md and docs/proxies say to put into parley.toml has no faults.
func TestOperationsConfigurations(t *testing.T) {
	t.Parallel()
	texts := append(blocksOf(pages(t)["docs/operations.md"], "toml"), docsProxy(t, "parley.toml"))
	texts = append(texts, blocksOf(pages(t)["docs/routing.md"], "toml")...)
	for _, text := range texts {
		if _, err := conf.Parse("parley.toml", []byte(text), nil); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	if len(texts) < 3 {
		t.Errorf("%d configurations, want three at least", len(texts))
	}
}

// through is what holds behind each of the proxies: an agent's client signs in through each port,
// the server sees where it is, and offers what can work.
func (f *front) through(t *testing.T) {
	t.Helper()
	const client = "127.0.0.3"
	for _, c := range []struct {
		port     string
		bindable bool
	}{{"443", true}, {"5223", false}} {
		dial := func(context.Context) (net.Conn, error) { return dialFrom(t, client, f.port[c.port]), nil }
		if got := bindable(t, f.featuresOn(dialFrom(t, client, f.port[c.port]))); got != c.bindable {
			t.Errorf("port %s: channel binding is offered: %t, want %t", c.port, got, c.bindable)
		}
		anna := f.login("anna", "correct horse 42", "desk"+c.port)
		anna.dial, anna.protocols = dial, []string{"xmpp-client"}
		if _, err := anna.try(t); (err == nil) != c.bindable {
			t.Errorf("port %s: bound to the connection: %v, want it to work: %t", c.port, err, c.bindable)
		}
		anna.untied = true
		j := anna.in(t)
		j.lives()
		from := j.conn.NetConn().LocalAddr().String()
		f.says(`msg="signed in" peer=` + from + " ")
	}
	// STARTTLS is offered in clear, and goes through.
	if got := inClear(t, f.port["5222"], "<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'></stream:stream>"); !strings.Contains(got, "<starttls ") {
		t.Errorf("port 5222: %s", got)
	}
	// The figures are for 127.0.0.3 alone, whichever way it comes, and whatever it says.
	for _, port := range []string{"443", "8443"} {
		for from, want := range map[string]int{client: http.StatusOK, "127.0.0.2": http.StatusNotFound} {
			client := http.Client{Timeout: patience, Transport: &http.Transport{
				DisableKeepAlives: true,
				DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
				TLSClientConfig:   &tls.Config{RootCAs: f.roots(), ServerName: "desk.example"},
			}}
			r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+f.port[port]+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "desk.example"
			if want == http.StatusNotFound {
				r.Header.Set("X-Forwarded-For", "127.0.0.3")
				r.Header.Set("Forwarded", "for=127.0.0.3")
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Errorf("port %s: %v", port, err)
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("port %s: /metrics for %s: %d, want %d", port, from, resp.StatusCode, want)
			}
		}
	}
}

func program(t *testing.T, name, packages string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missingTool(t, name+" is not here; on Debian: apt-get install "+packages)
	}
	return path
}

// docs/proxies/haproxy.cfg does what docs/operations.md says.
func TestBehindHAProxy(t *testing.T) { behindHAProxy(t).through(t) }

func behindHAProxy(t *testing.T) *front {
	t.Helper()
	haproxy := program(t, "haproxy", "haproxy")
	files := func(dir string) []string {
		return []string{"/etc/haproxy/desk.example.pem", filepath.Join(dir, "tls/both.pem"), "/etc/haproxy/parley-ca.pem", filepath.Join(dir, "tls/ca.pem")}
	}
	return behindProxy(t, "haproxy.cfg", haproxyListens, files, func(_, file string) *exec.Cmd {
		return exec.Command(haproxy, "-db", "-f", file)
	})
}

// haproxyListens is how haproxy.cfg says where it listens: at a port, or at an address.
func haproxyListens(at string) string {
	if strings.Contains(at, ":") {
		return "bind " + at
	}
	return "bind :" + at
}

// docs/proxies/nginx.conf does what docs/operations.md says.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	nginx := program(t, "nginx", "nginx libnginx-mod-stream")
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		missingTool(t, "nginx is here without its stream module; on Debian: apt-get install libnginx-mod-stream")
	}
	files := func(dir string) []string {
		temp := ""
		for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			temp += "\n\t" + what + "_temp_path " + filepath.Join(dir, "temp-"+what) + ";"
		}
		return []string{
			"/etc/nginx/desk.example.pem", filepath.Join(dir, "tls/cert.pem"), "/etc/nginx/desk.example.key", filepath.Join(dir, "tls/key.pem"),
			"/etc/nginx/parley-ca.pem", filepath.Join(dir, "tls/ca.pem"), "modules/ngx_stream_module.so", module,
			"http {", "http {\n\taccess_log off;" + temp,
		}
	}
	behindProxy(t, "nginx.conf", func(at string) string { return "listen " + at }, files, func(dir, file string) *exec.Cmd {
		options := "daemon off; master_process off; pid " + filepath.Join(dir, "nginx.pid") + "; error_log stderr;"
		return exec.Command(nginx, "-p", dir, "-c", file, "-g", options)
	}).through(t)
}
