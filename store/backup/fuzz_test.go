package backup

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"parley.im/parley/store/seal"
)

// What a piece holds is somebody else's until it is read: nothing in it may do more than
// be refused.
func FuzzPiece(f *testing.F) {
	var b bytes.Buffer
	out := newFrames(&b)
	rows, err := appendRow(nil, []any{int64(1), "two", []byte("three"), nil, 4.5})
	if err != nil {
		f.Fatal(err)
	}
	namer := newNamer([]byte("mark"))
	r := &reading{out: out, namer: namer, known: map[name]bool{}, added: map[name]bool{}}
	c := r.chunker(&table{Name: "t", Columns: []string{"a", "b", "c", "d", "e"}, keys: []int{0}})
	for _, err := range []error{
		out.writeJSON(frameHeader, header{Format: 1, Kind: Data, Account: "desk", Time: time.Unix(0, 0)}),
		out.write(frameLog, rows), c.add([]any{int64(1), "two", []byte("three"), nil, 4.5}), r.finish(c), r.finishPiece(),
	} {
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-3])
	f.Add([]byte{frameTable, 3, 1, '{', '}'})
	f.Add([]byte{frameGone, 3, 2, 200, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		frames := 0
		err := readFrames(bytes.NewReader(in), func(kind byte, content []byte) error {
			frames++
			switch kind {
			case frameLog:
				return eachRow(content, func([]any) error { return nil })
			case frameChunk:
				_, _, rows, err := parseChunk(content)
				if err != nil {
					return err
				}
				return eachRow(rows, func([]any) error { return nil })
			case frameTable:
				_, err := parseTable(content)
				return err
			case frameShred:
				_, err := parseShredded(content)
				return err
			case frameGone:
				_, err := parseGone(content)
				return err
			case frameHeader, frameEnd:
				return json.Unmarshal(content, new(header))
			}
			return nil
		})
		if err == nil && frames == 0 {
			t.Error("nothing was taken for a piece")
		}
	})
}

// Every row comes back as it was, and what is no row is refused.
func FuzzRow(f *testing.F) {
	f.Add([]byte{2, isInt, 4, isText, 1, 'x'})
	f.Add([]byte{1, isBlob, 200, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		row, rest, err := readRow(in)
		if err != nil {
			return
		}
		b, err := appendRow(nil, row)
		if err != nil {
			t.Fatal(err)
		}
		again, left, err := readRow(b)
		if err != nil || len(left) != 0 {
			t.Fatalf("%v was written and not read: %v", row, err)
		}
		second, err := appendRow(nil, again)
		if err != nil || !bytes.Equal(b, second) || len(rest) > len(in) {
			t.Errorf("%v came back as %v", row, again)
		}
	})
}

func FuzzManifest(f *testing.F) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := &Manifest{Format: 1, Kind: Data, Time: at, Chains: []Chain{{Kind: Data, Account: "desk", Pieces: []Piece{
		{Name: pieceName(Data, "desk", stamp(at), 0, at), Size: 3},
	}}}}
	root := []seal.Key{{1, 2, 3}}
	var seed []byte // which alone was signed
	for _, roots := range [][]seal.Key{nil, root} {
		_, text, err := m.encode(roots)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		if seed == nil {
			seed = text
		}
	}
	f.Add([]byte(`{"chains":[{"pieces":[{"name":"../../x"}]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := parseManifest(manifestsDir+"20260101T000000.000Z-"+shortHash(in)+".json", in)
		if err != nil {
			return
		}
		if got.madeBy(root) == nil && !bytes.Equal(got.signed, seed) {
			t.Errorf("%q counts as signed", in)
		}
		for _, c := range got.Chains {
			for _, p := range c.Pieces {
				if _, ok := parsePieceName(p.Name); !ok {
					t.Errorf("a manifest leads to %q", p.Name)
				}
			}
		}
	})
}

// A chain in the spool may be damaged.
func FuzzChain(f *testing.F) {
	f.Add([]byte(`{"Pieces":[{"name":"x"}]}` + "\n0123456789abcdef"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := parseChain(in); err == nil && (len(c.Pieces) == 0 || len(c.known) > len(in)/nameSize) {
			t.Errorf("%q was read as %+v", in, c)
		}
	})
}
