package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A place is where somebody follows docs/operations.md: a machine of its own with the package, or
// a folder that stands for one, with the program of this test.
type place struct {
	t       *testing.T
	on      *machine          // nil is a folder
	dir     string            // where the place's files are for this test
	deb     string            // the package
	here    map[string]string // what pages say, and what that is here
	env     []string          // of the server and of commands
	running *running          // nil when no server is
}

// authorities is a file of the place with those whom the server and commands trust.
const authorities = "/etc/ssl/authorities-here.pem"

// onMachine is a place in a layer above this machine's files, where the package can be installed.
func onMachine(m *machine, deb string) *place {
	m.t.Helper()
	m.put(deb)
	m.do("mkdir -p /mnt/safe /etc/systemd/system/parley.service.d && echo '[Service]\nEnvironment=SSL_CERT_FILE=" + authorities + "' >/etc/systemd/system/parley.service.d/authorities.conf")
	return &place{t: m.t, on: m, dir: "/proc/" + m.pid + "/root" + m.root, deb: deb, here: make(map[string]string), env: []string{"SSL_CERT_FILE=" + authorities}}
}

// inFolder is a place for whoever may not install packages here. It has one user.
func inFolder(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	for _, name := range []string{"root", "mnt/safe", "etc/ssl", "etc/systemd/system/parley.service.d", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(p.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	binary, err := builtParley()
	if err == nil {
		err = os.Symlink(binary, filepath.Join(p.dir, "usr/bin/parley"))
	}
	if err != nil {
		t.Fatal(err)
	}
	p.here = map[string]string{"runuser -u parley -- ": "", "-o parley -g parley ": "", "chown -R parley:parley ": ": "}
	for _, name := range []string{"/etc/", "/var/lib/", "/mnt/", "/usr/bin/"} {
		p.here[name] = p.dir + name
	}
	p.env = []string{beParley + "=1", "PARLEY_CONFIG=" + p.dir + "/etc/parley/parley.toml", "SSL_CERT_FILE=" + p.dir + authorities, "TMPDIR=" + p.dir,
		"PATH=" + p.dir + "/usr/bin:" + os.Getenv("PATH")}
	return p
}

// translate puts what is so here in the place of what a page has.
func (p *place) translate(text string) string {
	pairs := make([]string, 0, 2*len(p.here))
	for there, here := range p.here {
		pairs = append(pairs, there, here)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// command is a line as root types it, at home.
func (p *place) command(line string) *exec.Cmd {
	line = p.translate(line)
	if p.on != nil {
		cmd := p.on.command("cd /root && " + line)
		cmd.Env = append(cmd.Env, p.env...)
		return cmd
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = filepath.Join(p.dir, "root"), append(os.Environ(), p.env...)
	return cmd
}

var packageFile = regexp.MustCompile(`\./parley_[0-9.]+_amd64\.deb$`)

// do does what a line of a page says, and returns what is said to that.
func (p *place) do(line string) string {
	p.t.Helper()
	switch program, rest, _ := strings.Cut(line, " "); {
	case program == "apt" && packageFile.MatchString(rest):
		return p.install()
	case program == "systemctl":
		p.systemctl(rest)
		return ""
	case strings.Contains(line, "parley agent add "):
		typesPassword(p.t, p.command("exec "+line), "correct horse 42")
		return ""
	}
	return p.given("", line)
}

// given runs a line that reads something.
func (p *place) given(stdin, line string) string {
	p.t.Helper()
	cmd := p.command(line)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", p.translate(line), err, out)
	}
	return string(out)
}

// install is what apt does when nothing else is missing; systemd is asked for what ran.
func (p *place) install() (said string) {
	p.t.Helper()
	if p.on == nil {
		p.do("mkdir -p -m 0700 /etc/parley/accounts.d /var/lib/parley /var/lib/parley-keys")
		return ""
	}
	said = p.on.do("dpkg -i /tmp/" + filepath.Base(p.deb))
	if p.running != nil {
		p.systemctl("restart parley")
	}
	return said
}

// systemctl does what systemd is asked for.
func (p *place) systemctl(what string) {
	p.t.Helper()
	switch what {
	case "daemon-reload": // the unit is read at each start
	case "enable --now parley", "start parley":
		p.start()
	case "restart parley":
		p.stop()
		p.start()
	default:
		p.t.Fatalf("systemctl %s: this test does not know that", what)
	}
}

func (p *place) start() {
	p.t.Helper()
	if p.on != nil {
		p.running = p.on.service()
		return
	}
	p.running = startService(p.t, func(socket string) *exec.Cmd {
		line := strings.Fields(p.translate(strings.Join(unit(p.t)["ExecStart"], " ")))
		cmd := exec.Command(line[0], line[1:]...)
		cmd.Dir, cmd.Env = p.dir, append(append(os.Environ(), p.env...), socket)
		return cmd
	})
}

func (p *place) stop() {
	p.t.Helper()
	p.running.end()
	p.running = nil
}

// loses ends the server without a word, and takes the disk with all that it had, and with the
// program.
func (p *place) loses() {
	p.t.Helper()
	if err := p.running.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	<-p.running.ended // killed
	p.running = nil
	if p.on != nil {
		p.on.do("dpkg -P parley")
	}
	p.do("rm -r /etc/parley /var/lib/parley /var/lib/parley-keys")
}

func (p *place) read(name string) string {
	p.t.Helper()
	return contentsOf(p.t, p.dir+name)
}

// write makes a file, or another one of one that is there and keeps its owner.
func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.dir+name, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}
