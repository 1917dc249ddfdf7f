package wire

import (
	"io"
	"sync"
)

const (
	idleSize = 512
	growth   = 4 // each buffer is so many times the size of the one before
)

// A block is memory for an element that is bigger than the idle buffer.
type block struct {
	class int
	bytes []byte
}

// blocks keeps blocks for reuse: of 4, 16, 64 and 256 KiB. Bigger ones are made
// when needed and left to the garbage collector.
var blocks [4]sync.Pool

// scans keeps the state of scans for reuse.
var scans = sync.Pool{New: func() any {
	return &scan{
		open: make([]element, 0, 8), attrs: make([]attr, 0, 16), bindings: make([]binding, 0, 8),
		children: make([]childSpan, 0, 8), result: Stanza{Children: make([]Child, 0, 8)},
	}
}}

// keptChildren is how many children or levels a scan may have had to be worth
// keeping.
const keptChildren = 256

// release gives back all that an idle Reader does not need. Nothing may be in
// the buffer.
func (r *Reader) release() {
	if s := r.scan; s != nil {
		r.scan = nil
		if cap(s.children) <= keptChildren && cap(s.open) <= keptChildren && cap(s.scratch) <= blockSize(0) {
			s.result = Stanza{Children: s.result.Children[:0]}
			scans.Put(s)
		}
	}
	r.dropBlock()
	r.buf = r.idle
}

func (r *Reader) dropBlock() {
	if r.big != nil && r.big.class < len(blocks) {
		blocks[r.big.class].Put(r.big)
	}
	r.big = nil
}

func blockSize(class int) int {
	n := idleSize * growth
	for range class {
		n *= growth
	}
	return n
}

// fill reads at least one byte more, and makes room for it first.
func (r *Reader) fill() error {
	if err := r.readErr; err != nil {
		r.readErr = nil
		return r.readFailed(err)
	}
	if r.end == len(r.buf) {
		r.makeRoom()
	}
	// A source may return nothing now and then, but not for ever.
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if n > 0 {
			r.readErr = err
			return nil
		}
		if err != nil {
			return r.readFailed(err)
		}
	}
	return io.ErrNoProgress
}

// readFailed makes the end of the connection the end of the stream, which
// should have come before. Other errors, such as a passed deadline, may be
// followed by more.
func (r *Reader) readFailed(err error) error {
	if err == io.EOF {
		return r.fail(io.ErrUnexpectedEOF)
	}
	return err
}

// makeRoom moves the element being read to the front of the buffer, or where
// it stands there already, into the next bigger one.
func (r *Reader) makeRoom() {
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.start, r.end = 0, r.end-r.start
		return
	}
	class := 0
	if r.big != nil {
		class = r.big.class + 1
	}
	bigger := getBlock(class)
	copy(bigger.bytes, r.buf)
	r.dropBlock()
	r.big, r.buf = bigger, bigger.bytes
}

func getBlock(class int) *block {
	if class < len(blocks) {
		if b, ok := blocks[class].Get().(*block); ok {
			return b
		}
	}
	return &block{class, make([]byte, blockSize(class))}
}
