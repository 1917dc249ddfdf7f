package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// A Hash is a place in the chain.
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Follow is h_n = SHA-256(h_{n-1} ‖ record_n).
func (h Hash) Follow(record []byte) Hash {
	d := sha256.New()
	d.Write(h[:])
	d.Write(record)
	return Hash(d.Sum(nil))
}

// A Line is a record as it stands in its file.
type Line struct {
	Hash Hash
	Text []byte // the record, canonical
	Record
}

// An anchor is the first line of a file: what its first record follows.
type anchor struct {
	hash    Hash
	Account string `json:"account"`
	Format  int    `json:"format"`
	N       int64  `json:"n"`
}

// format is of the files. It never changes its meaning.
const format = 1

var (
	errForm   = errors.New("not a hash, a space and a record")
	errAnchor = errors.New("not an anchor of this format")
)

func appendLine(b []byte, h Hash, text []byte) []byte {
	b = hex.AppendEncode(b, h[:])
	b = append(b, ' ')
	b = append(b, text...)
	return append(b, '\n')
}

func (a *anchor) line() []byte {
	text := appendString([]byte(`{"account":`), a.Account)
	text = fmt.Appendf(text, `,"format":%d,"n":%d}`, format, a.N)
	return appendLine(nil, a.hash, text)
}

// split takes a line apart, which has no line end any more.
func split(line []byte) (h Hash, text []byte, err error) {
	first, text, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(first) != hex.EncodedLen(len(h)) || len(line) > lineMax {
		return h, nil, errForm
	}
	if _, err := hex.Decode(h[:], first); err != nil {
		return h, nil, errForm
	}
	return h, text, nil
}

func parseAnchor(line []byte) (a anchor, err error) {
	h, text, err := split(line)
	if err != nil {
		return a, errAnchor
	}
	if err := json.Unmarshal(text, &a); err != nil || a.Format != format || a.N < 0 {
		return a, errAnchor
	}
	a.hash = h
	return a, nil
}

func parseLine(line []byte) (l Line, err error) {
	if l.Hash, l.Text, err = split(line); err != nil {
		return l, err
	}
	l.Record, err = parseRecord(l.Text)
	return l, err
}
