package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

// bytesOf is what a file with that name holds: some chunks, with a text that can be looked for.
func bytesOf(name string) []byte {
	return append(bytes.Repeat([]byte("content of "+name+". "), 10_000), "the end"...)
}

// send keeps a file.
func (f *files) send(is store.File, told ...store.Op) {
	f.t.Helper()
	if err := f.trySend(is, told...); err != nil {
		f.t.Fatal(err)
	}
}

func (f *files) trySend(is store.File, told ...store.Op) error {
	d, err := f.store.NewFile(f.t.Context(), is.ID)
	if err != nil {
		return err
	}
	defer d.Drop()
	if _, err := d.Write(bytesOf(is.ID)); err != nil {
		return err
	}
	is.Made = time.Now()
	is.Name, is.Type = is.ID+".pdf", "application/pdf"
	return d.Keep(f.t.Context(), is, told...)
}

// received is a file as it is read; "" if that went well.
func (f *files) received(id string) error {
	is, r, err := f.store.OpenFile(f.t.Context(), id)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil && (!bytes.Equal(got, bytesOf(id)) || is.Name != id+".pdf" || is.Type != "application/pdf" || is.Size != int64(len(got))) {
		err = fmt.Errorf("it is %+v with %d bytes", is, len(got))
	}
	return err
}

func (f *files) blobs() (list []string) {
	f.t.Helper()
	all, err := fs.Glob(os.DirFS(f.data()), "files/*/*")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, path := range all {
		list = append(list, filepath.Base(path))
	}
	return list
}

