package audit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"parley.im/parley/store"
)

// On a disk that fills up, what has begun gets its record from the room that was reserved;
// nothing else begins until there is room again.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	switch err := unix.Mount("none", disk, "tmpfs", 0, "size=2m"); {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		t.Skip("only root may mount a small file system to fill; TestNoRoom proves some of the same")
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b := begun(t)
	b.Close()
	b.dir = filepath.Join(disk, "desk")
	b.cfg.Dir = b.dir
	b.open()
	var entries []*Entry
	for range 20 {
		entries = append(entries, b.begin("one"))
	}
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fill := func() {
		t.Helper()
		for size := 1 << 20; size > 0; {
			if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
				size /= 2
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	for _, e := range entries {
		if err := e.Finish(Done); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	if _, err := b.Begin(Record{Action: "two"}); !errors.Is(err, store.ErrFull) {
		t.Errorf("begun with no room: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	b.do("three")
	if r := b.verify(""); r.Records != 21 {
		t.Errorf("report %+v", r)
	}
	b.again()
	if r := b.verify(""); r.Records != 21 {
		t.Errorf("after a restart: %+v", r)
	}
}

// What a record costs: two syncs of small files.
func BenchmarkRecord(b *testing.B) {
	l, err := Open(Config{Dir: b.TempDir(), Account: "desk"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for b.Loop() {
		e, err := l.Begin(Record{Actor: Actor{Operator, "0"}, Action: "agent.add", Object: "agent/1"})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Finish(Done); err != nil {
			b.Fatal(err)
		}
	}
}
