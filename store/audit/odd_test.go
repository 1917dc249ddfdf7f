package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"parley.im/parley/store"
)

// With no room nothing begins, and what has begun gets its record when there is room.
func TestNoRoom(t *testing.T) {
	b := begun(t)
	e := b.begin("one")
	real := b.file
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	b.file, b.room = full, 1<<40 // that pretends to be reserved
	if err := e.Finish(Done); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, store.ErrFull) {
		t.Errorf("finish with no room: %v", err)
	}
	b.dirty = false // the device cannot be cut, which a file can
	if _, err := b.Begin(Record{Action: "two"}); !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "so it is not done") {
		t.Errorf("begin with no room: %v", err)
	}
	if got := b.copied().list(Filter{}); got != "1 one unknown" {
		t.Errorf("a crash now: %s", got)
	}
	b.file = real
	b.do("three")
	if got := b.list(Filter{}); got != "1 one done, 2 three done" {
		t.Error(got)
	}
	b.verify("")
}

func TestAnotherAccountsLog(t *testing.T) {
	b := begun(t)
	b.Close()
	b.cfg.Account = "shop"
	if _, err := Open(b.cfg); err == nil || !strings.Contains(err.Error(), `of account "desk", not "shop"`) {
		t.Error(err)
	}
	b.cfg.Account = "desk"
	b.write("audit.log", append(b.text("audit.log"), "nonsense\n"...))
	if _, err := Open(b.cfg); err == nil || !strings.Contains(err.Error(), "move the file aside") {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(b.dir, "audit.log")); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.do("one")
	b.verify("")
}

func FuzzLine(f *testing.F) {
	r := Record{N: 1, ID: "x", Actor: Actor{"operator", "0"}, Detail: map[string]string{"a": "b"}}
	f.Add(appendLine(nil, Hash{}, appendRecord(nil, &r)))
	a := anchor{Account: "desk"}
	f.Add(a.line())
	f.Add([]byte("nonsense"))
	f.Fuzz(func(t *testing.T, line []byte) {
		l, err := parseLine(line)
		if err == nil {
			// What we write of it can be read again as the same.
			text := appendRecord(nil, &l.Record)
			again, err := parseLine(bytes.TrimSuffix(appendLine(nil, l.Hash, text), []byte("\n")))
			if err != nil || !bytes.Equal(appendRecord(nil, &again.Record), text) {
				t.Errorf("%q: written as %q, read as %+v, %v", line, text, again, err)
			}
		}
		if a, err := parseAnchor(line); err == nil && a.N < 0 {
			t.Errorf("%q: %+v", line, a)
		}
	})
}
