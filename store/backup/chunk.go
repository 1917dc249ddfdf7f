package backup

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"hash/fnv"
)

// Rows of a table are cut into chunks where the key of a row says so, so that a row
// which comes or goes changes its own chunk only.
const (
	rowsInChunk = 16 // on average; a power of two
	chunkBytes  = 256 << 10
)

// nameSize is how long the name of a chunk is.
const nameSize = 16

// A name is what a chunk is known by: a keyed hash of its table and rows.
type name [nameSize]byte

// A namer makes names.
type namer struct{ mac hash.Hash }

func newNamer(mark []byte) *namer { return &namer{hmac.New(sha256.New, mark)} }

func (n *namer) name(table string, rows []byte) (c name) {
	n.mac.Reset()
	fmt.Fprintf(n.mac, "%d %s ", len(table), table)
	n.mac.Write(rows)
	var sum [sha256.Size]byte
	copy(c[:], n.mac.Sum(sum[:0]))
	return c
}

// A table is one of those that are copied in chunks.
type table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	keys    []int    // which columns order it
	names   []name
	rows    int64
}

// frame is the table with the names of its chunks.
func (t *table) frame() ([]byte, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	b := append(binary.AppendUvarint(nil, uint64(len(text))), text...)
	for i := range t.names {
		b = append(b, t.names[i][:]...)
	}
	return b, nil
}

func parseTable(b []byte) (*table, error) {
	n, b, err := readUvarint(b)
	if err != nil || n > uint64(len(b)) || (uint64(len(b))-n)%nameSize != 0 {
		return nil, errFrame
	}
	t := new(table)
	if err := json.Unmarshal(b[:n], t); err != nil || t.Name == "" || len(t.Columns) == 0 {
		return nil, errFrame
	}
	for b = b[n:]; len(b) > 0; b = b[nameSize:] {
		t.names = append(t.names, name(b[:nameSize]))
	}
	return t, nil
}

// A chunker cuts the rows of a table.
type chunker struct {
	t     *table
	namer *namer
	known map[name]bool // what the chain has
	added map[name]bool // what this piece has
	out   *frames
	rows  []byte
	key   []byte
}

// add puts a row behind the others and ends the chunk where the row's key is one of
// those at which chunks end.
func (c *chunker) add(row []any) (err error) {
	if c.rows, err = appendRow(c.rows, row); err != nil {
		return err
	}
	c.t.rows++
	c.key = c.key[:0]
	for _, i := range c.t.keys {
		if c.key, err = appendRow(c.key, row[i:i+1]); err != nil {
			return err
		}
	}
	h := fnv.New64a()
	h.Write(c.key)
	sum := h.Sum64()
	if (sum^sum>>32)%rowsInChunk == 0 || len(c.rows) >= chunkBytes {
		return c.end()
	}
	return nil
}

// end ends a chunk and writes it, unless the chain has it already.
func (c *chunker) end() error {
	if len(c.rows) == 0 {
		return nil
	}
	n := c.namer.name(c.t.Name, c.rows)
	c.t.names = append(c.t.names, n)
	defer func() { c.rows = c.rows[:0] }()
	if c.known[n] || c.added[n] {
		return nil
	}
	c.added[n] = true
	return c.out.write(frameChunk, n[:], binary.AppendUvarint(nil, uint64(len(c.t.Name))), []byte(c.t.Name), c.rows)
}

// parseChunk takes a chunk's frame apart.
func parseChunk(b []byte) (n name, table string, rows []byte, err error) {
	if len(b) < nameSize {
		return n, "", nil, errFrame
	}
	copy(n[:], b)
	size, b, err := readUvarint(b[nameSize:])
	if err != nil || size > uint64(len(b)) {
		return n, "", nil, errFrame
	}
	return n, string(b[:size]), b[size:], nil
}
