package backup_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

// send keeps a file of Anna's.
func (p *place) send(id, text string) {
	p.t.Helper()
	d, err := p.store.NewFile(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	defer d.Drop()
	if _, err = io.WriteString(d, text); err == nil {
		err = d.Keep(p.t.Context(), store.File{ID: id, Agent: p.agents[0], Made: p.clock(), Name: id + ".txt", Type: "text/plain"})
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// received is what a file says, or why it can't be read.
func (p *place) received(id string) string {
	p.t.Helper()
	_, r, err := p.store.OpenFile(p.t.Context(), id)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			p.t.Error(err)
		}
		return "missing"
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

const oneFile, twoFile, sameFile = "aaone2aaone2aaone2aaone2aa", "bbtwo2bbtwo2bbtwo2bbtwo2bb", "aasam2aasam2aasam2aasam2aa"

func (p *place) onTarget(id string) string {
	return p.path("targets", "data-a", "files", "desk", id[:2], id)
}

// What people send comes back with what they say: each file is brought once, sealed as it is, and read by who has the
// data, the keys and the identity. HAP-2
func TestFilesComeBack(t *testing.T) {
	forSealedAndPlain(t, func(t *testing.T, sealed bool) {
		p := newPlace(t, sealed)
		bill := strings.Repeat("MARKER of the bill. ", 10_000)
		p.send(oneFile, bill)
		p.send(sameFile, bill)
		p.mustCopy(false)
		first, err := os.Stat(p.onTarget(oneFile))
		if err != nil {
			t.Fatal(err)
		}
		before := p.clock()
		p.send(twoFile, "a plan")
		p.mustCopy(true)
		p.keep() // another run of the program
		p.mustCopy(true)
		if again, err := os.Stat(p.onTarget(oneFile)); err != nil || !os.SameFile(first, again) {
			t.Errorf("it was brought again (%v)", err)
		}
		for _, path := range p.objects() {
			if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte("MARKER of")) {
				t.Errorf("%s has it in clear (%v)", path, err)
			}
		}
		for at, want := range map[time.Time]string{{}: "a plan", before: "missing"} {
			q, r := p.restore(at)
			if got := q.received(oneFile); got != bill || q.received(sameFile) != bill || q.received(twoFile) != want || r.Accounts[0].Missing != 0 {
				t.Errorf("at %v: %d bytes come back, and %q; missing are %d", at, len(got), q.received(twoFile), r.Accounts[0].Missing)
			}
		}
	})
}

// Files keep nothing that was said from where it belongs. Those that are not there yet are counted, and follow.
func TestFilesFollow(t *testing.T) {
	p := newPlace(t, true)
	p.say(0, 1, "one")
	p.send(oneFile, "a bill")
	in := filepath.Dir(p.onTarget(oneFile))
	for dir := in; filepath.Base(dir) != "data-a"; dir = filepath.Dir(dir) {
		in = dir
	}
	if err := os.WriteFile(in, nil, 0o600); err != nil { // where the folder of files would be
		t.Fatal(err)
	}
	if trouble := p.copy(false); trouble["data-a"] == nil || len(trouble) != 1 {
		t.Errorf("there is trouble with %v", trouble)
	}
	report, err := p.back(nil) // from where it can't even be looked for
	if err != nil || report.Accounts[0].Newest == 0 || report.Accounts[0].Missing != 1 {
		t.Errorf("back comes %+v (%v)", report, err)
	}
	if err := os.Remove(in); err != nil {
		t.Fatal(err)
	}
	p.mustCopy(false)
	if q, r := p.restore(time.Time{}); q.all(0) != "one" || q.received(oneFile) != "a bill" || r.Accounts[0].Missing != 0 {
		t.Errorf("%q, %q, missing %d", q.all(0), q.received(oneFile), r.Accounts[0].Missing)
	}
	// A target that was emptied gets them again.
	if err := os.RemoveAll(p.path("targets", "data-a")); err != nil {
		t.Fatal(err)
	}
	p.copy(false)
	if err := os.Mkdir(p.path("targets", "data-a"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.mustCopy(false)
	if q, _ := p.restore(time.Time{}); q.received(oneFile) != "a bill" {
		t.Error("it was not brought again")
	}
}

// What was destroyed stays on targets as long as copies of data do, over restarts, and no longer.
func TestFilesGoInTime(t *testing.T) {
	p := newPlace(t, true)
	p.keepData = 30 * 24 * time.Hour
	p.keep()
	p.send(oneFile, "a bill")
	p.send(twoFile, "a plan")
	p.mustCopy(false)
	if err := os.Remove(p.path("data", "accounts", "desk", "files", twoFile[:2], twoFile)); err != nil {
		t.Fatal(err)
	}
	there := func(id string) bool { return !errors.Is(stat(p.onTarget(id)), os.ErrNotExist) }
	for day := range 40 {
		p.later(25 * time.Hour)
		if day%7 == 3 {
			p.keep()
		}
		p.mustCopy(false)
		if age := time.Duration(day) * 25 * time.Hour; there(twoFile) != (age <= p.keepData) {
			t.Fatalf("on day %d it is there: %v", day, there(twoFile))
		}
	}
	if !there(oneFile) {
		t.Error("what is here is gone there")
	}
}

// A disk that is not there for some days takes nothing from the targets, though the clock is a year ahead at times.
func TestFilesStayWhileTheirDiskIsGone(t *testing.T) {
	p := newPlace(t, true)
	p.keepData = 30 * 24 * time.Hour
	p.keep()
	p.send(oneFile, "a bill")
	p.mustCopy(false)
	here, there := p.path("data", "accounts", "desk", "files"), p.path("unmounted")
	if err := os.Rename(here, there); err != nil {
		t.Fatal(err)
	}
	const year = 366 * 24 * time.Hour
	for _, d := range []time.Duration{25 * time.Hour, year, -year, 25 * time.Hour} {
		p.later(d)
		p.mustCopy(false)
		if err := stat(p.onTarget(oneFile)); err != nil {
			t.Fatalf("after %v: %v", d, err)
		}
	}
	if err := os.Rename(there, here); err != nil {
		t.Fatal(err)
	}
	p.later(25 * time.Hour)
	p.mustCopy(false)
	p.later(year) // the days before count no more
	p.mustCopy(false)
	if q, _ := p.restore(time.Time{}); q.received(oneFile) != "a bill" {
		t.Error("it does not come back")
	}
}

// A file that can't be read is told, and keeps neither the others from their copies nor what is too old from going.
func TestFilesThatCannotBeRead(t *testing.T) {
	p := newPlace(t, true)
	p.keepData = 30 * 24 * time.Hour
	p.keep()
	p.send(oneFile, "a bill")
	p.mustCopy(false)
	// A folder can't be read as a file, and says so when it is: so does a bad disk.
	if err := os.Mkdir(p.path("data", "accounts", "desk", "files", sameFile[:2], sameFile), 0o700); err != nil {
		t.Fatal(err)
	}
	p.write("data/accounts/desk/files/notes.txt", "somebody's")
	p.send(twoFile, "a plan")
	spool, err := filepath.Glob(p.path("data", "backup", "missed-*.json"))
	if err != nil || len(spool) == 0 {
		t.Fatalf("the notes are %v (%v)", spool, err)
	}
	for _, notes := range spool {
		if err := os.WriteFile(notes, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := len(p.objects("data-a", "data"))
	for range 40 {
		p.later(25 * time.Hour)
		if trouble := p.copy(true)["data-a"]; trouble == nil || !strings.Contains(trouble.Error(), sameFile) || !strings.Contains(trouble.Error(), "1 in all") {
			t.Fatalf("it is told %v", trouble)
		}
	}
	if err := stat(p.onTarget(twoFile)); err != nil {
		t.Errorf("what comes after the bad one is not there: %v", err)
	}
	if n := len(p.objects("data-a", "data")); n > before+30 {
		t.Errorf("%d pieces of old copies are there still", n)
	}
}

func stat(path string) error {
	_, err := os.Stat(path)
	return err
}
