package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notices are what comes at a supervisor's NOTIFY_SOCKET.
type notices struct {
	t    *testing.T
	conn *net.UnixConn
}

func listenForNotices(t *testing.T, name string) *notices {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &notices{t, conn}
}

// next is the next notice that comes.
func (l *notices) next() string {
	l.t.Helper()
	buf := make([]byte, 4096)
	if err := l.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		l.t.Fatal(err)
	}
	n, err := l.conn.Read(buf)
	if err != nil {
		l.t.Fatalf("no notice comes: %v", err)
	}
	return string(buf[:n])
}

// nothing says that no more has come; what a process that has ended has sent is there.
func (l *notices) nothing() {
	l.t.Helper()
	if err := l.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		l.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	if n, err := l.conn.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Errorf("one more notice: %q (%v)", buf[:n], err)
	}
}

// Whoever supervises the server hears when it is ready, reads its configuration again
// and stops; the first only when clients get an answer.
func TestSupervisorIsTold(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	must(t, "correct horse 42\n", "agent", "add", "anna@desk.example", "-password-stdin", "-config", config)
	for _, socket := range []string{filepath.Join(t.TempDir(), "notify"), "@parley-test-" + filepath.Base(dir) + t.Name()} {
		l := listenForNotices(t, socket)
		d := startDaemon(t, dir, "NOTIFY_SOCKET="+socket)
		if got := l.next(); got != nowReady {
			t.Fatalf("the first notice is %q, want %q", got, nowReady)
		}
		d.login("anna", "correct horse 42", "desk").in(t).drop()

		d.reloads()
		if got := l.next(); !strings.HasPrefix(got, nowReloading+"\nMONOTONIC_USEC=") {
			t.Errorf("on SIGHUP: %q", got)
		}
		if got := l.next(); got != nowReady {
			t.Errorf("after SIGHUP: %q", got)
		}

		before, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		d.edit("parley.toml", "\n[nonsense]\n\n\n")
		d.keepsOld("nonsense")
		l.next()
		if got := l.next(); !strings.HasPrefix(got, nowReady+"\nSTATUS=configuration not read again") || strings.Count(got, "\n") != 1 {
			t.Errorf("after a SIGHUP that changes nothing: %q", got)
		}
		if err := os.WriteFile(config, before, 0o644); err != nil {
			t.Fatal(err)
		}

		d.end(syscall.SIGTERM)
		if got := l.next(); got != nowStopping {
			t.Errorf("on SIGTERM: %q", got)
		}
		l.nothing()
	}
}

// A supervisor that is gone, or reads nothing, holds nothing up.
func TestSupervisorIsGone(t *testing.T) {
	t.Parallel()
	dir, _ := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "", "desk.example")
	for _, socket := range []string{filepath.Join(dir, "nowhere"), dir, strings.Repeat("x", 300)} {
		d := startDaemon(t, dir, "NOTIFY_SOCKET="+socket)
		d.reloads()
		d.end(syscall.SIGTERM)
		if !strings.HasSuffix(d.log(), "msg=stopped\n") {
			t.Errorf("with the socket %.40q:\n%s", socket, d.log())
		}
	}
}

// A reload before the server is ready does not make it so.
func TestSupervisorHearsNoReloadTooEarly(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	l := listenForNotices(t, socket)
	v := &supervisor{socket: socket}
	did := 0
	do := func() error { did++; return nil }
	if err := v.reload(do); err != nil {
		t.Fatal(err)
	}
	l.nothing()
	v.ready.Store(true)
	if err := v.reload(do); err != nil {
		t.Fatal(err)
	}
	if got := l.next(); !strings.HasPrefix(got, nowReloading) || did != 2 {
		t.Errorf("%q after %d reloads", got, did)
	}
}
