package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"parley.im/parley/store"
	"parley.im/parley/store/sqlite"
)

// contactSteps is how many changes a contact of the child's has.
const contactSteps = 6

// contactStep is a contact's change to a version: with each a record that says which. The
// only agent sees the contact at first, and at the end no more.
func contactStep(c store.Conversation, address string, version int64) (store.ContactChange, store.Op) {
	ch := store.ContactChange{Was: version - 1, From: 1, Contact: store.Contact{ID: c.ID(), Address: address, Version: version, State: uint8(version),
		Live: version < contactSteps, Created: time.Unix(1_700_000_000, 0), Data: fmt.Appendf(nil, "%s/%d", address, version)}}
	switch {
	case version == 1:
		ch.See = []store.AgentID{1}
	case !ch.Live:
		ch.Hide, ch.Ended = []store.AgentID{1}, ch.Created.Add(time.Hour)
	}
	return ch, store.Op{Conversation: c, Kind: store.KindMessage, At: ch.Created, Data: ch.Data}
}

// step makes a change and answers when it is decided.
func step(a *sqlite.Account, ch store.ContactChange, op store.Op) error {
	done := make(chan error, 1)
	a.Append(&store.Batch{Ops: []store.Op{op}, Contact: &ch, Done: func(b *store.Batch) { done <- b.Err }})
	return <-done
}

// contactsForever has contacts, and tells of each change that is kept.
func contactsForever() {
	a, ctx := openChild(), context.Background()
	if _, err := a.AddAgent(ctx, "anna", "", store.Credential{}); err != nil && !errors.Is(err, store.ErrConflict) {
		panic(err)
	}
	for worker := range 4 {
		go func() {
			for round := 0; ; round++ {
				c, err := a.NewContact(ctx)
				if err != nil {
					panic(err)
				}
				for version := range int64(contactSteps) {
					ch, op := contactStep(c, fmt.Sprintf("p%d-w%d-r%d", os.Getpid(), worker, round), version+1)
					if err := step(a, ch, op); err != nil {
						panic(err)
					}
					stdout.Lock()
					fmt.Println(ch.Address, ch.Version)
					stdout.Unlock()
				}
			}
		}()
	}
	select {}
}

// A change of a contact is there with its records, and with who sees them, or all of it is
// not there, wherever a kill cuts; and nothing that was told of is missing.
func TestContactsAreKilled(t *testing.T) {
	dir := t.TempDir()
	told := make(map[string]int64)
	f := &files{t: t, dir: dir, root: childRoot, sealed: true}
	for round := range 4 {
		cmd, lines := child(t, "contacts", dir)
		for n := 0; lines.Scan(); n++ {
			if n == 20+17*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			var address string
			var version int64
			if k, _ := fmt.Sscan(lines.Text(), &address, &version); k == 2 && version <= contactSteps { // the last line may be cut
				told[address] = max(told[address], version)
			}
		}
		_ = cmd.Wait()
		f.open()
		f.verify()
		checkContacts(t, f, told)
		if n := f.number("SELECT count(*) FROM conversation WHERE nature = 3 AND shredded = 0"); n != f.number("SELECT count(*) FROM contact") {
			t.Errorf("%d conversations of visitors are there, and other contacts", n)
		}
		f.close()
	}
}

// checkContacts compares contacts with their transcripts and with what is seen of them.
func checkContacts(t *testing.T, f *files, told map[string]int64) {
	t.Helper()
	list, err := f.store.Contacts(t.Context(), store.ContactQuery{Max: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[string]int64)
	seen := 0
	for _, k := range list {
		there[k.Address] = k.Version
		n := int64(0)
		if err := f.store.Transcript(t.Context(), k.ID, func(e *store.Entry) error {
			if n++; string(e.Data) != fmt.Sprintf("%s/%d", k.Address, n) {
				t.Errorf("record %d of %s is %q", n, k.Address, e.Data)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if n != k.Version || string(k.Data) != fmt.Sprintf("%s/%d", k.Address, n) {
			t.Errorf("%s has version %d, %q and %d records", k.Address, k.Version, k.Data, n)
		}
		if k.Live {
			seen += int(n)
		}
	}
	if n := len(f.page(1)); n != seen {
		t.Errorf("she sees %d records of %d", n, seen)
	}
	for address, version := range told {
		if there[address] < version {
			t.Errorf("%s has version %d, but %d was told of", address, there[address], version)
		}
	}
	if len(told) == 0 {
		t.Error("nothing was kept")
	}
}

// contactsWithoutRoom tells what becomes of contacts where files may not grow.
func contactsWithoutRoom() {
	signal.Ignore(syscall.SIGXFSZ)
	a, ctx := openChild(), context.Background()
	if _, err := a.AddAgent(ctx, "anna", "", store.Credential{}); err != nil {
		panic(err)
	}
	c, err := a.NewContact(ctx)
	if err != nil {
		panic(err)
	}
	try := func(version int64) error {
		ch, op := contactStep(c, "aaaa", version)
		return step(a, ch, op)
	}
	fmt.Println("room:", try(1))
	limitFiles(0)
	_, err = a.NewContact(ctx)
	fmt.Println("full:", errors.Is(try(2), store.ErrFull), err != nil)
	limitFiles(unix.RLIM_INFINITY)
	for deadline := time.Now().Add(10 * time.Second); a.Err() != nil && time.Now().Before(deadline); {
		_ = a.SetSetting(ctx, "probe", "")
	}
	fmt.Println("room:", try(2))
	if err := a.Close(); err != nil {
		panic(err)
	}
}

// On a full disk nothing of a change is kept, and the same one goes through when there is
// room.
func TestContactsOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := child(t, "contacts full", dir)
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := "room: <nil>; full: true true; room: <nil>"; strings.Join(got, "; ") != want {
		t.Errorf("the child says %q, want %q", got, want)
	}
	f := &files{t: t, dir: dir, root: childRoot, sealed: true}
	f.open()
	defer f.close()
	f.verify()
	checkContacts(t, f, map[string]int64{"aaaa": 2})
}
