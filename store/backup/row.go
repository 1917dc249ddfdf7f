package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// What a value is, as it is written.
const (
	isNull  = 0
	isInt   = 1
	isText  = 2
	isBlob  = 3
	isFloat = 4
)

// columnsMax is how many columns a row may have; SQLite's own limit is 2,000.
const columnsMax = 2000

var errRow = errors.New("not a row")

// appendRow writes a row behind b: the number of its values, and each with its kind.
func appendRow[V any](b []byte, row []V) ([]byte, error) {
	b = binary.AppendUvarint(b, uint64(len(row)))
	for _, v := range row {
		switch v := any(v).(type) {
		case nil:
			b = append(b, isNull)
		case int64:
			b = binary.AppendVarint(append(b, isInt), v)
		case string:
			b = binary.AppendUvarint(append(b, isText), uint64(len(v)))
			b = append(b, v...)
		case []byte:
			b = binary.AppendUvarint(append(b, isBlob), uint64(len(v)))
			b = append(b, v...)
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, isFloat), math.Float64bits(v))
		default:
			return nil, fmt.Errorf("a value of type %T cannot be copied", v)
		}
	}
	return b, nil
}

// readRow reads the first row of b and answers what follows it. Blobs are parts of b.
func readRow(b []byte) (row []any, rest []byte, err error) {
	n, b, err := readUvarint(b)
	if err != nil || n > columnsMax || n > uint64(len(b)) {
		return nil, nil, errRow
	}
	row = make([]any, n)
	for i := range row {
		if row[i], b, err = readValue(b); err != nil {
			return nil, nil, err
		}
	}
	return row, b, nil
}

func readValue(b []byte) (v any, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errRow
	}
	kind, b := b[0], b[1:]
	switch kind {
	case isNull:
		return nil, b, nil
	case isInt:
		n, size := binary.Varint(b)
		if size <= 0 {
			return nil, nil, errRow
		}
		return n, b[size:], nil
	case isText, isBlob:
		n, b, err := readUvarint(b)
		if err != nil || n > uint64(len(b)) {
			return nil, nil, errRow
		}
		if kind == isText {
			return string(b[:n]), b[n:], nil
		}
		return b[:n:n], b[n:], nil
	case isFloat:
		if len(b) < 8 {
			return nil, nil, errRow
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), b[8:], nil
	}
	return nil, nil, errRow
}

func readUvarint(b []byte) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, errRow
	}
	return n, b[size:], nil
}

// eachRow calls do with each row of a sequence.
func eachRow(b []byte, do func(row []any) error) error {
	for len(b) > 0 {
		row, rest, err := readRow(b)
		if err != nil {
			return err
		}
		if err := do(row); err != nil {
			return err
		}
		b = rest
	}
	return nil
}
