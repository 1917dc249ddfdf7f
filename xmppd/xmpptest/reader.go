package xmpptest

import (
	"bufio"
	"encoding/xml"
	"io"
	"strings"
)

// A recorder remembers the bytes that a decoder has read, one by one, so that a
// talk can show them as they came and the next decoder goes on exactly behind
// them.
type recorder struct {
	src   *bufio.Reader
	bytes []byte
	from  int64 // the decoder's offset of bytes[0]
}

// ReadByte makes encoding/xml read no further than it must.
func (r *recorder) ReadByte() (byte, error) {
	b, err := r.src.ReadByte()
	if err == nil {
		r.bytes = append(r.bytes, b)
	}
	return b, err
}

// Read is not used by encoding/xml when there is ReadByte.
func (r *recorder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// upTo hands out what was read before the decoder's offset, and forgets it.
func (r *recorder) upTo(offset int64) string {
	n := min(int(offset-r.from), len(r.bytes))
	s := string(r.bytes[:n])
	r.bytes = r.bytes[n:]
	r.from += int64(n)
	return s
}

// readStreams puts everything that comes into the inbox, until the connection
// is gone or TLS is to begin.
func readStreams(conn io.Reader, in *inbox) {
	src := bufio.NewReader(conn)
	for readStream(src, in) {
	}
}

// readStream reads one stream from its header on. It says whether another one
// follows on the same bytes (RFC 6120 §6.4.6).
func readStream(src *bufio.Reader, in *inbox) (again bool) {
	rec := &recorder{src: src}
	d := xml.NewDecoder(rec)
	depth := 0
	for {
		tok, err := d.Token()
		if err != nil {
			return dead(src, in, err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth == 0 {
				depth++
				in.put(item{kind: gotHeader, node: startNode(tok), raw: rec.upTo(d.InputOffset())})
				continue
			}
			n, err := readNode(d, tok)
			if err != nil {
				return dead(src, in, err)
			}
			in.put(item{kind: gotElement, node: n, raw: rec.upTo(d.InputOffset())})
			switch {
			case n.is(nsTLS, "proceed"):
				return false // the next bytes are TLS
			case n.is(nsSASL, "success"):
				return true
			}
		case xml.EndElement:
			in.put(item{kind: gotEnd, raw: rec.upTo(d.InputOffset())})
			_, err := io.Copy(io.Discard, src)
			return dead(nil, in, err)
		case xml.CharData:
			// RFC 6120 §4.6.1: white space keeps a connection alive.
			if s := rec.upTo(d.InputOffset()); strings.TrimSpace(string(tok)) != "" {
				in.put(item{kind: gotText, raw: s})
			}
		}
	}
}

// dead tells how a connection ended. Nothing more counts, but whoever writes
// must not be held up.
func dead(src io.Reader, in *inbox, err error) (again bool) {
	it := item{kind: gotCut, raw: "the connection is gone"}
	if err != nil && err != io.EOF {
		it.raw += ": " + err.Error()
	}
	in.put(it)
	if src != nil {
		// Only the bytes' way out of the server matters, not how it ends.
		_, _ = io.Copy(io.Discard, src)
	}
	return false
}
