package backup

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A piece is a sequence of frames: a header, the log's rows, chunks of rows of other
// tables, the list of chunks of each table, what was destroyed, and an end. Each frame is its kind, its
// length and its content.
const (
	frameHeader = 'H' // JSON of a header
	frameLog    = 'L' // rows of the log
	frameChunk  = 'C' // name, and the rows of another table that it stands for
	frameTable  = 'T' // a table, and the names of all its chunks
	frameShred  = 'S' // conversations that were shredded: their numbers
	frameGone   = 'G' // conversations that live on: up to which number records were destroyed
	frameEnd    = 'E' // JSON of an end; nothing follows
)

// frameMax bounds what a reader takes at once: the largest row and a little.
const frameMax = 256 << 20

const pieceFormat = 1

// A header begins a piece and says where it belongs, so that a piece in the place of
// another is noticed.
type header struct {
	Format   int       `json:"format"`
	Kind     Kind      `json:"kind"`
	Account  string    `json:"account"`
	Chain    string    `json:"chain"`
	Seq      int       `json:"seq"` // 0 is full
	Previous string    `json:"previous,omitempty"`
	Time     time.Time `json:"time"`
	Schema   int       `json:"schema"`
	SQL      []string  `json:"sql,omitempty"` // makes the tables
	// Mark names the chunks of this chain: without it, who sees a name could tell by
	// trying what a chunk holds.
	Mark []byte `json:"mark"`
}

// An end says how much there was.
type end struct {
	Newest  int64            `json:"newest"`  // ordinal
	Records int64            `json:"records"` // of the log in this piece
	Rows    map[string]int64 `json:"rows"`    // in all, of each other table
}

var (
	errCut   = errors.New("is cut off")
	errFrame = errors.New("is not a piece of a copy")
)

// A frames writes frames.
type frames struct {
	w       *bufio.Writer
	scratch [binary.MaxVarintLen64 + 1]byte
}

func newFrames(w io.Writer) *frames { return &frames{w: bufio.NewWriterSize(w, 64<<10)} }

func (f *frames) write(kind byte, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > frameMax {
		return fmt.Errorf("%d bytes are too many to copy at once", n)
	}
	f.scratch[0] = kind
	if _, err := f.w.Write(binary.AppendUvarint(f.scratch[:1], uint64(n))); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := f.w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func (f *frames) writeJSON(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.write(kind, text)
}

// readFrames calls do with each frame up to the end. The content is valid during the
// call only. What comes without an end was cut off.
func readFrames(r io.Reader, do func(kind byte, content []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var buf []byte
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return cut(err)
		}
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return cut(err)
		}
		if n > frameMax {
			return errFrame
		}
		if buf, err = readAll(in, buf[:0], int(n)); err != nil {
			return cut(err)
		}
		if err := do(kind, buf); err != nil {
			return err
		}
		if kind == frameEnd {
			// What seals the piece notices what was added behind it.
			if _, err := io.Copy(io.Discard, in); err != nil {
				return cut(err)
			}
			return nil
		}
	}
}

// readAll reads n bytes behind buf, without making room for more than what comes.
func readAll(in io.Reader, buf []byte, n int) ([]byte, error) {
	const step = 1 << 20
	for n > 0 {
		some := min(n, step)
		at := len(buf)
		if cap(buf)-at < some {
			buf = append(buf, make([]byte, some)...)
		}
		buf = buf[:at+some]
		if _, err := io.ReadFull(in, buf[at:]); err != nil {
			return buf, err
		}
		n -= some
	}
	return buf, nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}
