package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A systemCall is one that strace saw. Lines of the trace are the order in which
// things happened: begun is where the call entered the kernel, done where it returned.
type systemCall struct {
	name   string
	args   string
	result string
	begun  int
	done   int
}

// What strace prints with -f: a call on one line, or on two when others came between.
var (
	wholeCall   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (.+)$`)
	halfCall    = regexp.MustCompile(`^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$`)
	resumedCall = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (.+)$`)
)

// never is when a call returned that the process did not outlive.
const never = math.MaxInt

// parseTrace reads what strace wrote. Calls that failed are left out.
func parseTrace(text string) []*systemCall {
	var calls []*systemCall
	open := make(map[string]*systemCall) // by thread
	for i, line := range strings.Split(text, "\n") {
		if m := wholeCall.FindStringSubmatch(line); m != nil {
			c := &systemCall{m[2], m[3], m[4], i, i}
			if c.result == "?" {
				c.done = never
			}
			calls = append(calls, c)
		} else if m := halfCall.FindStringSubmatch(line); m != nil {
			open[m[1]] = &systemCall{m[2], m[3], "?", i, never}
			calls = append(calls, open[m[1]])
		} else if m := resumedCall.FindStringSubmatch(line); m != nil && open[m[1]] != nil {
			c := open[m[1]]
			delete(open, m[1])
			c.args, c.result = c.args+m[3], m[4]
			if c.result != "?" {
				c.done = i
			}
		}
	}
	return slices.DeleteFunc(calls, func(c *systemCall) bool { return strings.HasPrefix(c.result, "-1") })
}

// on says whether the call's first argument is a descriptor of that file or socket.
func (c *systemCall) on(what string) bool {
	fd, _, _ := strings.Cut(c.args, ", ")
	return strings.HasSuffix(fd, what+">")
}

func (c *systemCall) syncs(path string) bool {
	return (c.name == "fdatasync" || c.name == "fsync") && c.on("<"+path)
}

func (c *systemCall) writes(what string) bool {
	return (c.name == "write" || c.name == "pwrite64") && c.on(what)
}

// peer is how strace names the server's end of a client's connection.
func peer(s *stream) string { return "->" + s.conn.LocalAddr().String() + "]" }

// An exchange is one message and its acknowledgement, as the trace shows them.
type exchange struct {
	read *systemCall // the last of the message
	ack  *systemCall // the write that answers it
}

// lastExchange finds the last read that got anything from the client, and the first write
// to it since that returned.
func lastExchange(calls []*systemCall, client string) (x exchange, err error) {
	for _, c := range calls {
		if c.name == "read" && c.on(client) && c.result != "0" && c.done != never {
			x.read = c
		}
	}
	if x.read != nil {
		x.ack = x.told(calls, client)
	}
	if x.ack == nil {
		return x, errors.New("what was read last from the client was not answered")
	}
	return x, nil
}

// told is the first write to a peer, or a file, since the message was read; nil if there is
// none.
func (x exchange) told(calls []*systemCall, whom string) *systemCall {
	i := slices.IndexFunc(calls, func(c *systemCall) bool { return c.begun > x.read.done && c.writes(whom) })
	if i < 0 {
		return nil
	}
	return calls[i]
}

// syncedBetween says what is wrong if the message was not written to the log, and the
// log synced after that, before the write to is told.
func syncedBetween(calls []*systemCall, log string, read, told *systemCall) error {
	var wrote *systemCall
	for _, c := range calls {
		if c.writes("<"+log) && c.begun > read.done && c.begun < told.begun {
			wrote = c
		}
	}
	if wrote == nil {
		return fmt.Errorf("nothing was written to %s between lines %d and %d", log, read.done+1, told.begun+1)
	}
	for _, c := range calls {
		if c.syncs(log) && c.begun > wrote.done && c.done < told.begun {
			return nil
		}
	}
	return fmt.Errorf("%s was written in line %d and not synced before line %d", log, wrote.begun+1, told.begun+1)
}

// quotedPath is a call's path argument.
var quotedPath = regexp.MustCompile(`"([^"]+)"`)

// made are the names below dir that calls brought into being, and when. What was
// there before is in old; what need not outlive a crash is left out.
func made(calls []*systemCall, dir string, old map[string]string) map[string]int {
	names := make(map[string]int)
	for _, c := range calls {
		paths := quotedPath.FindAllStringSubmatch(c.args, -1)
		var path string
		switch {
		case len(paths) == 0:
			continue
		case c.name == "openat" && strings.Contains(c.args, "O_CREAT"), strings.HasPrefix(c.name, "mkdir"):
			path = paths[0][1]
		case strings.HasPrefix(c.name, "rename"):
			path = paths[len(paths)-1][1]
		}
		name, below := strings.CutPrefix(path, dir+"/")
		_, was := old[name]
		if !below || was || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, ".new") || filepath.Base(path) == "lock" {
			continue
		}
		if _, again := names[path]; !again {
			names[path] = c.done
		}
	}
	return names
}

// strace is the command that traces these calls into a file. Where there is no strace
// the test is skipped; where all tests are to run, there must be one.
func strace(t *testing.T, out string, options ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("strace is missing, which shows what happens before an acknowledgement leaves")
		}
		t.Skip("there is no strace, which shows what happens before an acknowledgement leaves")
	}
	return append([]string{"strace", "-f", "-yy", "-s", "0", "-e", "signal=none", "-o", out}, options...)
}

const tracedCalls = "trace=read,write,pwrite64,fsync,fdatasync,openat,mkdirat,mkdir,renameat,renameat2,rename"

