package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What a release consists of is the same wherever it is built, tells what is in it, and
// works once it is installed.
func TestRelease(t *testing.T) {
	if os.Getenv("PARLEY_TEST_ALL") == "" {
		t.Skip("building a release takes minutes; PARLEY_TEST_ALL=1 does it")
	}
	t.Parallel()
	needs(t, "git", "objdump", "dpkg-deb")
	dist := releaseFrom(t, root, "TZ=UTC")
	names := fileNames(t, dist)
	deb := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".deb") {
			deb = filepath.Join(dist, name)
		}
	}
	if len(names) != 4 || filepath.Base(deb) != "parley_0.0.1_"+strings.TrimSpace(output(t, "go", "env", "GOARCH"))+".deb" {
		t.Fatalf("a release consists of %q", names)
	}

	t.Run("is reproducible", func(t *testing.T) {
		again := releaseFrom(t, anotherCopy(t), "TZ=Asia/Tokyo")
		if other := fileNames(t, again); !slices.Equal(other, names) {
			t.Fatalf("it consists of %q, elsewhere of %q", names, other)
		}
		for _, name := range names {
			if a, b := contentsOf(t, filepath.Join(dist, name)), contentsOf(t, filepath.Join(again, name)); a != b {
				t.Errorf("%s is another one elsewhere", name)
			}
		}
	})
	t.Run("has checksums", func(t *testing.T) { checksums(t, dist, names) })
	t.Run("tells what is in it", func(t *testing.T) { bill(t, dist, names) })
	t.Run("satisfies Debian", func(t *testing.T) {
		needs(t, "lintian")
		out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error", deb).CombinedOutput()
		if err != nil {
			t.Errorf("lintian: %v\n%s", err, out)
		}
	})
	t.Run("installs and runs", func(t *testing.T) { installed(t, deb) })
	t.Run("runs in a container", func(t *testing.T) { contained(t) })
}

// releaseFrom builds a release from the sources in dir.
func releaseFrom(t *testing.T, dir string, env ...string) (dist string) {
	t.Helper()
	dist = t.TempDir()
	cmd := exec.Command("make", "release", "DIST="+dist)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "VERSION=v0.0.1", "COMMIT=0123456789abcdef", "SOURCE_DATE_EPOCH=1764000000", "MAKEFLAGS="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return dist
}

// anotherCopy is the same sources in another folder, without git.
func anotherCopy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", `git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --ignore-failed-read -cf - | tar -C "$0" -xf -`, dir)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("copy the sources: %v\n%s", err, out)
	}
	return dir
}

func fileNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func contentsOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return string(out)
}

// checksums are of all files but their own.
func checksums(t *testing.T, dist string, names []string) {
	listed := 0
	for line := range strings.Lines(contentsOf(t, filepath.Join(dist, "parley_0.0.1_SHA256SUMS"))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got := sha256.Sum256([]byte(contentsOf(t, filepath.Join(dist, name))))
		if hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s has another sum than %s", name, sum)
		}
		listed++
	}
	if listed != len(names)-1 {
		t.Errorf("%d of %d files have checksums", listed, len(names)-1)
	}
}

// bill holds the bill of materials to the modules that go.mod names.
func bill(t *testing.T, dist string, names []string) {
	i := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, ".cdx.json") })
	if i < 0 {
		t.Fatalf("no bill of materials among %q", names)
	}
	var b struct {
		BomFormat  string
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal([]byte(contentsOf(t, filepath.Join(dist, names[i]))), &b); err != nil || b.BomFormat != "CycloneDX" {
		t.Fatalf("%s: %v, format %q", names[i], err, b.BomFormat)
	}
	has := make(map[string]string)
	for _, c := range b.Components {
		has[c.Name] = c.Version
	}
	for _, path := range []string{"mellium.im/xmpp", "github.com/mattn/go-sqlite3", "github.com/BurntSushi/toml"} {
		want := strings.TrimSpace(output(t, "go", "list", "-m", "-f", "{{.Version}}", path))
		if has[path] != want {
			t.Errorf("the bill has %s %q, want %s", path, has[path], want)
		}
	}
}

