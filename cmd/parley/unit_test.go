package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unitPath is what systemd runs Parley by.
const unitPath = root + "/packaging/parley.service"

// unit is the unit's settings.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	return unitSettings(contentsOf(t, unitPath))
}

// unitSettings are a unit's by name; those that are repeated are several.
func unitSettings(text string) map[string][]string {
	all := make(map[string][]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			all[name] = append(all[name], value)
		}
	}
	return all
}

var exposure = regexp.MustCompile(`Overall exposure level for parley\.service: (\d+\.\d)`)

// What the server could do to the machine if somebody took it over is little, also where
// it listens on port 443.
func TestUnitIsHardened(t *testing.T) {
	needs(t, "systemd-analyze")
	for _, dropIns := range [][]string{nil, {"port-443.conf"}} {
		dir := t.TempDir()
		copyFile(t, unitPath, filepath.Join(dir, "parley.service"))
		for _, name := range dropIns {
			copyFile(t, filepath.Join(root, "packaging", name), filepath.Join(dir, "parley.service.d", name))
		}
		cmd := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", filepath.Join(dir, "parley.service"))
		out, err := cmd.CombinedOutput()
		m := exposure.FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > 2 {
			t.Errorf("with %v the exposure is %s, want 2.0 at most\n%s", dropIns, m[1], out)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// systemd waits for longer than the server may take to end in order, and kills nothing
// before that.
func TestUnitGivesTimeToStop(t *testing.T) {
	seconds, err := strconv.Atoi(strings.Join(unit(t)["TimeoutStopSec"], " "))
	if err != nil {
		t.Fatal(err)
	}
	if given, taken := time.Duration(seconds)*time.Second, sessionsDrain+hooksDrain+controlDrain; given < taken+10*time.Second {
		t.Errorf("TimeoutStopSec is %v; ending may take %v, and then stores are closed", given, taken)
	}
}

// The unit and the configuration that quickstart is told to make agree about where things are.
func TestUnitKeepsKeysApart(t *testing.T) {
	u := unit(t)
	if got := strings.Fields(strings.Join(u["StateDirectory"], " ")); !slices.Equal(got, []string{"parley", "parley-keys"}) {
		t.Errorf("StateDirectory is %q: keys are kept beside data, not within it", got)
	}
	for name, want := range map[string]string{"UMask": "0077", "StateDirectoryMode": "0700", "User": "parley", "Type": "notify"} {
		if got := strings.Join(u[name], " "); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	if line := strings.Join(u["ExecStart"], " "); !strings.HasSuffix(line, " "+installedConfig) {
		t.Errorf("ExecStart=%s: commands look for the configuration at %s", line, installedConfig)
	}
}

// systemCalls are those that the unit's filter lets through.
func systemCalls(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager").Output()
	if err != nil {
		t.Fatal(err)
	}
	sets, last := make(map[string][]string), ""
	for line := range strings.Lines(string(out)) {
		switch word := strings.TrimSpace(line); {
		case word == "" || strings.HasPrefix(word, "#"):
		case line[0] == ' ':
			sets[last] = append(sets[last], word)
		default:
			last = word
		}
	}
	var members func(set string) []string
	members = func(set string) (all []string) {
		if len(sets[set]) == 0 {
			t.Fatalf("systemd knows no system calls %s", set)
		}
		for _, name := range sets[set] {
			if strings.HasPrefix(name, "@") {
				all = append(all, members(name)...)
			} else {
				all = append(all, name)
			}
		}
		return all
	}
	var allowed []string
	for _, filter := range unit(t)["SystemCallFilter"] {
		list, not := strings.CutPrefix(filter, "~")
		for set := range strings.FieldsSeq(list) {
			if names := members(set); not {
				allowed = slices.DeleteFunc(allowed, func(name string) bool { return slices.Contains(names, name) })
			} else {
				allowed = append(allowed, names...)
			}
		}
	}
	return allowed
}

// From start to end the server asks the kernel for nothing that the unit's filter refuses.
func TestUnitAllowsWhatTheServerDoes(t *testing.T) {
	needs(t, "systemd-analyze")
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	must(t, "anna@desk.example\tcorrect horse 42\nben@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	trace := filepath.Join(t.TempDir(), "trace")
	// What strace prints is what is left when those are taken away. Some it does not know.
	p := startParley(t, config, strace(t, trace, "-e", "trace=!?"+strings.Join(systemCalls(t), ",?"))...)
	d := &daemon{t: t, dir: dir, tls: p.ready(t)}
	anna, ben := d.login("anna", "correct horse 42", "a").in(t), d.login("ben", "correct horse 42", "b").in(t)
	ben.available("")
	anna.send("<message to='ben@desk.example' type='chat' id='m1'><body>hello</body></message>")
	ben.message("m1")
	must(t, "", "account", "add", "shop", "-domain", "shop.desk.example", "-config", config)
	if err := syscall.Kill(holder(filepath.Join(dir, "data", "lock")), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the configuration is read again", func() bool { return reloadSaid.MatchString(p.out.String()) })
	if err := syscall.Kill(holder(filepath.Join(dir, "data", "lock")), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		// Whoever ends while another thread calls leaves "???(".
		if strings.Contains(line, " ???( <unfinished") {
			continue
		}
		// As root, which this test may be and the service is not, SQLite gives its files to
		// whoever owns the database.
		if strings.Contains(line, "+++ exited with ") || os.Geteuid() == 0 && strings.Contains(line, " fchown") {
			continue
		}
		t.Errorf("the unit's filter refuses %s", line)
	}
	if !strings.Contains(string(text), "+++ exited with 0") {
		t.Errorf("the server did not end well under strace:\n%s\n%s", text, p.out)
	}
}
