package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	voiceCount = 50  // who work
	riderCount = 100 // who have passwords and are hostile
)

// TestHostile lets hostile clients misbehave in all ways that are known here while fifty
// agents of the same account work. They are a process of their own that gives way to the
// server: elsewhere they would not share its processors.
//
// With PARLEY_TEST_ALL=1 there are a thousand, as fast as the server lets them. Then 99 of a
// hundred messages of those who work are to take twice as long at most as while the same
// clients are let loose on another server on this machine, and theirs is quiet: what the
// machine takes longer for because it is busy is no server's doing.
func TestHostile(t *testing.T) {
	clients, each := 100, 300*time.Millisecond
	if all() {
		clients, each = 1000, 2*time.Second
	}
	d, v := workers(t)
	v.usually(each) // conversations are opened, caches warm
	before := d.holds()
	quiet := v.usually(each)
	t.Logf("alone: 99 of a hundred within %v", quiet)
	most := 5*quiet + time.Second
	if all() {
		other, _ := workers(t)
		end := other.hostile(clients, time.Minute)
		beside := v.usually(each)
		end()
		other.end(syscall.SIGTERM)
		t.Logf("while another server has %d hostile clients: %v", clients, beside)
		most = 2 * beside
	}

	end := d.hostile(clients, time.Minute)
	cpu, begun := d.cpu(), time.Now()
	loud := v.usually(each)
	used, took := d.cpu()-cpu, time.Since(begun)
	arriving := time.Now()
	d.login("voice0", riderPassword, "another").in(t).drop()
	arrived := time.Since(arriving)
	ways := end()
	t.Logf("beside %d hostile clients: %v; the server has worked %v in %v; signing in took %v\n%s",
		clients, loud, used, took.Round(time.Millisecond), arrived.Round(time.Millisecond), ways)
	if loud > most {
		t.Errorf("99 of a hundred messages take up to %v beside hostile clients, and may take %v", loud, most)
	}
	for name, w := range ways {
		if w.Done >= 4 && w.Failed == w.Done {
			t.Errorf("%s: none of %d went as it should, at last: %s", name, w.Done, w.Last)
		}
	}
	var after standing
	defer func() { t.Logf("before: %v; after: %v", before, after) }()
	eventually(t, "the hostile are forgotten", func() bool {
		after = d.holds()
		return after.goroutines <= before.goroutines+2 && after.files <= before.files+8 // of the store's readers, perhaps
	})
}

// workers are fifty agents who work on a server where a hundred others have passwords, too.
func workers(t *testing.T) (*daemon, *voices) {
	t.Helper()
	dir, config := quickstarted(t, "-starttls", "127.0.0.1:0", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0",
		"-set", "auth.iterations=10000", "-set", "resume.for=5s", "-set", "limits.login=10s", "-set", "limits.handshake=5s", "desk.example")
	var people strings.Builder
	var names []string
	for i := range voiceCount {
		names = append(names, fmt.Sprintf("voice%d", i))
		fmt.Fprintf(&people, "%s@desk.example\t%s\n", names[i], riderPassword)
	}
	for i := range riderCount {
		fmt.Fprintf(&people, "rider%d@desk.example\t%s\n", i, riderPassword)
	}
	must(t, people.String(), "agent", "import", "-no-policy", "-config", config)
	d := startDaemon(t, dir)
	return d, d.voices(riderPassword, names...)
}

// usually is how long 99 of a hundred messages take at most, most of the time: in the
// middle one of ten measurements that last so long each. A machine has its bad moments.
func (v *voices) usually(each time.Duration) time.Duration {
	v.t.Helper()
	var all [10]time.Duration
	for i := range all {
		_, all[i], _ = v.during(everyVoice, func() { <-time.After(each) })
	}
	slices.Sort(all[:])
	v.t.Logf("99 of a hundred: %v", all)
	return all[len(all)/2]
}

// everyVoice is how often each of those who work says something.
const everyVoice = 100 * time.Millisecond

type waysDone map[string]wayCount

func (w waysDone) String() string {
	var lines []string
	for name, c := range w {
		lines = append(lines, fmt.Sprintf("%8d %s", c.Done, name))
		if c.Failed > 0 {
			lines[len(lines)-1] += fmt.Sprintf(" (%d not, at last: %s)", c.Failed, c.Last)
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// hostile starts a mob as a process; end ends it and returns what it has done.
func (d *daemon) hostile(clients int, most time.Duration) (end func() waysDone) {
	d.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command("nice", "-n", "19", binary)
	cmd.Env = append(os.Environ(), beHostile+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
	p := plan{StartTLS: d.starttls, TLS: d.tls, CA: d.dir + "/tls/ca.pem", Clients: clients, Seconds: int(most.Seconds())}
	if err := json.NewEncoder(in).Encode(p); err != nil {
		d.t.Fatal(err)
	}
	return func() waysDone {
		ways := make(waysDone)
		if err := errors.Join(in.Close(), json.NewDecoder(out).Decode(&ways), cmd.Wait()); err != nil {
			d.t.Fatalf("hostile clients: %v", err)
		}
		return ways
	}
}
