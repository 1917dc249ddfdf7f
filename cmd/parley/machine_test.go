package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A machine is this one, with a layer above its files that takes what is written and goes
// with the test: packages can be installed there, and nobody here notices. Its network is
// this machine's.
type machine struct {
	t    *testing.T
	root string // where its files are, in a mount namespace of its own
	pid  string // of a process in that
}

// newMachine skips the test for who may not mount.
func newMachine(t *testing.T) *machine {
	t.Helper()
	needs(t, "unshare", "nsenter", "setpriv", "runuser")
	dir := t.TempDir()
	m := &machine{t: t, root: filepath.Join(dir, "root")}
	// It lives until its standard input ends, which it does in any case with the test.
	holder := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-ec", `
		mount -t tmpfs tmpfs "$0"
		mkdir "$0/root" "$0/upper" "$0/work"
		mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
		mount --rbind /proc "$0/root/proc"
		mount --rbind /dev "$0/root/dev"
		mount -t tmpfs tmpfs "$0/root/tmp"
		chmod 1777 "$0/root/tmp"
		echo $$
		exec cat`, dir)
	var complaint bytes.Buffer
	holder.Stderr = &complaint
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = holder.Wait() // its files are gone however it ended
	})
	if _, err := fmt.Fscanln(out, &m.pid); err != nil {
		_ = holder.Wait()
		if os.Getenv("CI") != "" {
			t.Fatalf("no machine to install on: %s", &complaint)
		}
		t.Skipf("no machine to install on, for which one has to be root: %s", &complaint)
	}
	return m
}

// command is a line as root types it there.
func (m *machine) command(line string) *exec.Cmd {
	cmd := exec.Command("nsenter", "--mount=/proc/"+m.pid+"/ns/mnt", "chroot", m.root, "sh", "-c", line)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// do runs the line and returns what it prints.
func (m *machine) do(line string) string {
	m.t.Helper()
	out, err := m.command(line).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// put copies a file to the machine's /tmp.
func (m *machine) put(path string) {
	m.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	cmd := m.command("cat >/tmp/" + filepath.Base(path))
	cmd.Stdin = f
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("copy %s: %v\n%s", path, err, out)
	}
}

// A confinement is what a service may do, as a unit or a container has it.
type confinement struct {
	user     string
	writable []string // folders; all others are read-only
	umask    string
	env      []string
	line     string // what it runs
}

// confined is a command of the machine that can change nothing but the writable folders, and
// has no right that any user has not. (What systemd does when it is process 1.)
func (m *machine) confined(c confinement) *exec.Cmd {
	script := `
		root=$1; shift
		for dir in $WRITABLE; do mount --bind "$root$dir" "$root$dir"; done
		mount -t tmpfs -o ro tmpfs "$root/tmp"
		mount -o remount,bind,ro "$root"
		umask "$MASK"
		exec chroot "$root" setpriv --reuid "$RUNAS" --regid "$RUNAS" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`
	args := []string{"--mount=/proc/" + m.pid + "/ns/mnt", "unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "confined", m.root, "env", "-i", "PATH=/usr/bin:/bin"}
	args = append(append(args, c.env...), strings.Fields(c.line)...)
	cmd := exec.Command("nsenter", args...)
	cmd.Env = append(os.Environ(), "WRITABLE="+strings.Join(c.writable, " "), "RUNAS="+c.user, "MASK="+c.umask)
	return cmd
}