// I3, VIV-8: files come back over restarts, are nowhere in clear, and go with the conversation that they are of, or with the
// agent who has not yet said them to a visitor.
func TestFiles(t *testing.T) {
	f := newFiles(t)
	f.open()
	anna, ben := f.agent("anna"), f.agent("ben")
	c, k := f.contact("aaaaaaaaaa", anna)
	f.send(store.File{ID: "visitors1", Conversation: c.ID()}, store.Op{Conversation: c, Kind: store.KindAttachmentCreated, At: time.Now(), Data: []byte("{}")})
	f.send(store.File{ID: "annas1", Agent: anna})
	f.send(store.File{ID: "annas2", Agent: anna})
	f.send(store.File{ID: "bens1", Agent: ben})
	if err := f.trySend(store.File{ID: "annas1", Agent: ben}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another of the same id: %v", err)
	}
	if err := f.store.GiveFile(t.Context(), "annas1", c); err != nil {
		t.Fatal(err)
	}
	check := func(gone ...string) {
		t.Helper()
		for _, id := range []string{"visitors1", "annas1", "annas2", "bens1"} {
			err := f.received(id)
			if strings.Contains(strings.Join(gone, " "), id) {
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s, which was destroyed: %v", id, err)
				}
			} else if err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		if n := len(f.blobs()); n != 4-len(gone) {
			t.Errorf("there are %v", f.blobs())
		}
		f.verify()
	}
	check()
	if n := f.events(store.KindAttachmentCreated); len(n) != 1 {
		t.Errorf("told: %v", n)
	}
	list, err := f.store.Files(t.Context(), c.ID())
	if err != nil || len(list) != 2 || list[1].Name != "annas1.pdf" {
		t.Errorf("the contact's are %+v, %v", list, err)
	}
	one := int64(len(bytesOf("annas1")) + len(bytesOf("visitors1")))
	if n, err := f.store.FilesSize(t.Context(), c.ID()); err != nil || n != one {
		t.Errorf("they have %d bytes, %v, want %d", n, err, one)
	}
	if n, err := f.store.FilesSize(t.Context(), 0); err != nil || n != one+int64(len(bytesOf("annas2"))+len(bytesOf("bens1"))) {
		t.Errorf("all have %d bytes, %v", n, err)
	}
	f.close()
	if where := append(found(t, f.dir, "content of"), found(t, f.dir, "annas1.pdf")...); len(where) > 0 {
		t.Errorf("what was sent is in %v", where)
	}
	f.open()
	check()
	other, _ := f.contact("bbbbbbbbbb", anna)
	if err := f.store.GiveFile(t.Context(), "annas1", other); !errors.Is(err, store.ErrConflict) {
		t.Errorf("given twice: %v", err)
	}

	if err := f.store.Shred(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	check("visitors1", "annas1")
	if err := f.store.DeleteAgent(t.Context(), ben); err != nil {
		t.Fatal(err)
	}
	check("visitors1", "annas1", "bens1")
	if err := f.store.DropFiles(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("visitors1", "annas1", "bens1")
	if err := f.store.DropFiles(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("visitors1", "annas1", "annas2", "bens1")
}

// A file's bytes, or its row, that are not what was written are never given, and verify finds them.
func TestFilesTampered(t *testing.T) {
	f := newFiles(t)
	f.open()
	anna := f.agent("anna")
	path := func(id string) string { return filepath.Join(f.data(), "files", id[:2], id) }
	change := func(do func(b []byte) []byte) {
		b, err := os.ReadFile(path("one"))
		if err == nil {
			err = os.WriteFile(path("one"), do(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f.send(store.File{ID: "one", Agent: anna})
	f.send(store.File{ID: "two", Agent: anna})
	whole, err := os.ReadFile(path("one"))
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func([]byte) []byte{
		"a byte":          func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"its end":         func(b []byte) []byte { return b[:len(b)-1] },
		"another's bytes": func([]byte) []byte { b, _ := os.ReadFile(path("two")); return b },
	} {
		change(do)
		if err := f.received("one"); !errors.Is(err, store.ErrTampered) {
			t.Errorf("%s changed: %v", name, err)
		}
		if faults := f.faults(); len(faults) != 1 || !strings.Contains(faults[0], "files are not as they were written") {
			t.Errorf("%s changed: verify finds %q", name, faults)
		}
		change(func([]byte) []byte { return whole })
	}
	f.verify()
	f.sql("UPDATE file SET size = size - 1 WHERE id = 'two'")
	if err := f.received("two"); !errors.Is(err, store.ErrTampered) {
		t.Errorf("another size: %v", err)
	}
	f.sql("UPDATE file SET size = size + 1 WHERE id = 'two'")
	if err := os.Remove(path("two")); err != nil {
		t.Fatal(err)
	}
	if err := f.received("two"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without its bytes: %v", err)
	}
	if faults := f.faults(); len(faults) != 1 || !strings.Contains(faults[0], "files have no bytes") {
		t.Errorf("verify finds %q", faults)
	}
}

// What a crash has left of files the next start deletes; what was kept it does not. However the folder is called.
func TestFilesLeftBehind(t *testing.T) {
	for _, folder := range []string{"data", "a[b", "[ab]"} {
		t.Run(folder, func(t *testing.T) { filesLeftBehind(t, folder) })
	}
}

func filesLeftBehind(t *testing.T, folder string) {
	f := newFiles(t)
	f.dir = filepath.Join(f.dir, folder)
	f.open()
	anna := f.agent("anna")
	f.send(store.File{ID: "kept", Agent: anna})
	d, err := f.store.NewFile(t.Context(), "begun")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(bytesOf("begun")); err != nil { // and is never ended
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(f.data(), "files/ke/kept"))
	if err == nil {
		err = os.WriteFile(filepath.Join(f.data(), "files/ke/kenorow"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.blobs()); n != 3 {
		t.Fatalf("there are %v", f.blobs())
	}
	f.close()
	f.open()
	if got := f.blobs(); len(got) != 1 || f.received("kept") != nil {
		t.Errorf("there are %v", got)
	}
	for _, id := range []string{"", "a", "../../x", "a/b", "A1"} {
		if _, err := f.store.NewFile(t.Context(), id); err == nil {
			t.Errorf("%q is an id", id)
		}
	}
}
