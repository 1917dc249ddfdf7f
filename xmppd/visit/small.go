package visit

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
)

// smallBuffer is how large the buffers of a WebSocket are, in bytes: most frames fit. Those of
// net/http are four times that, and lead to all that it knows of the request.
const smallBuffer = 1 << 10

// A small answer is hijacked with small buffers.
type small struct {
	http.ResponseWriter
	conn net.Conn // once it is
}

// Hijack takes the connection over.
func (w *small) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = c
	early, err := rw.Reader.Peek(rw.Reader.Buffered()) // what came before it was asked for
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(early)), c), max(smallBuffer, len(early)))
	r.Peek(len(early)) // it is there
	return c, bufio.NewReadWriter(r, bufio.NewWriterSize(c, smallBuffer)), nil
}