// traced is the trace once it shows how the last message from a client was answered, and
// told to others; then it kills the server. (Killed before, what strace prints of calls that
// have not returned is anything.)
func traced(t *testing.T, p *process, out, client string, others ...string) (calls []*systemCall, x exchange) {
	t.Helper()
	eventually(t, "the trace shows how the message left", func() bool {
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		calls = parseTrace(string(text))
		x, err = lastExchange(calls, client)
		return err == nil && !slices.ContainsFunc(others, func(peer string) bool { return x.told(calls, peer) == nil })
	})
	p.kill()
	return calls, x
}

// I2: since the page cache outlives a killed process, it takes a trace to see that the
// write-ahead log is synced before the acknowledgement leaves, and before the message
// does; and that the folders of new files were synced by then.
func TestI2Synced(t *testing.T) {
	s := newScene(t)
	dir := filepath.Dir(s.config)
	old := contents(t, dir)
	out := filepath.Join(t.TempDir(), "trace")
	p := startParley(t, s.config, strace(t, out, "-e", tracedCalls)...)
	s.began(p.ready(t))
	for _, jid := range []string{"anna@localhost", "bob@localhost"} {
		must(t, scenePassword+"\n", "agent", "add", "-password-stdin", "-no-policy", "-config", s.config, jid)
	}
	anna, bob := s.visit("anna@localhost"), s.visit("bob@localhost")
	defer anna.conn.Close()
	defer bob.conn.Close()
	s.exchange(anna, "bob@localhost/look", "m1")
	if e, err := bob.want("message"); err != nil || e.attr("id") != "m1" {
		t.Fatalf("bob got %v, %v, want the message", e, err)
	}
	calls, x := traced(t, p, out, peer(anna), peer(bob))

	log := filepath.Join(dir, "data/accounts/desk/data.db-wal")
	if err := syncedBetween(calls, log, x.read, x.ack); err != nil {
		t.Errorf("acknowledged too early: %v", err)
	}
	if err := syncedBetween(calls, log, x.read, x.told(calls, peer(bob))); err != nil {
		t.Errorf("delivered too early: %v", err)
	}
	// The new conversation's secret is durable before its first row is written.
	keys := filepath.Join(dir, "keys/desk.db-wal")
	if err := syncedBetween(calls, keys, x.read, x.told(calls, "<"+log)); err != nil {
		t.Errorf("row before its key: %v", err)
	}

	names := made(calls, dir, old)
	for _, want := range []string{log, keys, filepath.Join(dir, "keys/desk.key"), filepath.Dir(log)} {
		if _, ok := names[want]; !ok {
			t.Errorf("the trace does not show how %s was made, but %v", want, names)
		}
	}
	for path, line := range names {
		folder := filepath.Dir(path)
		if !slices.ContainsFunc(calls, func(c *systemCall) bool {
			return c.syncs(folder) && c.begun > line && c.done < x.ack.begun
		}) {
			t.Errorf("%s was made in line %d, and its folder not synced before the acknowledgement in line %d", path, line+1, x.ack.begun+1)
		}
	}
}

// exchange enables stream management, waits until nothing is under way, and then sends
// one message whose acknowledgement is all that the server writes to this client.
func (c *scene) exchange(s *stream, to, id string) {
	c.t.Helper()
	_, err := s.enable(false)
	if err == nil {
		_, err = s.acknowledged()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	if err := s.tell(to, id); err != nil {
		c.t.Fatal(err)
	}
}

// tell sends a message, asks in the same breath for its acknowledgement, and waits for
// that.
func (s *stream) tell(to, id string) error {
	if err := s.send(hello(to, id) + askAck); err != nil {
		return err
	}
	e, err := s.want("a")
	if err == nil && e.attr("h") != "1" {
		err = fmt.Errorf("h=%q, want 1", e.attr("h"))
	}
	return err
}

func hello(to, id string) string {
	return fmt.Sprintf("<message to='%s' type='chat' id='%s'><body>Hello</body><origin-id xmlns='urn:xmpp:sid:0' id='%s'/></message>", to, id, id)
}

// The proof can fail: traces in the wrong order are noticed.
func TestI2SyncedNotices(t *testing.T) {
	const early = `7 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ""..., 9) = 9
7 read(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ""..., 512) = 90
`
	for _, c := range []struct{ name, in, want string }{
		{"in order", early + `8 pwrite64(5</d/data.db-wal>, ""..., 24, 0) = 24
8 fdatasync(5</d/data.db-wal> <unfinished ...>
7 read(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, 0xc, 512) = -1 EAGAIN (Resource temporarily unavailable)
8 <... fdatasync resumed>) = 0
9 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ""..., 50) = 50
`, ""},
		{"not synced", early + `8 pwrite64(5</d/data.db-wal>, ""..., 24, 0) = 24
9 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ""..., 50) = 50
8 fdatasync(5</d/data.db-wal>) = 0
`, "not synced before line 4"},
		{"still syncing", early + `8 pwrite64(5</d/data.db-wal>, ""..., 24, 0) = 24
8 fdatasync(5</d/data.db-wal> <unfinished ...>
9 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ""..., 50) = 50
8 <... fdatasync resumed>) = 0
`, "not synced before line 5"},
		{"synced too early", early + `8 fdatasync(5</d/data.db-wal>) = 0
8 pwrite64(5</d/data.db-wal>, ""..., 24, 0) = 24
9 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ""..., 50) = 50
`, "not synced before line 5"},
		{"another file", early + `8 pwrite64(5</k/desk.db-wal>, ""..., 24, 0) = 24
8 fdatasync(5</k/desk.db-wal>) = 0
9 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ""..., 50) = 50
`, "nothing was written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := parseTrace(c.in)
			x, err := lastExchange(calls, "->127.0.0.1:2]")
			if err == nil {
				err = syncedBetween(calls, "/d/data.db-wal", x.read, x.ack)
			}
			if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
