package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// childEnv makes the test's program do something else instead of the tests.
const childEnv = "PARLEY_STORE_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "append":
		appendForever()
	case "full":
		fillUp()
	case "expire":
		expireAll()
	case "expire full":
		expireWithoutRoom()
	case "contacts":
		contactsForever()
	case "contacts full":
		contactsWithoutRoom()
	default:
		os.Exit(m.Run())
	}
}

// childRoot is the root key of accounts that two processes open.
var childRoot = seal.Key{1, 2, 3}

// child starts this program again to do what in dir.
func child(t *testing.T, what, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what, "PARLEY_STORE_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func openChild() *sqlite.Account {
	dir, ctx := os.Getenv("PARLEY_STORE_DIR"), context.Background()
	k, err := keys.Open(ctx, keys.Config{Dir: dir + "/keys", Account: "desk", Root: childRoot})
	if err != nil {
		panic(err)
	}
	cfg := sqlite.Config{Dir: dir + "/data", Account: "desk", Keys: k, Sealed: true}
	if os.Getenv("PARLEY_STORE_NOW") != "" {
		cfg.Retention, cfg.Now = 4*day, childNow
	}
	a, err := sqlite.Open(ctx, cfg)
	if err != nil {
		panic(err)
	}
	return a
}

// appendForever appends to old and new conversations, and reports each record when it
// is told that it is kept. It ends when it is killed.
func appendForever() {
	ctx := context.Background()
	a := openChild()
	pid := os.Getpid()
	for worker := range 4 {
		go func() {
			for round := 0; ; round++ {
				name := fmt.Sprintf("w%d-r%d-%d", worker, round, pid)
				if round%4 == 3 {
					name += leaves
				}
				talkOnce(ctx, a, name)
			}
		}()
	}
	select {}
}

var stdout sync.Mutex

// leaves ends the names of agents who are deleted when they have talked, so that their
// conversations are shredded.
const leaves = "-leaves"

func talkOnce(ctx context.Context, a *sqlite.Account, name string) {
	agent, err := a.AddAgent(ctx, name, "", store.Credential{Verifier: []byte("v")})
	if err != nil {
		panic(err)
	}
	c, err := a.Direct(ctx, agent.ID, agent.ID)
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		text := fmt.Sprint(name, "/", i)
		wg.Add(1)
		a.Append(&store.Batch{
			Ops: []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: agent.ID, At: time.Now(), Data: []byte(text)}},
			Done: func(b *store.Batch) {
				defer wg.Done()
				if b.Err != nil {
					panic(b.Err)
				}
				stdout.Lock()
				defer stdout.Unlock()
				fmt.Println(b.Ops[0].Ordinal, text)
			},
		})
	}
	wg.Wait()
	if strings.HasSuffix(name, leaves) {
		if err := a.DeleteAgent(ctx, agent.ID); err != nil {
			panic(err)
		}
		stdout.Lock()
		defer stdout.Unlock()
		fmt.Println(-1, name)
	}
}

// I2, HAP-1: whatever is told to be kept is there after a kill, in its place, and the
// store is whole.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	kept := make(map[store.Ordinal]string)
	deleted := make(map[string]bool)
	for round := range 5 {
		cmd, lines := child(t, "append", dir)
		for n := 0; lines.Scan(); n++ {
			if n == 200+150*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			ordinal, text, ok := strings.Cut(lines.Text(), " ")
			o, err := strconv.ParseInt(ordinal, 10, 64)
			switch {
			case err != nil || !ok:
				continue // the last line may be cut
			case o < 0:
				deleted[text] = true
			default:
				kept[store.Ordinal(o)] = text
			}
		}
		_ = cmd.Wait()
		checkKept(t, dir, kept, deleted)
	}
}

func checkKept(t *testing.T, dir string, kept map[store.Ordinal]string, deleted map[string]bool) {
	t.Helper()
	f := &files{t: t, dir: dir, root: childRoot, sealed: true}
	f.open()
	defer f.close()
	if err := f.store.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
	there := make(map[store.Ordinal]string)
	if err := f.store.Read(t.Context(), 0, 1<<30, func(e *store.Entry) error {
		if e.Locked {
			t.Errorf("record %d does not open", e.Ordinal)
		}
		there[e.Ordinal] = string(e.Data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for o, text := range kept {
		name, _, _ := strings.Cut(text, "/")
		switch {
		case there[o] == text:
		case strings.HasSuffix(name, leaves): // she was deleted, or about to be
			delete(kept, o)
		default:
			t.Errorf("record %d is %q, want %q", o, there[o], text)
		}
	}
	for o, text := range there {
		if name, _, _ := strings.Cut(text, "/"); deleted[name] {
			t.Errorf("record %d is there although its conversation was shredded", o)
		}
	}
	if len(kept) == 0 {
		t.Error("nothing was kept")
	}
}

// fillUp appends until files may not grow any more, and then after they may again.
func fillUp() {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	a := openChild()
	agent, err := a.AddAgent(ctx, "anna", "", store.Credential{})
	if err != nil {
		panic(err)
	}
	c, err := a.Direct(ctx, agent.ID, agent.ID)
	if err != nil {
		panic(err)
	}
	add := func() error {
		done := make(chan error)
		a.Append(&store.Batch{
			Ops:  []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: agent.ID, At: time.Now(), Data: make([]byte, 20_000)}},
			Done: func(b *store.Batch) { done <- b.Err },
		})
		return <-done
	}
	kept := 0
	for range 10 {
		if err := add(); err != nil {
			panic(err)
		}
		kept++
	}
	limitFiles(1 << 20)
	for {
		err := add()
		if err == nil {
			kept++
			continue
		}
		fmt.Println("full:", errors.Is(err, store.ErrFull), errors.Is(a.Err(), store.ErrFull))
		break
	}
	fmt.Println("still:", errors.Is(add(), store.ErrFull))
	limitFiles(unix.RLIM_INFINITY)
	for deadline := time.After(10 * time.Second); a.Err() != nil; {
		select {
		case <-deadline:
			panic("the store does not recover by itself")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := add(); err != nil {
		panic(err)
	}
	records := 0
	if err := a.Transcript(ctx, c.ID(), func(*store.Entry) error { records++; return nil }); err != nil {
		panic(err)
	}
	fmt.Println("kept:", records == kept+1, a.Err())
	if err := a.Close(); err != nil {
		panic(err)
	}
}

// limitFiles lets this process's files grow so far and no further.
func limitFiles(size uint64) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		panic(err)
	}
	l.Cur = size
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		panic(err)
	}
}

// A full disk is said as such, keeps nothing by halves, and is over by itself when
// there is room again.
func TestFullDisk(t *testing.T) {
	cmd, lines := child(t, "full", t.TempDir())
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want := []string{"full: true true", "still: true", "kept: true <nil>"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the child says %q, want %q", got, want)
	}
}
