package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// processPatience is how long a process may take for what it is waited for.
const processPatience = 30 * time.Second

// A process is a 'parley serve' that may be killed before it is ready, or run under
// strace.
type process struct {
	cmd   *exec.Cmd
	out   *processLog
	ended chan struct{} // closed when it has ended, after which err holds
	err   error
}

// startParley starts 'parley serve' in the installation of config, as an argument
// of before if there is any: strace and its options.
func startParley(t *testing.T, config string, before ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(before, self, "serve", "-config", config)
	p := &process{cmd: exec.Command(args[0], args[1:]...), out: &processLog{tls: make(chan string, 1)}, ended: make(chan struct{})}
	// The installation's own CA is all the authority there is, also for webhooks.
	p.cmd.Env = append(os.Environ(), beParley+"=1", "SSL_CERT_FILE="+filepath.Join(filepath.Dir(config), "tls/ca.pem"))
	p.cmd.Stderr = p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, for which the clean-up waits
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill is 'kill -9' of the process, and of the strace that it may run under.
func (p *process) kill() {
	// It may have ended already, which is as good.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// stop asks the process to end and says how that went.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(processPatience):
		t.Fatalf("parley does not stop:\n%s", p.out)
	}
	if p.err != nil {
		t.Fatalf("parley stopped with %v:\n%s", p.err, p.out)
	}
}

// ready waits until the process serves and answers the address for direct TLS; "" if
// it ended before that.
func (p *process) ready(t *testing.T) string {
	t.Helper()
	select {
	case addr := <-p.out.tls:
		return addr
	case <-p.ended:
		return ""
	case <-time.After(processPatience):
		t.Fatalf("parley is not ready:\n%s", p.out)
		return ""
	}
}

// sound fails the test if the log tells of anything that should not have happened.
func (p *process) sound(t *testing.T) {
	t.Helper()
	text := p.out.String()
	for _, sign := range []string{"level=ERROR", "DATA RACE", "panic", "fatal error", "parley: "} {
		if strings.Contains(text, sign) {
			t.Errorf("the server's log has %q:\n%s", sign, text)
			return
		}
	}
}

// A processLog is what a process says.
type processLog struct {
	tls chan string // gets the address once it is told

	mu   sync.Mutex // guards what follows
	text bytes.Buffer
	told bool
}

var servesTLS = regexp.MustCompile(`msg=ready.* tls=(\S+)`)

// Write takes what the process says.
func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if l.told {
		return len(b), nil
	}
	if m := servesTLS.FindSubmatch(l.text.Bytes()); m != nil {
		l.told = true
		l.tls <- string(m[1])
	}
	return len(b), nil
}

func (l *processLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
