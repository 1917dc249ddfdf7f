package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"parley.im/parley/store/backup"
)

// An s3 is a server that speaks S3, in memory, and what is wrong with it.
type s3 struct {
	*httptest.Server
	fails atomic.Bool // answers that it is out of order
	stuck atomic.Bool // takes requests and answers nothing
	puts  atomic.Int64
	begun chan struct{} // holds a value once a request stands still
}

func newS3(t *testing.T) *s3 {
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	real := gofakes3.New(backend).Server()
	s := &s3{begun: make(chan struct{}, 1)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.fails.Load():
			http.Error(w, "<Error><Code>ServiceUnavailable</Code></Error>", http.StatusServiceUnavailable)
			return
		case s.stuck.Load():
			select {
			case s.begun <- struct{}{}:
			default:
			}
			_, _ = io.Copy(io.Discard, r.Body) // the server notices who leaves only then
			<-r.Context().Done()
			return
		}
		if r.Method == http.MethodPut {
			s.puts.Add(1)
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *s3) target(t *testing.T, prefix string) backup.Target {
	t.Helper()
	target, err := backup.OpenTarget(backup.TargetConfig{
		To: "s3://bucket/" + prefix, Endpoint: s.URL, Region: "here", KeyID: "id", Key: func() (string, error) { return "secret", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// Whatever a target is, it keeps what it is given, whole, and says what it has.
func TestTargets(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(t *testing.T) backup.Target
	}{
		{"folder", func(t *testing.T) backup.Target {
			target, err := backup.OpenTarget(backup.TargetConfig{To: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			return target
		}},
		{"s3", func(t *testing.T) backup.Target { return newS3(t).target(t, "some/where") }},
		{"s3 without prefix", func(t *testing.T) backup.Target { return newS3(t).target(t, "") }},
	} {
		t.Run(c.name, func(t *testing.T) { testTarget(t, c.open(t)) })
	}
}

func testTarget(t *testing.T, target backup.Target) {
	ctx := t.Context()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	put := func(name string, b []byte) {
		t.Helper()
		if err := target.Put(ctx, name, bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
	}
	list := func(prefix string) string {
		t.Helper()
		var all []string
		if err := target.List(ctx, prefix, func(name string, size int64) { all = append(all, fmt.Sprint(name, "=", size)) }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	if got := list(""); got != "" {
		t.Errorf("a new target has %s", got)
	}
	put("a/b/one", []byte("x"))
	put("a/b/one", []byte("first"))
	put("ab/two", big)
	put("a/b/three", []byte("3"))
	if got, want := list(""), fmt.Sprintf("a/b/one=5 a/b/three=1 ab/two=%d", len(big)); got != want {
		t.Errorf("it has %s, want %s", got, want)
	}
	if got, want := list("a/"), "a/b/one=5 a/b/three=1"; got != want {
		t.Errorf("below a it has %s, want %s", got, want)
	}
	r, err := target.Get(ctx, "ab/two")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, big) {
		t.Errorf("it gives %d bytes, %v", len(got), err)
	}
	// What ends too early is not kept under its name.
	if err := target.Put(ctx, "c/short", strings.NewReader("abc"), 10); err == nil {
		t.Error("what ended too early was kept")
	}
	for _, name := range []string{"c/short", "a/nothing"} {
		if r, err := target.Get(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get(%q) = %v, %v", name, r, err)
		}
	}
	for range 2 {
		if err := target.Delete(ctx, "a/b/one"); err != nil {
			t.Error(err)
		}
	}
	if got, want := list("a/"), "a/b/three=1"; got != want {
		t.Errorf("afterwards it has %s, want %s", got, want)
	}
}

// HAP-3: one target is out of order and another stands still; the others get their
// copies, and those two get theirs when they are well again.
func TestOthersGoOn(t *testing.T) {
	p := newPlace(t, true)
	failing, stuck := newS3(t), newS3(t)
	p.data = append(p.data, failing.target(t, "data"), stuck.target(t, "data"))
	p.keep()
	p.say(0, 1, "one")
	p.mustCopy(false)

	failing.fails.Store(true)
	stuck.stuck.Store(true)
	p.say(0, 1, "two")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	p.later(time.Minute)
	go func() { // ends when its context does, which is before the test's end
		defer close(done)
		if _, err := p.keeper.Now(ctx, false); err != nil {
			t.Error(err)
		}
	}()
	<-stuck.begun
	until(t, "the others have it", func() bool { return p.copies(p.data[0]) == 2 && p.copies(p.data[1]) == 2 && p.copies(p.keysTo[0]) == 2 })
	stop()
	<-done
	if a := p.age(p.data[3]); a.Age < time.Minute {
		t.Errorf("the copy of the target that stands still is %v old", a.Age)
	}
	if a := p.age(p.data[0]); a.Age != 0 {
		t.Errorf("the copy of a good target is %v old", a.Age)
	}
	stuck.stuck.Store(false)
	if trouble := p.copy(false); len(trouble) != 1 || trouble["data"] == nil {
		t.Errorf("trouble with %v, want it with the failing one", trouble)
	}
	failing.fails.Store(false)
	p.mustCopy(false)
	p.data[0] = p.data[2]
	if q, _ := p.restore(time.Time{}); q.all(0) != "one two" {
		t.Errorf("from what was out of order, Anna reads %q", q.all(0))
	}
	p.data[0] = p.data[3]
	if q, _ := p.restore(time.Time{}); q.all(0) != "one two" {
		t.Errorf("from what stood still, Anna reads %q", q.all(0))
	}
}

func (p *place) copies(t backup.Target) int {
	p.t.Helper()
	all, err := backup.Copies(p.t.Context(), t)
	if err != nil {
		p.t.Fatal(err)
	}
	return len(all)
}

func (p *place) age(t backup.Target) backup.Age {
	p.t.Helper()
	for _, a := range p.keeper.Ages() {
		if a.Target == t.Name() {
			return a
		}
	}
	p.t.Fatalf("there is no age of %s", t.Name())
	return backup.Age{}
}

// until waits for what another goroutine does.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !yes() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// A disk that is not mounted is no target: nothing is written where it should have been.
// When it is there again, and empty, it gets everything.
func TestTargetThatWasEmptied(t *testing.T) {
	p := newPlace(t, true)
	p.say(0, 1, "one")
	p.mustCopy(false)
	p.mustCopy(false)
	dir := p.path("targets", "data-a")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if trouble := p.copy(false); trouble["data-a"] == nil || len(trouble) != 1 {
		t.Errorf("without the folder there is trouble with %v", trouble)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p.mustCopy(false)
	if q, _ := p.restore(time.Time{}); q.all(0) != "one" {
		t.Errorf("Anna reads %q", q.all(0))
	}
}

// What nobody has written to costs nothing: no piece, no manifest.
func TestNothingChangedIsNotCopied(t *testing.T) {
	p := newPlace(t, true)
	s := newS3(t)
	p.data[1] = s.target(t, "data")
	p.keep()
	p.say(0, 1, "one")
	p.mustCopy(false)
	before, puts := len(p.objects()), s.puts.Load()
	for range 3 {
		p.later(time.Hour)
		p.mustCopy(false)
	}
	if after := len(p.objects()); after != before || s.puts.Load() != puts {
		t.Errorf("there were %d objects and are %d; %d were put", before, after, s.puts.Load()-puts)
	}
	if a := p.age(p.data[0]); a.Age != 0 {
		t.Errorf("the copy is %v old although nothing has changed since", a.Age)
	}
	p.say(0, 1, "two")
	p.mustCopy(false)
	pieces := p.objects("data-a", "data")
	if len(pieces) != 2 {
		t.Fatalf("there are %d pieces, want 2", len(pieces))
	}
	// One message is a record and a few rows; the account's other rows are not sent again.
	if size := len(read(t, pieces[1])); size > 8<<10 {
		t.Errorf("the increment has %d bytes", size)
	}
}

// Copies go when they are too old: those of keys within seven days of what is in them,
// however long the server has been up, and those of data later. The newest stays.
func TestOldCopiesGo(t *testing.T) {
	p := newPlace(t, true)
	p.keepData = 20 * 24 * time.Hour
	p.keep()
	first := p.clock()
	p.say(0, 1, "shredded")
	between := p.say(0, 1, "shredded-too")
	p.mustCopy(false)
	if err := p.store.Shred(t.Context(), between); err != nil {
		t.Fatal(err)
	}
	for range 25 {
		p.later(24 * time.Hour)
		p.say(0, 2, "daily")
		p.mustCopy(false)
		for _, path := range p.objects("keys-a", "keys") {
			begun := filepath.Base(filepath.Dir(path))
			at, err := time.Parse("20060102T150405.000Z", begun)
			if err != nil || p.clock().Sub(at) > 7*24*time.Hour {
				t.Fatalf("%s is kept although it is %s", path, p.clock().Sub(at))
			}
		}
		if p.clock().Sub(first) == 10*24*time.Hour {
			p.keep() // a restart changes nothing
		}
	}
	days := len(p.objects("data-a", "data"))
	if days < 20 || days > 23 {
		t.Errorf("data is kept for %d days", days)
	}
	if n := len(p.objects("keys-a", "keys")); n < 5 || n > 8 {
		t.Errorf("keys are kept for %d days", n)
	}
	// An old copy of data with today's keys: what was shredded is gone, the rest is there.
	oldest, err := backup.Copies(t.Context(), p.data[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{oldest[0].Time, {}} {
		if q, _ := p.restore(at); !strings.HasPrefix(q.all(0), "daily") || strings.Contains(q.all(0), "shredded") {
			t.Errorf("of %v Anna reads %.60q", at, q.all(0))
		}
	}
}

// The operator is told once when a target's copies are too old, and again when that
// happens again.
func TestStaleCopiesAreTold(t *testing.T) {
	p := newPlace(t, true)
	p.mustCopy(false)
	p.later(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { // ends with its context
		defer close(ran)
		p.keeper.Run(ctx)
	}()
	defer func() { stop(); <-ran }()
	told := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		list := slices.Clone(p.stale)
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	until(t, "the first round has ended", func() bool {
		return !slices.ContainsFunc(p.keeper.Ages(), func(a backup.Age) bool { return a.Age > 0 })
	})
	p.later(11 * time.Minute)
	until(t, "all are told", func() bool { return told() == "data data-a, data data-b, keys keys-a, keys keys-b" })
	if _, err := p.keeper.Now(ctx, false); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.path("targets", "data-a")); err != nil {
		t.Fatal(err)
	}
	p.later(9 * time.Minute)
	p.say(0, 1, "one")
	if _, err := p.keeper.Now(ctx, false); err != nil {
		t.Fatal(err)
	}
	p.later(2 * time.Minute)
	until(t, "it is told again", func() bool { return told() == "data data-a, data data-a, data data-b, keys keys-a, keys keys-b" })
}

// A place that cannot be one is refused before anything is written.
func TestBadTargets(t *testing.T) {
	key := func() (string, error) { return "secret", nil }
	for _, c := range []struct {
		name string
		in   backup.TargetConfig
		want string
	}{
		{"a relative path", backup.TargetConfig{To: "copies"}, "neither a folder's whole path"},
		{"no endpoint", backup.TargetConfig{To: "s3://bucket", Key: key}, "endpoint is missing"},
		{"no TLS", backup.TargetConfig{To: "s3://bucket", Endpoint: "http://s3.example", Key: key}, "only https is spoken"},
		{"no host", backup.TargetConfig{To: "s3://bucket", Endpoint: "https:///x", Key: key}, "not an address"},
		{"no bucket", backup.TargetConfig{To: "s3:///x", Endpoint: "https://s3.example", Key: key}, "names no bucket"},
		{"no key", backup.TargetConfig{To: "s3://bucket", Endpoint: "https://s3.example", Key: func() (string, error) { return "", errors.New("MISSING is not set") }}, "MISSING is not set"},
	} {
		if _, err := backup.OpenTarget(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	env := map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
	target, err := backup.ParseTarget("s3://bucket/x/?endpoint=https://s3.example&region=here", func(k string) string { return env[k] })
	if err != nil || target.Name() != "s3://bucket/x" {
		t.Errorf("ParseTarget = %v, %v", target, err)
	}
	if _, err := backup.ParseTarget("s3://bucket/x?endpoint=https://s3.example", func(string) string { return "" }); err == nil {
		t.Error("without keys in the environment a bucket was opened")
	}
	folder, err := backup.OpenTarget(backup.TargetConfig{To: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.Put(t.Context(), "../outside", strings.NewReader(""), 0); err == nil {
		t.Error("a name led out of the folder")
	}
}
