package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// needs skips a test on a user's machine that has not these programs; CI has them.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", p)
			}
			t.Skipf("this needs %s", p)
		}
	}
}

// tunnel is a proxy for which desk.example is this machine.
func tunnel(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, port, err := net.SplitHostPort(r.Host)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, "not a CONNECT", http.StatusBadRequest)
			return
		}
		there, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return
		}
		var both sync.WaitGroup
		both.Go(func() {
			io.Copy(there, buffered)
			there.(*net.TCPConn).CloseWrite()
		})
		io.Copy(here, there)
		here.Close()
		both.Wait()
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// The commands of docs/api.md do what it says, as they are written there.
func TestAPIDocs(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "curl", "openssl")
	d := visited(t)
	started := time.Now().Unix()
	eventually(t, "the second of the start is over: what is signed in it is refused", func() bool { return time.Now().Unix() > started })
	d.say("anna", "ben", "one", "two")
	_, port, err := net.SplitHostPort(d.https)
	if err != nil {
		t.Fatal(err)
	}
	page := pages(t)["docs/api.md"]
	dir := t.TempDir()
	binary, err := builtParley()
	if err != nil {
		t.Fatal(err)
	}
	example := filepath.Join(dir, "example.go")
	if blocks := blocksOf(page, "go"); len(blocks) != 1 {
		t.Fatalf("%d examples in Go, want 1", len(blocks))
	} else if err := os.WriteFile(example, []byte(blocks[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`set -eu
parley() { command=$1 sub=$2; shift 2; %s=1 %q "$command" "$sub" -config %q "$@"; }
curl() { command curl --cacert %q --resolve desk.example:%s:127.0.0.1 "$@"; }
`, beParley, binary, filepath.Join(d.dir, "parley.toml"), filepath.Join(d.dir, "tls/ca.pem"), port) +
		strings.ReplaceAll(strings.Join(blocksOf(page, "sh"), "\n"), ":8443/", ":"+port+"/") +
		fmt.Sprintf("\nexport API KEY2 SECRET2 SSL_CERT_FILE=%q\ngo build -o example %q\nHTTPS_PROXY=%s ./example\n", filepath.Join(d.dir, "tls/ca.pem"), example, tunnel(t))
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"cleo@desk.example"`, `"payload":"thin"`, "Signature Verified Successfully"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output has no %s:\n%s", want, out)
		}
	}
	// The answers on the page are those that came.
	for _, want := range blocksOf(page, "json") {
		if !regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", `[^"]+`)).Match(out) {
			t.Errorf("no answer is\n%s\nin\n%s", want, out)
		}
	}
}

// docs/api.md lists every route, and who may ask for it.
func TestAPIDocsListRoutes(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	var want strings.Builder
	for _, r := range d.api("-role", "auditor").routes() {
		scope, role, _ := strings.Cut(permitted[r.id], " ")
		line := fmt.Sprintf("| `%s` | `%s %s` | `%s` | %s |\n", r.id, r.method, r.path, scope, role)
		if !strings.Contains(pages(t)["docs/api.md"], line) {
			want.WriteString(line)
		}
	}
	if want.Len() > 0 {
		t.Errorf("docs/api.md misses:\n%s", want.String())
	}
}
