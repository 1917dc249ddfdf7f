package seal

import (
	"crypto/cipher"
	"io"
)

// ChunkSize is how many bytes of a file are sealed at a time; the last chunk may have fewer.
const ChunkSize = 64 << 10

const useFile = "file"

// A FileBox seals and opens the chunks of one file, which has a key of its own. Each chunk is bound to the account, the
// file, its place in it, and to whether it is the last: none can be moved, left out or cut off (the
// STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015, with random nonces). It is safe for
// concurrent use.
type FileBox struct {
	aead cipher.AEAD
	head []byte
}

// NewFileBox makes the box of a file's key.
func NewFileBox(key *Key, account, file string) *FileBox {
	head := appendPart([]byte{0, 1, formatVersion}, account)
	return &FileBox{newAEAD(key.sub(useFile)), appendPart(head, file)}
}

// String is "[secret]".
func (b *FileBox) String() string { return secretText }

// GoString is "[secret]".
func (b *FileBox) GoString() string { return secretText }

func (b *FileBox) additional(index int64, last bool) []byte {
	aad := appendNumber(append([]byte(nil), b.head...), index)
	if last {
		return append(aad, 0, 1, 1)
	}
	return append(aad, 0, 1, 0)
}

// Seal appends a sealed chunk to dst.
func (b *FileBox) Seal(dst, plain []byte, index int64, last bool) []byte {
	return b.aead.Seal(dst, nil, plain, b.additional(index, last))
}

// Open appends what was sealed as that chunk to dst.
func (b *FileBox) Open(dst, sealed []byte, index int64, last bool) ([]byte, error) {
	plain, err := b.aead.Open(dst, nil, sealed, b.additional(index, last))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// chunks is how many chunks a file of that size has: at least one.
func chunks(size int64) int64 { return max((size+ChunkSize-1)/ChunkSize, 1) }

// SealedSize is the size of a file of that many bytes, when it is sealed.
func SealedSize(size int64) int64 { return size + chunks(size)*Overhead }

// A FileWriter seals what is written to it; Close writes the last chunk. It keeps one chunk.
type FileWriter struct {
	box   *FileBox
	to    io.Writer
	plain []byte
	index int64
	size  int64
}

// NewFileWriter writes the sealed file to w.
func NewFileWriter(w io.Writer, box *FileBox) *FileWriter {
	return &FileWriter{box: box, to: w, plain: make([]byte, 0, ChunkSize)}
}

// Size is how many bytes were written.
func (w *FileWriter) Size() int64 { return w.size }

func (w *FileWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(w.plain) == ChunkSize { // there is more, so it is not the last
			if err := w.chunk(false); err != nil {
				return n, err
			}
		}
		k := copy(w.plain[len(w.plain):ChunkSize], p)
		w.plain = w.plain[:len(w.plain)+k]
		p, n, w.size = p[k:], n+k, w.size+int64(k)
	}
	return n, nil
}

func (w *FileWriter) chunk(last bool) error {
	_, err := w.to.Write(w.box.Seal(nil, w.plain, w.index, last))
	w.plain = w.plain[:0]
	w.index++
	return err
}

// Close writes what is left. It closes nothing else.
func (w *FileWriter) Close() error { return w.chunk(true) }

// A FileReader reads any part of a sealed file of a known size, opening the chunks that it needs. It remembers the
// last one, and is for one reader at a time.
type FileReader struct {
	box   *FileBox
	from  io.ReaderAt
	size  int64
	index int64 // of plain; -1 is none
	plain []byte
}

// NewFileReader reads a file that has size bytes when it is opened.
func NewFileReader(r io.ReaderAt, box *FileBox, size int64) *FileReader {
	return &FileReader{box: box, from: r, size: size, index: -1}
}

// ReadAt implements io.ReaderAt. What is not what was sealed is ErrOpen.
func (r *FileReader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= r.size {
			return n, io.EOF
		}
		if err := r.load(at / ChunkSize); err != nil {
			return n, err
		}
		n += copy(p[n:], r.plain[at%ChunkSize:])
	}
	return n, nil
}

func (r *FileReader) load(index int64) error {
	if index == r.index {
		return nil
	}
	last := index == chunks(r.size)-1
	plain := int64(ChunkSize)
	if last {
		plain = r.size - index*ChunkSize
	}
	sealed := make([]byte, plain+Overhead)
	if n, err := r.from.ReadAt(sealed, index*(ChunkSize+Overhead)); err != nil && n < len(sealed) {
		if err == io.EOF {
			err = ErrOpen // it was cut off
		}
		return err
	}
	opened, err := r.box.Open(r.plain[:0], sealed, index, last)
	if err != nil || int64(len(opened)) != plain {
		r.index = -1
		return ErrOpen
	}
	r.index, r.plain = index, opened
	return nil
}

// Check opens all of it: whether each byte is what was sealed.
func (r *FileReader) Check() error {
	for i := range chunks(r.size) {
		if err := r.load(i); err != nil {
			return err
		}
	}
	return nil
}