// installed does what docs/operations.md says for a fresh machine and for an upgrade, and
// then takes the package away again.
func installed(t *testing.T, deb string) {
	m := newMachine(t)
	lines := typedLines(contentsOf(t, root+"/docs/operations.md"), "Installing")
	want := []string{"apt install", "parley quickstart ", "parley check", "parley agent add ", "systemctl enable --now parley", "parley agent list "}
	if len(lines) < len(want) {
		t.Fatalf("installing takes %q: this test knows another way", lines)
	}
	for i, part := range want {
		if !strings.Contains(lines[i], part) {
			t.Fatalf("installing takes %q, where this test expects %q", lines[i], part)
		}
	}

	// What systemd, were it process 1 here, would be asked for. (Images of containers forbid
	// packages to ask.)
	m.do(`rm -f /usr/sbin/policy-rc.d && mkdir -p /run/systemd/system && printf '#!/bin/sh\necho "$@" >>/tmp/asked\n' >/usr/local/sbin/systemctl && chmod +x /usr/local/sbin/systemctl`)
	asked := func(when string, want ...string) {
		t.Helper()
		if got := strings.Fields(m.do("sed -nE 's/ (parley.service)$/:\\1/; /^[a-z-]*(start|stop):/p' /tmp/asked; rm /tmp/asked")); !slices.Equal(got, want) {
			t.Errorf("%s asks systemd for %q, want %q", when, got, want)
		}
	}

	// apt does this, and gets what is missing.
	m.put(deb)
	said := m.do("dpkg -i /tmp/" + filepath.Base(deb))
	if !strings.Contains(said, "not started") {
		t.Errorf("installing says %q", said)
	}
	asked("installing")
	if got := m.do("stat -c '%U %a %n' /etc/parley /etc/parley/accounts.d /var/lib/parley /var/lib/parley-keys"); got != "parley 750 /etc/parley\nparley 700 /etc/parley/accounts.d\nparley 700 /var/lib/parley\nparley 700 /var/lib/parley-keys\n" {
		t.Errorf("the folders are\n%s", got)
	}
	if got := m.do("parley version"); !strings.HasPrefix(got, "parley v0.0.1 (0123456789ab of 2025-11-24, go1.") {
		t.Errorf("version: %s", got)
	}
	if out := m.do("systemd-analyze verify --man=no parley.service"); strings.Contains(out, "parley.service") {
		t.Errorf("systemd-analyze verify: %s", out)
	}

	// The usual ports may be somebody else's here.
	m.do(lines[1] + " -starttls 127.0.0.1:0 -tls 127.0.0.1:0 -https 127.0.0.1:0")
	m.do(lines[2])
	typesPassword(t, m.command("exec "+lines[3]), "correct horse 42")
	s := m.service()
	if out := m.do(lines[5]); !strings.Contains(out, "anna") {
		t.Errorf("%s: %s", lines[5], out)
	}
	m.do("runuser -u parley -- parley account add -domain shop.desk.example shop")
	m.signIn(s)
	s.end()
	if got := m.do(`find /var/lib/parley /var/lib/parley-keys \( -not -user parley -o -perm /077 \) -not -type l`); got != "" {
		t.Errorf("others may look into\n%s", got)
	}
	if got := m.do("cd /var/lib/parley-keys && ls *.db && cd ../parley/data && ls -d accounts"); got != "desk.db\nshop.db\naccounts\n" {
		t.Errorf("keys and data are not where they should be:\n%s", got)
	}
	settled := m.do("cd /etc/parley && find . -type f -exec sha256sum {} + | sort")

	// An upgrade leaves everything as it is.
	if said := m.do("dpkg -i /tmp/" + filepath.Base(deb)); strings.Contains(said, "not started") {
		t.Errorf("an upgrade says %q", said)
	}
	asked("an upgrade", "try-restart:parley.service")
	s = m.service()
	m.signIn(s)
	s.end()

	// So does removing it, and it tells what is left.
	m.do("dpkg -r parley")
	asked("removing", "stop:parley.service")
	said = m.do("dpkg -P parley")
	for _, dir := range []string{"/etc/parley", "/var/lib/parley", "/var/lib/parley-keys", "/etc/parley/root.key"} {
		if !strings.Contains(said, dir+" ") {
			t.Errorf("purging says nothing of %s: %q", dir, said)
		}
	}
	if got := m.do("cd /etc/parley && find . -type f -exec sha256sum {} + | sort"); got != settled {
		t.Errorf("the configuration is\n%s\nand was\n%s", got, settled)
	}
	m.do("test -s /var/lib/parley-keys/desk.db -a -s /var/lib/parley/data/accounts/desk/data.db")
	m.do("dpkg -i /tmp/" + filepath.Base(deb))
	s = m.service()
	m.signIn(s)
	s.end()
}

