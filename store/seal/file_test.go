package seal

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func sealedFile(t testing.TB, box *FileBox, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewFileWriter(&b, box)
	for rest := plain; len(rest) > 0; { // in pieces that fit no chunk
		n := min(len(rest), 50_001)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Size() != int64(len(plain)) || int64(b.Len()) != SealedSize(w.Size()) {
		t.Fatalf("%d bytes were written as %d, want %d", w.Size(), b.Len(), SealedSize(w.Size()))
	}
	return b.Bytes()
}

func fileOf(size int) []byte {
	plain := make([]byte, size)
	for i := range plain {
		plain[i] = byte(i*7 + i>>16)
	}
	return plain
}

var fileSizes = []int{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 3 * ChunkSize, 3*ChunkSize + 17}

// What was sealed is read back, from any place on.
func TestFilesComeBack(t *testing.T) {
	k := NewKey()
	box := NewFileBox(&k, "desk", "f1")
	rnd := rand.New(rand.NewPCG(1, 0))
	for _, size := range fileSizes {
		plain := fileOf(size)
		sealed := sealedFile(t, box, plain)
		r := NewFileReader(bytes.NewReader(sealed), box, int64(size))
		all, err := io.ReadAll(io.NewSectionReader(r, 0, int64(size)))
		if err != nil || !bytes.Equal(all, plain) {
			t.Fatalf("%d bytes come back as %d, %v", size, len(all), err)
		}
		if err := r.Check(); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		for range 20 {
			from := rnd.IntN(size + 1)
			to := from + rnd.IntN(size-from+1)
			part := make([]byte, to-from)
			if n, err := r.ReadAt(part, int64(from)); n != len(part) || err != nil || !bytes.Equal(part, plain[from:to]) {
				t.Fatalf("bytes %d to %d of %d: %d, %v", from, to, size, n, err)
			}
		}
	}
}

// Nothing that was changed, moved, left out, cut off or put in opens.
func TestFilesAreAllOrNothing(t *testing.T) {
	k, other := NewKey(), NewKey()
	box := NewFileBox(&k, "desk", "f1")
	const whole = ChunkSize + Overhead
	plain := fileOf(2*ChunkSize + 100)
	sealed := sealedFile(t, box, plain)
	size := int64(len(plain))
	swapped := append(append(append([]byte(nil), sealed[whole:2*whole]...), sealed[:whole]...), sealed[2*whole:]...)
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	two := sealedFile(t, box, plain[:2*ChunkSize])
	for _, test := range []struct {
		name   string
		box    *FileBox
		sealed []byte
		size   int64
	}{
		{"another key", NewFileBox(&other, "desk", "f1"), sealed, size},
		{"another account", NewFileBox(&k, "shop", "f1"), sealed, size},
		{"another file", NewFileBox(&k, "desk", "f2"), sealed, size},
		{"chunks in another order", box, swapped, size},
		{"a changed byte", box, flipped, size},
		{"a missing byte", box, sealed[:len(sealed)-1], size},
		{"no last chunk", box, sealed[:2*whole], 2 * ChunkSize},
		{"another's last chunk", box, append(bytes.Clone(two), sealed[2*whole:]...), size},
		{"another size", box, sealed, size - 1},
		{"nothing", box, nil, size},
	} {
		if err := NewFileReader(bytes.NewReader(test.sealed), test.box, test.size).Check(); !errors.Is(err, ErrOpen) {
			t.Errorf("with %s: %v, want %v", test.name, err, ErrOpen)
		}
	}
}

func BenchmarkFileWriter(b *testing.B) {
	k := NewKey()
	box := NewFileBox(&k, "desk", "f1")
	plain := make([]byte, 1<<20)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		w := NewFileWriter(io.Discard, box)
		if _, err := w.Write(plain); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
