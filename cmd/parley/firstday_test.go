package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"parley.im/parley/xmppd/notify/postbox"
	"parley.im/parley/xmppd/web"
)

// An operator's first day is docs/operations.md from top to bottom, word by word: the server is
// installed, stands behind its proxy, is watched, and copies are made; something expires, something
// is held, two agents leave; the disk is lost, and what comes back is every conversation
// that should be there, and none that should not.
func TestAnOperatorsFirstDay(t *testing.T) {
	t.Run("with this program", func(t *testing.T) {
		t.Parallel()
		firstDay(t, inFolder(t))
	})
	t.Run("with the package", func(t *testing.T) {
		if os.Getenv("PARLEY_TEST_ALL") == "" {
			t.Skip("building the package takes a minute; as root, PARLEY_TEST_ALL=1 does it and installs it in a layer above this machine's files")
		}
		t.Parallel()
		needs(t, "objdump", "dpkg-deb")
		m := newMachine(t)
		dist := t.TempDir()
		cmd := exec.Command("packaging/build", dist, "deb")
		cmd.Dir, cmd.Env = root, append(os.Environ(), "VERSION=v0.0.1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		firstDay(t, onMachine(m, filepath.Join(dist, fileNames(t, dist)[0])))
	})
}

// A firstday is what happens beside what the page says.
type firstday struct {
	*place
	ways  *ways
	roots *x509.CertPool // the throw-away CA
	box   *postbox.Box

	target string // whom Prometheus asks

	in     *inbox // of an integrator
	secret string // that the events there are signed with
	key    web.KeyInfo

	before string // all that could be read before the disk was lost
}

// shop is the file of an account whose conversations are not kept for ever.
const shop = "/etc/parley/accounts.d/shop.toml"

func firstDay(t *testing.T, p *place) {
	d := &firstday{place: p, ways: newWays(t, haproxyListens), box: postbox.Open(t, postbox.Options{User: "parley"}), in: new(inbox)}
	// The usual ports may be somebody else's here, until the proxy has taken them over.
	free := freeAddresses(t, 3)
	d.here["parley quickstart "] = fmt.Sprintf("parley quickstart -set auth.iterations=10000 -starttls %s -tls %s -https %s ", free[0], free[1], free[2])
	meanwhile := map[string]func(){
		"Behind a proxy": d.movesBehindProxy, "Certificates": d.startsProxy, "Audit": d.integrates, "Mail": d.getsMail, "Setting it up": d.talks, "When the server is lost": d.loses,
	}
	text := pages(t)["docs/operations.md"]
	for _, f := range fences(text) {
		if happens := meanwhile[f.heading]; happens != nil {
			happens()
			delete(meanwhile, f.heading)
		}
		switch {
		case f.language == "":
			for _, line := range f.typed() {
				d.follow(line)
			}
		case f.language == "toml" && (f.heading == "Mail" || f.heading == "Setting it up"):
			d.write("/etc/parley/parley.toml", d.read("/etc/parley/parley.toml")+"\n"+d.translate(f.text))
		case f.language == "ini":
			const name = "/etc/systemd/system/parley.service.d/backup.conf"
			if !strings.Contains(text, "`"+name+"`") {
				t.Errorf("the page does not say that this is %s:\n%s", name, f.text)
			}
			d.write(name, f.text)
		case f.language == "yaml":
			d.scrapes(f.text)
		}
	}
	for heading := range meanwhile {
		t.Errorf("there is nothing to do below %q any more", heading)
	}
	d.isAsBefore()
	d.stop()
}

// answers are what commands of the page say, by what they contain; the first holds.
var answers = []struct{ line, says string }{
	{"parley check", "no faults"},
	{"parley agent list -account desk", "anna@desk.example"},
	{"parley key confirm-copy", "there is a copy"},
	{"parley version", "parley "},
	{"parley audit list -account desk -action", "agent.create"},
	{"parley audit list", "operator/"},
	{"parley audit verify", "each follows from the one before"},
	{"parley mail test", "took a mail"},
	{"parley probe", "PARLEY OK - "},
	{"parley backup keygen", "age1"},
	{"parley backup list", " copies "},
	{"parley backup", "newest 2"},
	{"parley verify -backup", "whole"},
	{"parley verify", "desk: all is as it was written"},
	{"parley restore", "/keys belongs in place of "}, // said last
}

// follow does what the page says.
func (d *firstday) follow(line string) {
	d.t.Helper()
	said := d.do(line)
	for _, a := range answers {
		if strings.Contains(line, a.line) {
			if !strings.Contains(said, a.says) {
				d.t.Errorf("%s says %s, want %q", line, said, a.says)
			}
			break
		}
	}
	if strings.Contains(line, "parley backup keygen ") {
		d.here["age1..."] = strings.TrimSpace(said)
	}
}
