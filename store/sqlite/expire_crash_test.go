package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/store"
)

// expireAll tells of each conversation of which something was destroyed, and of the end.
func expireAll() {
	a := openChild()
	fmt.Println("open")
	if _, err := a.Expire(context.Background(), store.Expiry{Now: childNow(), Done: func(s store.Shredding) {
		fmt.Println(s.Conversation, s.Records)
	}}); err != nil {
		panic(err)
	}
	fmt.Println("done")
	if err := a.Close(); err != nil {
		panic(err)
	}
}

// childNow is the time of the child's clock.
func childNow() time.Time {
	now, err := time.Parse(time.RFC3339, os.Getenv("PARLEY_STORE_NOW"))
	if err != nil {
		panic(err)
	}
	return now
}

// manyOld fills an account with what is about to expire, and a word in each conversation
// that is not.
func manyOld(t *testing.T, dir string, conversations int) (*files, *calendar) {
	f, cal := keeping(t, 4*day)
	f.dir, f.root = dir, childRoot
	f.open()
	anna := f.agent("anna")
	var others []store.AgentID
	for i := range conversations {
		others = append(others, f.agent(fmt.Sprint("other", i)))
		c := f.direct(anna, others[i])
		for n := range 20 {
			f.sayNow(c, anna, fmt.Sprint("old ", n))
		}
	}
	cal.pass(3 * day)
	for _, other := range others {
		f.sayNow(f.direct(anna, other), anna, "new")
	}
	cal.pass(2 * day)
	return f, cal
}

// Killed again and again, it comes to its end: what is to stay is there, what has a
// tombstone is never seen, and of each secret that was destroyed it is told once.
func TestExpiryIsKilled(t *testing.T) {
	const conversations = 40 // more than one group
	dir := t.TempDir()
	f, cal := manyOld(t, dir, conversations)
	f.close()
	t.Setenv("PARLEY_STORE_NOW", cal.time().Format(time.RFC3339))
	done := false
	for round := 0; !done; round++ {
		if round > 3*conversations {
			t.Fatal("it does not get on")
		}
		cmd, lines := child(t, "expire", dir)
		for n := 0; lines.Scan(); n++ {
			if n == round%7 && round < 20 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			done = done || lines.Text() == "done"
		}
		_ = cmd.Wait() // killed, mostly
		f.open()
		f.verify()
		texts := f.page(1)
		news := 0
		for _, text := range texts {
			switch {
			case text == "new":
				news++
			case text == "locked":
				t.Errorf("round %d: she sees what is being destroyed", round)
			}
		}
		if news != conversations {
			t.Fatalf("round %d: %d are left of what was to stay, want %d", round, news, conversations)
		}
		f.close()
	}
	f.open()
	if n := len(f.page(1)); n != conversations {
		t.Errorf("at the end she sees %d, want %d", n, conversations)
	}
	if n := f.number("SELECT count(*) FROM log WHERE conversation > 1"); n != conversations {
		t.Errorf("at the end there are %d rows, want %d", n, conversations)
	}
	told := make(map[string]int)
	for _, e := range f.events(store.KindKeyShredded) {
		told[e]++
		if !strings.Contains(e, `"generation":1,"records":20`) || told[e] > 1 {
			t.Errorf("it is told %d times: %s", told[e], e)
		}
	}
	if len(told) != conversations {
		t.Errorf("it is told of %d secrets, want %d", len(told), conversations)
	}
}

// expireWithoutRoom tells what becomes of it where files may not grow.
func expireWithoutRoom() {
	signal.Ignore(syscall.SIGXFSZ)
	a := openChild()
	expire := func() error {
		_, err := a.Expire(context.Background(), store.Expiry{Now: childNow()})
		return err
	}
	limitFiles(0)
	fmt.Println("full:", errors.Is(expire(), store.ErrFull))
	limitFiles(math.MaxUint64)
	for deadline := time.Now().Add(10 * time.Second); a.Err() != nil && time.Now().Before(deadline); {
		if err := a.SetSetting(context.Background(), "probe", ""); err == nil {
			break
		}
	}
	fmt.Println("room:", expire())
	if err := a.Close(); err != nil {
		panic(err)
	}
}

// On a full disk nothing is destroyed by halves, and it goes on when there is room.
func TestExpiryOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	f, cal := manyOld(t, dir, 5)
	f.close()
	t.Setenv("PARLEY_STORE_NOW", cal.time().Format(time.RFC3339))
	cmd, lines := child(t, "expire full", dir)
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := "[full: true room: <nil>]"; fmt.Sprint(got) != want {
		t.Errorf("the child says %v, want %s", got, want)
	}
	f.open()
	f.verify()
	if n := len(f.page(1)); n != 5 {
		t.Errorf("%d are left, want 5", n)
	}
}
