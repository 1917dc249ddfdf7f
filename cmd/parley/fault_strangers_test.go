package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// all asks for the runs that take minutes: 100,000 strangers, 1,000 hostile clients.
//
//	PARLEY_TEST_ALL=1 go test ./cmd/parley -run 'TestFault/CVE-2026-43506|TestHostile' -v -timeout 30m
func all() bool { return os.Getenv("PARLEY_TEST_ALL") != "" }

// A standing is what a process holds on to, after its garbage was collected.
type standing struct{ heap, goroutines, files float64 }

func (s standing) String() string {
	return fmt.Sprintf("%.2f MiB of heap, %.0f goroutines, %.0f files", s.heap/(1<<20), s.goroutines, s.files)
}

// holds is what the process holds on to now, before any collecting.
func (d *daemon) holds() standing {
	d.t.Helper()
	status, body := d.get("/metrics")
	if status != 200 {
		d.t.Fatalf("/metrics: %d %s", status, body)
	}
	f := figures(d.t, body)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	return standing{f["go_memstats_heap_alloc_bytes"], f["go_goroutines"], float64(len(open))}
}

// stands is the lowest of what /metrics says until garbage was collected three times,
// since what is in a sync.Pool goes with the second. Asking makes garbage enough.
func (d *daemon) stands() standing {
	d.t.Helper()
	low := standing{math.Inf(1), math.Inf(1), math.Inf(1)}
	collected := math.Inf(1)
	eventually(d.t, "garbage is collected", func() bool {
		status, body := d.get("/metrics")
		if status != 200 {
			d.t.Fatalf("/metrics: %d %s", status, body)
		}
		f := figures(d.t, body)
		low.heap = min(low.heap, f["go_memstats_heap_alloc_bytes"])
		low.goroutines = min(low.goroutines, f["go_goroutines"])
		if open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid)); err != nil {
			d.t.Fatal(err)
		} else {
			low.files = min(low.files, float64(len(open)))
		}
		collected = min(collected, f["go_gc_duration_seconds_count"])
		return f["go_gc_duration_seconds_count"] >= collected+3
	})
	return low
}

// An approach is how far a stranger gets before it leaves. It returns when it has said
// what it has to say; the connection is closed by its caller.
type approach struct {
	name string
	port func(*daemon) string
	do   func(c net.Conn, l login) error
}

func inClearPort(d *daemon) string { return d.starttls }
func securePort(d *daemon) string  { return d.tls }

// approaches are the ways of CVE-2026-43506, and the ways to stay that a deadline ends.
var approaches = []approach{
	{"TCP only", securePort, func(net.Conn, login) error { return nil }},
	{"a header", inClearPort, func(c net.Conn, l login) error { _, err := fmt.Fprintf(c, streamHeader, l.domain); return err }},
	{"features", inClearPort, func(c net.Conn, l login) error {
		return hears(c, fmt.Sprintf(streamHeader, l.domain), "</stream:features>")
	}},
	{"half a record", securePort, func(c net.Conn, _ login) error {
		_, err := io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		return err
	}},
	{"half a handshake", inClearPort, func(c net.Conn, l login) error {
		if err := hears(c, fmt.Sprintf(streamHeader+"<starttls"+nsTLSFault+"/>", l.domain), "<proceed"+nsTLSFault+"/>"); err != nil {
			return err
		}
		// Its hello leaves, and nothing is heard of the answer.
		if err := tls.Client(deaf{c}, &tls.Config{ServerName: l.domain, RootCAs: l.roots}).Handshake(); !errors.Is(err, errDeaf) {
			return fmt.Errorf("half a handshake: %w", err)
		}
		return nil
	}},
	{"a secured header", securePort, func(c net.Conn, l login) error {
		return hears(l.over(c), fmt.Sprintf(streamHeader, l.domain), "</stream:features>")
	}},
	{"half of SCRAM", securePort, func(c net.Conn, l login) error {
		return hears(l.over(c),
			fmt.Sprintf(streamHeader+"<auth"+nsSASLFault+" mechanism='SCRAM-SHA-256'>"+firstOfAnna+"</auth>", l.domain), "</challenge>")
	}},
	{"silence", inClearPort, func(c net.Conn, _ login) error { return ends(c) }},
	{"silence behind a header", inClearPort, func(c net.Conn, l login) error {
		if _, err := fmt.Fprintf(c, streamHeader, l.domain); err != nil {
			return err
		}
		return ends(c)
	}},
	{"silence within SCRAM", securePort, func(c net.Conn, l login) error {
		secured := l.over(c)
		if _, err := fmt.Fprintf(secured, streamHeader+"<auth"+nsSASLFault+" mechanism='SCRAM-SHA-256'>"+firstOfAnna+"</auth>", l.domain); err != nil {
			return err
		}
		return ends(secured)
	}},
}

