package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A book is a log with a clock of its own.
type book struct {
	*Log
	t   *testing.T
	dir string
	now time.Time
	cfg Config
}

func begun(t *testing.T) *book {
	b := &book{t: t, dir: t.TempDir(), now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	b.cfg = Config{Dir: b.dir, Account: "desk", Now: func() time.Time { return b.now }}
	b.open()
	return b
}

func (b *book) open() {
	b.t.Helper()
	l, err := Open(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Log = l
	b.t.Cleanup(func() { l.Close() }) // which a test may have done
}

// again closes the log and opens it again.
func (b *book) again() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

func (b *book) begin(action string) *Entry {
	b.t.Helper()
	e, err := b.Begin(Record{Actor: Actor{Operator, "1000"}, Action: action, Object: "agent/17", Address: "local"})
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

func (b *book) do(actions ...string) {
	b.t.Helper()
	for _, action := range actions {
		if err := b.begin(action).Finish(Done); err != nil {
			b.t.Fatal(err)
		}
	}
}

// list is "n action outcome" of what the filter wants.
func (b *book) list(f Filter) string {
	b.t.Helper()
	var s []string
	if err := b.Read(f, func(l *Line) error {
		s = append(s, fmt.Sprint(l.N, " ", l.Action, " ", l.Outcome))
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(s, ", ")
}

func (b *book) verify(want string, heads ...Head) *Report {
	b.t.Helper()
	r, err := b.Verify(heads)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := strings.Join(r.Faults, "\n"); got == "" != (want == "") || !strings.Contains(got, want) {
		b.t.Errorf("verify: %q, want %q", got, want)
	}
	return r
}

func (b *book) text(name string) []byte {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

func (b *book) write(name string, text []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), text, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// FORMATS.md, audit log: h_n = SHA-256(h_{n-1} ‖ record_n), as anybody can work it out from
// the file.
func TestChainIsWhatThePageSays(t *testing.T) {
	b := begun(t)
	b.do("agent.add", "agent.disable", "agent.delete")
	lines := bytes.Split(bytes.TrimSuffix(b.text("audit.log"), []byte("\n")), []byte("\n"))
	if want := strings.Repeat("0", 64) + ` {"account":"desk","format":1,"n":0}`; string(lines[0]) != want {
		t.Errorf("anchor %s, want %s", lines[0], want)
	}
	before := make([]byte, 32)
	for _, line := range lines[1:] {
		sum := sha256.Sum256(append(before, line[65:]...))
		if got := hex.EncodeToString(sum[:]); got != string(line[:64]) {
			t.Errorf("%s: the hash is %s", line, got)
		}
		before = sum[:]
	}
	want := `{"action":"agent.add","actor":{"id":"1000","kind":"operator"},"address":"local","at":"2026-05-04T03:02:01.000Z","id":`
	if !strings.HasPrefix(string(lines[1][65:]), want) || !strings.HasSuffix(string(lines[1]), `,"n":1,"object":"agent/17","outcome":"done"}`) {
		t.Errorf("record %s", lines[1][65:])
	}
	b.again()
	b.do("agent.add")
	if r := b.verify(""); r.Records != 4 || r.First != 1 || r.Last != 4 {
		t.Errorf("report %+v", r)
	}
	for want, f := range map[string]Filter{
		"2 agent.disable done":               {Action: "agent.disable"},
		"1 agent.add done, 4 agent.add done": {Action: "agent.add", Actor: "operator/1000"},
		"":                                   {Actor: "operator/0"},
		"3 agent.delete done":                {Action: "agent.de*", Actor: "operator"},
		"1 agent.add done, 2 agent.disable done, 3 agent.delete done, 4 agent.add done": {Since: b.now, Until: b.now.Add(1)},
	} {
		if got := b.list(f); got != want {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
	if got := b.list(Filter{Until: b.now}); got != "" {
		t.Errorf("before the first: %s", got)
	}
}

// A record never says more than has room, nor what steers a terminal, and is JSON whatever
// somebody put in.
func TestRecordsAreBounded(t *testing.T) {
	b := begun(t)
	long := strings.Repeat("\"\\\x00\u2028ä\xff", 4000)
	detail := make(map[string]string)
	for i := range 30 {
		detail[fmt.Sprint(i, long)] = long
	}
	e, err := b.Begin(Record{Actor: Actor{long, long}, Action: long, Object: long, Address: long, Detail: detail})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Finish(long); err != nil {
		t.Fatal(err)
	}
	b.again()
	b.verify("")
	if n, _ := b.Head(); n != 1 {
		t.Errorf("%d records", n)
	}
	if i := bytes.IndexFunc(b.text("audit.log"), func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("a control character at %d", i)
	}
}

// Whatever a crash leaves of the last line is cut off and told, and the chain goes on.
func TestTornLine(t *testing.T) {
	b := begun(t)
	b.do("one", "two")
	b.Close()
	whole := b.text("audit.log")
	end := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for cut := end; cut < len(whole); cut++ {
		b.write("audit.log", whole[:cut])
		b.open()
		if got := b.list(Filter{}); got != "1 one done" {
			t.Fatalf("cut at %d: %s", cut, got)
		}
		b.do("three")
		b.verify("")
		b.Close()
	}
	// In the anchor, too.
	for cut := range bytes.IndexByte(whole, '\n') {
		b.write("audit.log", whole[:cut])
		b.open()
		b.do("three")
		b.verify("")
		b.Close()
	}
	// A file that grew before its text came: a crash of the machine.
	b.write("audit.log", append(bytes.Clone(whole), make([]byte, 5000)...))
	b.open()
	b.do("three")
	b.verify("")
	if got := b.list(Filter{}); got != "1 one done, 2 two done, 3 three done" {
		t.Error(got)
	}
}

// copied makes what a crash would leave of a log right now.
func (b *book) copied() *book {
	b.t.Helper()
	c := &book{t: b.t, dir: b.t.TempDir(), now: b.now}
	c.cfg = Config{Dir: c.dir, Account: "desk", Now: b.cfg.Now}
	all, err := os.ReadDir(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range all {
		c.write(e.Name(), b.text(e.Name()))
	}
	c.open()
	return c
}

// WCP-10: exactly one record of each change, wherever a crash comes.
func TestCrashBetween(t *testing.T) {
	b := begun(t)
	b.do("before")
	one, two := b.begin("one"), b.begin("two")
	if got := b.copied().list(Filter{}); got != "1 before done, 2 one unknown, 3 two unknown" {
		t.Errorf("a crash while both are on their way: %s", got)
	}
	if err := two.Finish(Refused); err != nil {
		t.Fatal(err)
	}
	c := b.copied()
	if got := c.list(Filter{}); got != "1 before done, 2 two refused, 3 one unknown" {
		t.Errorf("a crash after the second: %s", got)
	}
	c.verify("")
	c.again()
	if got := c.list(Filter{}); got != "1 before done, 2 two refused, 3 one unknown" {
		t.Errorf("and again: %s", got)
	}
	if err := one.Finish(Done); err != nil {
		t.Fatal(err)
	}
	if err := one.Finish(Failed); err != nil {
		t.Fatal(err)
	}
	if got := b.copied().list(Filter{}); got != "1 before done, 2 two refused, 3 one done" {
		t.Errorf("a crash after both: %s", got)
	}
	if text := b.text(pendingName); len(text) != 0 {
		t.Errorf("pending: %s", text)
	}
}

// Changed, left out, moved, added and cut: each is found, and where.
func TestTampering(t *testing.T) {
	b := begun(t)
	b.do("one", "two", "three", "four")
	_, key, _ := ed25519.GenerateKey(nil)
	head := b.Sign(key, 99)
	whole := b.text("audit.log")
	lines := bytes.SplitAfter(whole, []byte("\n"))
	join := func(l ...[]byte) []byte { return bytes.Join(l, nil) }
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"untouched", whole, ""},
		{"a word", bytes.Replace(whole, []byte(`"two"`), []byte(`"owt"`), 1), "audit.log:3: record 2, or what comes before it, was changed"},
		{"a hash", join(lines[0], lines[1], append([]byte("0000"), lines[2][4:]...), lines[3], lines[4]), "audit.log:3: record 2"},
		{"one left out", join(lines[0], lines[1], lines[3], lines[4]), "audit.log:3: record 3 follows record 1"},
		{"two changed places", join(lines[0], lines[2], lines[1], lines[3], lines[4]), "audit.log:2: record 2 follows record 0"},
		{"one twice", join(lines[0], lines[1], lines[1], lines[2], lines[3], lines[4]), "audit.log:3: record 1 follows record 1"},
		{"nonsense", join(lines[0], lines[1], []byte("nonsense\n"), lines[2], lines[3], lines[4]), "audit.log:3: not a hash, a space and a record"},
		{"the end cut", join(lines[0], lines[1], lines[2]), "records 3 to 4 are missing: a head was signed for the last of them on 2026-05-04T03:02:01.000Z"},
		{"the anchor", join([]byte("00"), lines[0], lines[1]), "audit.log:1: not an anchor"},
	} {
		b.write("audit.log", c.text)
		b.size = int64(len(c.text))
		t.Run(c.name, func(*testing.T) { b.verify(c.want, head) })
	}

	// Who has the file can write it anew from the beginning; only a head tells.
	c := begun(t)
	c.do("one", "two", "3", "four")
	c.verify("")
	c.verify("record 4 is not the one that a head was signed for", head)
}

func TestHeads(t *testing.T) {
	b := begun(t)
	b.do("one")
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := b.Sign(key, 7)
	if err := h.Check(public); err != nil || h.N != 1 || h.Ordinal != 7 || h.Account != "desk" {
		t.Errorf("head %+v: %v", h, err)
	}
	// It survives its way as JSON.
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back Head
	if err := json.Unmarshal(text, &back); err != nil || back.Check(public) != nil {
		t.Errorf("%s: %v, %v", text, err, back.Check(public))
	}
	if r := b.verify("", back); r.Heads != 1 {
		t.Errorf("report %+v", r)
	}
	for name, change := range map[string]func(*Head){
		"n": func(h *Head) { h.N++ }, "ordinal": func(h *Head) { h.Ordinal++ }, "hash": func(h *Head) { h.Hash = "00" + h.Hash[2:] },
		"account": func(h *Head) { h.Account = "shop" }, "time": func(h *Head) { h.At = h.At[:22] + "1Z" },
		"signature": func(h *Head) { h.Signature = "" },
	} {
		other := back
		if change(&other); !errors.Is(other.Check(public), errSignature) {
			t.Errorf("another %s, and still signed", name)
		}
	}
}

// WCP-10: 183 days are kept, what is older goes, and the chain still verifies.
func TestOldRecordsGo(t *testing.T) {
	b := begun(t)
	began := b.now
	for range 8 { // months
		b.do("one", "two")
		b.now = b.now.AddDate(0, 1, 0)
	}
	old, err := b.old()
	if err != nil || len(old) != 7 {
		t.Fatalf("files %q, %v", old, err)
	}
	b.verify("")
	b.now = began.Add(Keep)
	if err := b.Expire(); err != nil {
		t.Fatal(err)
	}
	if r := b.verify(""); r.First != 1 || r.Records != 16 {
		t.Errorf("after 183 days: %+v, want all", r)
	}
	b.now = began.Add(Keep + time.Millisecond)
	if err := b.Expire(); err != nil {
		t.Fatal(err)
	}
	if r := b.verify(""); r.First != 3 || r.Last != 17 {
		t.Errorf("a moment later: %+v, want the first month's gone, and a record of it", r)
	}
	if got := b.list(Filter{Actor: Server}); got != "17 audit.expire done" {
		t.Error(got)
	}
	b.again()
	b.do("three")
	b.verify("")

	// Nobody did anything for a year.
	b.now = b.now.AddDate(1, 0, 0)
	if err := b.Expire(); err != nil {
		t.Fatal(err)
	}
	if r := b.verify(""); r.Records != 1 || r.First != 19 {
		t.Errorf("a year later: %+v, want the one record of what went", r)
	}
	b.again()
	b.do("four")
	b.verify("")
}

// Files that grow too large are put aside, too; heads and crashes reach over files.
func TestRotationBySize(t *testing.T) {
	b := begun(t)
	b.cfg.sizeMax = 1000
	b.again()
	_, key, _ := ed25519.GenerateKey(nil)
	var heads []Head
	for range 20 {
		b.do("one")
		heads = append(heads, b.Sign(key, 1))
	}
	if old, _ := b.old(); len(old) < 3 {
		t.Fatalf("files %q", old)
	}
	if r := b.verify("", heads...); r.Records != 20 || r.Heads != 20 {
		t.Errorf("report %+v", r)
	}
	old, _ := b.old()
	// A crash between putting aside and beginning anew.
	c := b.copied()
	c.Close()
	if err := os.Rename(filepath.Join(c.dir, "audit.log"), filepath.Join(c.dir, fmt.Sprintf("audit-%012d.log", c.anchor.N+1))); err != nil {
		t.Fatal(err)
	}
	c.open()
	c.do("two")
	c.verify("", heads...)
	// A file in the middle is gone.
	if err := os.Remove(filepath.Join(b.dir, old[1])); err != nil {
		t.Fatal(err)
	}
	b.verify("the file before it does not end with that", heads...)
}

// Many at the same time: each has its record.
func TestConcurrent(t *testing.T) {
	b := begun(t)
	b.cfg.sizeMax = 3000
	b.again()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				e, err := b.Begin(Record{Action: "one"})
				if err == nil {
					err = e.Finish(Done)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if r := b.verify(""); r.Records != 80 {
		t.Errorf("report %+v", r)
	}
}
