package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFiles bounds the size of every file that the process writes, from now on. At 0
// nothing can be written: what a full disk is to it, without filling one.
func limitFiles(t *testing.T, d *daemon, size uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = min(size, limit.Max)
	if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// Issue 2, Life: with no room for another byte the server refuses what it cannot keep
// and lives on; when there is room again it takes up its work by itself.
func TestNoRoomToWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := serveFull(t, dir, dir)
	survive(t, d, func() { limitFiles(t, d, 0) }, func() { limitFiles(t, d, unix.RLIM_INFINITY) })
}

// The same on a file system that is full.
func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "TestNoRoomToWrite")
	d := serveFull(t, t.TempDir(), disk)
	filler := filepath.Join(disk, "filler")
	survive(t, d, func() { fill(t, filler) }, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	})
}

// smallDisk is a file system of 8 MiB. Where there can be none, another test proves most of the same.
func smallDisk(t *testing.T, other string) (disk string) {
	t.Helper()
	disk = t.TempDir()
	switch err := unix.Mount("none", disk, "tmpfs", 0, "size=8m"); {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		t.Skip("only root may mount a small file system to fill; " + other + " proves most of the same")
	case err != nil:
		t.Fatal(err)
	}
	// Lazily: the server ends after this was registered and before it runs.
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// fill makes a file that takes all the room there is, to the last byte.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// serveFull serves an installation in dir whose data and keys are on disk.
func serveFull(t *testing.T, dir, disk string) *daemon {
	t.Helper()
	config := filepath.Join(dir, "parley.toml")
	must(t, "", "quickstart", "-dir", dir, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", "auth.iterations=10000",
		"-set", "data="+filepath.Join(disk, "data"), "-set", "keys="+filepath.Join(disk, "keys"), "desk.example")
	for _, name := range []string{"anna", "ben", "cleo"} {
		must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", name+"@desk.example")
	}
	return startDaemon(t, dir)
}

// survive talks before, while and after there is no room.
func survive(t *testing.T, d *daemon, full, room func()) {
	in := func(name, resource string) *jabber {
		j := d.login(name, "correct horse 42", resource).in(t)
		j.available("")
		return j
	}
	anna, ben, cleo := in("anna", "desk"), in("ben", "desk"), in("cleo", "desk")
	anna.send("<enable xmlns='urn:xmpp:sm:3'/>")
	var kept []string
	say := func(to, id string) {
		anna.send("<message to='%s@desk.example' id='%s' type='chat'><body>%s</body></message>", to, id, id)
	}
	for i := range 20 {
		id := fmt.Sprintf("before-%d", i)
		say("ben", id)
		kept = append(kept, id)
	}
	anna.acknowledges(20)
	ben.message("before-19")
	if status, body := d.get("/readyz"); status != http.StatusOK {
		t.Fatalf("/readyz: %d %s, want 200", status, body)
	}

	// Nothing is kept: in the conversation that there is, nor in one that would need a
	// new secret first.
	full()
	refused := func(to, id string) {
		t.Helper()
		say(to, id)
		e := anna.message(id)
		reason := e.child("error")
		if e.attr("type") != "error" || reason.attr("type") != "wait" || reason.child("resource-constraint") == nil {
			t.Errorf("%s, with no room, is answered with %s, want resource-constraint of type wait", id, e)
		}
	}
	for i := range 5 {
		refused("ben", fmt.Sprintf("refused-%d", i))
	}
	refused("cleo", "refused-first")
	for _, j := range []*jabber{ben, cleo} {
		for _, e := range j.rest() {
			if e.name.Local == "message" {
				t.Errorf("%s got %s, which was not kept", j.jid, e)
			}
		}
	}
	status, body := d.get("/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "account desk: no room") {
		t.Errorf("/readyz, with no room: %d %s, want 503 and the account", status, body)
	}
	if status, _ := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz, with no room: %d, want 200: a restart would not help", status)
	}
	// What needs no room goes on: what is for the moment, reading, signing in.
	anna.send("<message to='ben@desk.example' id='moment' type='headline'><body>x</body></message>")
	ben.message("moment")
	same(t, "ben's archive, with no room", ids(ben.archive()), kept)
	in("ben", "phone").drop()

	// There is room again, and nobody need say so.
	room()
	eventually(t, "the server is ready again", func() bool {
		status, _ := d.get("/readyz")
		return status == http.StatusOK
	})
	for i := range 5 {
		id := fmt.Sprintf("refused-%d", i)
		say("ben", id) // again, as its sender was told
		kept = append(kept, id)
		ben.message(id)
	}
	say("cleo", "refused-first")
	cleo.message("refused-first")
	anna.acknowledges(20 + 6 + 1 + 6) // what was refused is handled, too (XEP-0198 §4)
	same(t, "ben's archive", ids(ben.archive()), kept)

	d.end(syscall.SIGKILL)
	d.start()
	same(t, "ben's archive after a restart", ids(in("ben", "desk").archive()), kept)
	same(t, "cleo's archive after a restart", ids(in("cleo", "desk").archive()), []string{"refused-first"})
}

// acknowledges waits until the server has acknowledged so many stanzas (I2).
func (j *jabber) acknowledges(n int) {
	j.t.Helper()
	j.send("<r xmlns='urn:xmpp:sm:3'/>")
	a := j.until("an acknowledgement", func(e *tree) bool { return e.name.Space == "urn:xmpp:sm:3" && e.name.Local == "a" })
	for a.attr("h") != fmt.Sprint(n) {
		// Not all of it is decided yet.
		j.send("<r xmlns='urn:xmpp:sm:3'/>")
		a = j.until("an acknowledgement", func(e *tree) bool { return e.name.Space == "urn:xmpp:sm:3" && e.name.Local == "a" })
	}
}

func ids(messages []*tree) (all []string) {
	for _, m := range messages {
		all = append(all, m.attr("id"))
	}
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", what, got, want)
	}
}