// A deaf connection hears nothing.
type deaf struct{ net.Conn }

var errDeaf = errors.New("deaf")

func (deaf) Read([]byte) (int, error) { return 0, errDeaf }

// hears says something and waits for what it wants to hear.
func hears(c net.Conn, text, want string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	in, heard := bufio.NewReader(c), ""
	for !strings.HasSuffix(heard, want) {
		more, err := in.ReadString('>')
		if err != nil {
			return fmt.Errorf("heard %q, want %q: %w", heard, want, err)
		}
		heard += more
	}
	return nil
}

// ends waits until the server has lost its patience.
func ends(c net.Conn) error {
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}

// besiege lets n strangers come and go, so many at a time, from addresses all over
// 127.0.0.0/8. On a busy machine some are too late for the server's deadlines, and leave
// earlier than they meant to; most are not.
func (d *daemon) besiege(n, atATime int) {
	d.t.Helper()
	l := d.login("anna", "", "")
	var next atomic.Int64
	failures := make([]atomic.Int64, len(approaches))
	var wg sync.WaitGroup
	for range atATime {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				way := int(i) % len(approaches)
				if err := approaches[way].from(d.t.Context(), d, l, i); err != nil && failures[way].Add(1) == int64(n/len(approaches)/2) {
					d.t.Errorf("half of those who wanted to leave after %s could not come so far, the last of them since %v", approaches[way].name, err)
				}
			}
		})
	}
	wg.Wait()
}

// over is TLS over a connection.
func (l login) over(c net.Conn) *tls.Conn {
	return tls.Client(c, &tls.Config{ServerName: l.domain, RootCAs: l.roots, MinVersion: tls.VersionTLS12})
}

// from is the i-th stranger's visit.
func (a *approach) from(ctx context.Context, d *daemon, l login, i int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dialer := net.Dialer{LocalAddr: address(i)}
	c, err := dialer.DialContext(ctx, "tcp", a.port(d))
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if i%3 == 0 { // a cut, not an end
		err = c.(*net.TCPConn).SetLinger(0)
	}
	return errors.Join(err, c.SetDeadline(time.Now().Add(patience)), a.do(c, l))
}

// CVE-2026-43506: each connection that never signed in left something behind. Rule 4's
// limits are on; TestStrangersLeaveNothing of xmppd is the same without a network.
func strangersLeaveNothing(t *testing.T) {
	n, atATime := 1500, 150
	if all() {
		n, atATime = 100_000, 500
	}
	d := healthy(t, "-set", "limits.login=4s", "-set", "limits.handshake=4s")
	anna := d.login("anna", "correct horse 42", "desk").in(t)
	d.besiege(atATime, atATime) // tables have grown to what so many at a time need
	before, from := d.stands(), time.Now()
	d.besiege(n, atATime)
	took := time.Since(from)
	var after standing
	eventually(t, "the last strangers are forgotten", func() bool {
		after = d.stands()
		return after.goroutines <= before.goroutines+2 && after.files <= before.files+2
	})
	t.Logf("%d strangers in %v\nbefore: %v\nafter:  %v", n, took.Round(time.Second), before, after)
	if grown := after.heap - before.heap; grown > 1<<20 {
		t.Errorf("the heap has grown by %.0f bytes, %.1f for each stranger", grown, grown/float64(n))
	}
	anna.lives()
}
