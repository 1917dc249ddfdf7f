package wire

import (
	"io"
	"math"
	"reflect"
)

// A Reader takes a stream apart into checked top-level elements. It is used by
// one goroutine.
//
// A Reader that waits for a connection that says nothing holds one buffer of
// 512 bytes and itself; what it needs beyond that while an element is being read is
// shared with all other Readers.
//
// The source is asked for more only when no whole element is left in the buffer.
// So a source whose Read first flushes what was written in answer batches the
// answers without delaying any.
type Reader struct {
	src    io.Reader
	limits Limits
	stream stream

	// What was read and not yet consumed is buf[start:end]. The first used
	// bytes of it belong to the stanza that was handed out last.
	buf              []byte
	start, end, used int
	idle             []byte // buf, while little is in it
	big              *block // or else whose memory buf is

	scan *scan // nil while nothing of an element is there
	busy bool  // scan is in the middle of an element

	prolog    bool  // what comes before the stream's start tag is behind us
	restarted bool  // on the same source: white space may follow the last element
	err       error // what Next and Header return from now on
	readErr   error // what the source said together with its last bytes
}

// NewReader returns a Reader for the streams that come from src. Their content
// namespace is jabber:client unless SetContent says otherwise.
func NewReader(src io.Reader, l Limits) *Reader {
	r := &Reader{src: src, idle: make([]byte, idleSize), stream: stream{content: NSClient}}
	r.buf = r.idle
	r.SetLimits(l)
	return r
}

// SetLimits changes the limits, from the next element on.
func (r *Reader) SetLimits(l Limits) { r.limits = l.withDefaults() }

// SetContent names the content namespace that stream headers must have (RFC
// 6120 §4.8.3).
func (r *Reader) SetContent(space string) { r.stream.content = space }

// Restart prepares for a new stream header, after TLS or SASL (RFC 6120 §4.3.3).
// If src is the same as before, what was read ahead is kept; if not, it is
// dropped: what stood in the clear behind the request for TLS must not be taken
// for part of the secured stream (RFC 6120 §5.4.3.3).
func (r *Reader) Restart(src io.Reader) {
	same := sameSource(r.src, src)
	r.start += r.used
	r.used = 0
	if !same {
		r.start, r.end, r.readErr = 0, 0, nil
		r.src = src
	}
	r.stream = stream{content: r.stream.content}
	r.busy, r.prolog, r.restarted, r.err = false, false, same, nil
}

// sameSource compares sources without a panic for types that cannot be
// compared.
func sameSource(a, b io.Reader) bool {
	t := reflect.TypeOf(a)
	return t == reflect.TypeOf(b) && (t == nil || t.Comparable() && a == b)
}

// Buffered is the number of bytes that were read but not yet consumed.
func (r *Reader) Buffered() int { return r.end - r.start - r.used }

// Pending tells whether a further element, or the beginning of one, is at hand
// without reading.
func (r *Reader) Pending() bool {
	return r.err == nil && skipSpace(r.buf[:r.end], r.start+r.used) < r.end
}

// Next returns the next top-level element, completely checked. It is good until
// the next call. White space between elements is skipped (RFC 6120
// §11.7).
//
// After the stream's end tag Next returns io.EOF; where the connection ends
// without one, io.ErrUnexpectedEOF; for what is not allowed or over the limits,
// a StreamError. These stay. Other errors are those of the source, and Next may
// be called again.
func (r *Reader) Next() (*Stanza, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.start += r.used
	r.used = 0
	if err := r.element(false); err != nil {
		return nil, err
	}
	if r.scan.ended {
		return nil, r.fail(io.EOF) // RFC 6120 §4.4
	}
	s, err := r.scan.stanza(r.buf[r.start : r.start+r.scan.pos])
	if err != nil {
		return nil, r.fail(err)
	}
	r.used = r.scan.pos
	return s, nil
}

// element reads and checks up to the end of one element, or of the stream's
// start tag.
func (r *Reader) element(header bool) error {
	if !r.busy {
		if err := r.skipSpace(); err != nil {
			return err
		}
		if r.scan == nil {
			r.scan = scans.Get().(*scan)
		}
		r.scan.reset(&r.stream, r.limits, header)
		r.busy = true
	}
	for {
		// Looking no further than the limit makes the outcome independent of
		// how the bytes were cut into pieces.
		view := r.buf[r.start:min(r.end, r.start+r.scan.limits.Bytes)]
		err := r.scan.run(view)
		if err == nil {
			r.busy = false
			return nil
		}
		if err == errMore {
			if len(view) < r.scan.limits.Bytes {
				err = r.fill()
				if err == nil {
					continue
				}
				return err
			}
			// RFC 6120 §4.9.3.14: what follows may be the rest of it, so
			// that the stream must end.
			err = StreamError{Condition: PolicyViolation, Text: "stanza too big"}
		}
		return r.fail(err)
	}
}

// skipSpace goes to the first byte that is not white space. While it waits for
// one, the Reader holds nothing but its smallest buffer.
func (r *Reader) skipSpace() error {
	for {
		r.start = skipSpace(r.buf[:r.end], r.start)
		if r.start < r.end {
			return nil
		}
		r.start, r.end = 0, 0
		r.release()
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// fail makes err the end of the stream.
func (r *Reader) fail(err error) error {
	r.err = err
	r.start, r.end, r.used = 0, 0, 0
	r.release()
	return err
}

func (l Limits) withDefaults() Limits {
	for _, f := range [...]struct {
		limit    *int
		standard int
	}{
		{&l.Bytes, 256 << 10}, {&l.Depth, 64}, {&l.Attrs, 64}, {&l.Children, 2048},
	} {
		if *f.limit <= 0 {
			*f.limit = f.standard
		}
	}
	// Positions are kept in 32 bits.
	l.Bytes = min(l.Bytes, math.MaxInt32)
	return l
}
