package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowdSize in the environment is how many agents TestACrowdSignsIn has; what is said of
// 500 is to be measured alone on a machine.
const crowdSize = "PARLEY_TEST_CROWD"

// All agents of an account come to work at the same moment: each is given the roster,
// and sees all others (rules 25 and 29).
func TestACrowdSignsIn(t *testing.T) {
	n := 40
	if s := os.Getenv(crowdSize); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0",
		"-set", "limits.unauthenticated_per_address=0", "desk.example")
	var people strings.Builder
	for i := range n {
		fmt.Fprintf(&people, "%s\tcorrect horse\n", benchJID(i))
	}
	must(t, people.String(), "agent", "import", "-no-policy", "-config", config)
	d := startDaemon(t, dir)
	roots := d.roots()

	before, begun := d.cpu(), time.Now()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			name, _, _ := strings.Cut(benchJID(i), "@")
			j := &jabber{}
			raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", d.tls)
			if err != nil {
				errs[i] = err
				return
			}
			t.Cleanup(func() { raw.Close() })
			j.conn = tls.Client(raw, &tls.Config{ServerName: "desk.example", RootCAs: roots})
			j.in = bufio.NewReaderSize(j.conn, 64<<10)
			l := login{domain: "desk.example", name: name, password: "correct horse", resource: "desk"}
			if err := errors.Join(raw.SetDeadline(time.Now().Add(time.Minute)), j.begin(l)); err != nil {
				errs[i] = fmt.Errorf("%s signs in: %w", name, err)
				return
			}
			j.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster' ver=''/></iq><presence/>")
			errs[i] = j.sees(n)
		})
	}
	wg.Wait()
	took, cpu := time.Since(begun), d.cpu()-before
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d agents have signed in and see each other after %v, and %v of the server's processor time", n, took.Round(time.Millisecond), cpu)
	if n >= 500 && (took > 5*time.Second || cpu > 15*time.Second) {
		t.Errorf("want 5 s, and 15 s of processor time")
	}
}

// sees reads until so many are available, and the roster has come.
func (j *jabber) sees(n int) error {
	seen, items := make(map[string]bool, n), 0
	s := bufio.NewScanner(j.in)
	s.Buffer(make([]byte, 64<<10), 8<<20)
	s.Split(func(data []byte, _ bool) (int, []byte, error) {
		end := "</iq>"
		if bytes.HasPrefix(data, []byte("<p")) {
			end = "</presence>"
		}
		if i := bytes.Index(data, []byte(end)); i >= 0 {
			return i + len(end), data[:i], nil
		}
		return 0, nil, nil
	})
	for (len(seen) < n || items < n-1) && s.Scan() {
		if !bytes.HasPrefix(s.Bytes(), []byte("<presence")) {
			items += bytes.Count(s.Bytes(), []byte("<item "))
			continue
		}
		_, from, _ := bytes.Cut(s.Bytes(), []byte("from='"))
		from, _, _ = bytes.Cut(from, []byte("'"))
		seen[string(from)] = true
	}
	if len(seen) < n || items < n-1 {
		return fmt.Errorf("saw %d of %d agents and %d items: %w", len(seen), n, items, s.Err())
	}
	return nil
}

// cpu is the processor time that the process has used (proc(5)).
func (d *daemon) cpu() time.Duration {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(f)
		if err != nil {
			d.t.Fatal(err)
		}
		ticks += n
	}
	const hertz = 100 // USER_HZ
	return time.Duration(ticks) * time.Second / hertz
}