// A running is a server that is run as its unit says.
type running struct {
	t          *testing.T
	cmd        *exec.Cmd
	log        *screen
	told       *notices
	ended      chan error
	tls, https string
}

// service starts the server with what the installed unit, and what stands in drop-ins, allow it.
func (m *machine) service() *running {
	m.t.Helper()
	u := unitSettings(m.do("cat /lib/systemd/system/parley.service; cat /etc/systemd/system/parley.service.d/*.conf 2>/dev/null || true"))
	c := confinement{user: strings.Join(u["User"], ""), umask: strings.Join(u["UMask"], ""), line: strings.Join(u["ExecStart"], " "), env: u["Environment"]}
	for _, dir := range strings.Fields(strings.Join(u["StateDirectory"], " ")) {
		c.writable = append(c.writable, "/var/lib/"+dir)
	}
	for _, dir := range strings.Fields(strings.Join(u["ReadWritePaths"], " ")) {
		c.writable = append(c.writable, strings.TrimPrefix(dir, "-"))
	}
	return m.serve(c)
}

// serve returns when the server is ready.
func (m *machine) serve(c confinement) *running {
	m.t.Helper()
	return startService(m.t, func(socket string) *exec.Cmd {
		c.env = append(c.env, socket)
		return m.confined(c)
	})
}

// startService returns when the server is ready that runs with this in its environment.
func startService(t *testing.T, with func(socket string) *exec.Cmd) *running {
	t.Helper()
	socket := "@parley-" + rand.Text()
	s := &running{t: t, log: new(screen), told: listenForNotices(t, socket), ended: make(chan error, 1)}
	s.cmd = with("NOTIFY_SOCKET=" + socket)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()        // ends with the process
	t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // which has ended, unless the test failed
	eventually(t, "the server is ready", func() bool {
		found := readyLine.FindStringSubmatch(s.log.String())
		if found != nil {
			s.tls, s.https = found[2], found[4]
		}
		select {
		case err := <-s.ended:
			t.Fatalf("the server ended: %v\n%s", err, s.log)
		default:
		}
		return found != nil
	})
	if got := s.told.next(); got != nowReady {
		t.Errorf("systemd is told %q", got)
	}
	return s
}

// signIn is what an agent does who got the throw-away CA.
func (m *machine) signIn(s *running) {
	m.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(m.do("cat /etc/parley/tls/ca.pem"))) {
		m.t.Fatal("/etc/parley/tls/ca.pem holds no certificate")
	}
	login{
		dial:  func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", s.tls) },
		roots: roots, domain: "desk.example", name: "anna", password: "correct horse 42", resource: "first",
	}.in(m.t).drop()
}

// end stops the server as systemd does.
func (s *running) end() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := <-s.ended; err != nil || strings.Contains(s.log.String(), "level=ERROR") {
		s.t.Errorf("the server, after SIGTERM: %v\n%s", err, s.log)
	}
	if got := s.told.next(); got != nowStopping {
		s.t.Errorf("systemd is told %q", got)
	}
}
