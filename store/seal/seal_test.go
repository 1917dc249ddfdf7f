package seal

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
)

// vectorFile is what other programs can test themselves against.
const vectorFile = "../../testdata/vectors/seal.txt"

// A vector is one paragraph of the file: names and values.
type vector map[string]string

func readVectors(t *testing.T) []vector {
	t.Helper()
	f, err := os.Open(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []vector
	v := vector{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, value, ok := strings.Cut(s.Text(), ":")
		switch {
		case strings.HasPrefix(name, "#"):
		case !ok && len(v) > 0:
			all, v = append(all, v), vector{}
		case ok:
			v[name] = strings.TrimSpace(value)
		}
	}
	if len(v) > 0 {
		all = append(all, v)
	}
	return all
}

func (v vector) bytes(t *testing.T, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v[name])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func (v vector) number(t *testing.T, name string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(v[name], 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func (v vector) box(t *testing.T) (*Box, *Place, Key) {
	t.Helper()
	k, err := KeyFrom(v.bytes(t, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	box := NewBox(&k, v["account"], v.number(t, "conversation"), v.number(t, "generation"))
	return box, &Place{Kind: uint8(v.number(t, "kind")), N: v.number(t, "n"), Actor: v.number(t, "actor"),
		At: v.number(t, "at"), Field: v["field"]}, k
}

func TestVectors(t *testing.T) {
	all := readVectors(t)
	if len(all) < 3 {
		t.Fatalf("only %d vectors", len(all))
	}
	for i, v := range all {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			box, place, k := v.box(t)
			commit := k.Commitment()
			if got := hex.EncodeToString(commit[:]); got != v["commit"] {
				t.Errorf("commitment is %s, want %s", got, v["commit"])
			}
			if got := hex.EncodeToString(box.additional(nil, place)); got != v["aad"] {
				t.Errorf("additional data is %s, want %s", got, v["aad"])
			}
			plain, err := box.Open(nil, v.bytes(t, "sealed"), place)
			if err != nil || string(plain) != v["plain"] {
				t.Errorf("Open = %q, %v, want %q", plain, err, v["plain"])
			}
		})
	}
}

// A sealed value opens in its own place only.
func TestSealedValueIsBoundToItsPlace(t *testing.T) {
	k := NewKey()
	box := NewBox(&k, "desk", 7, 1)
	place := Place{Kind: 1, N: 5, Actor: 3, At: 1000}
	plain := []byte("how can I help?")
	sealed := box.Seal(nil, plain, &place)
	if len(sealed) != len(plain)+Overhead {
		t.Errorf("sealed is %d bytes, want %d more than %d", len(sealed), Overhead, len(plain))
	}
	if got, err := box.Open([]byte("> "), sealed, &place); err != nil || string(got) != "> how can I help?" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if bytes.Equal(sealed, box.Seal(nil, plain, &place)) {
		t.Error("two seals of the same are the same")
	}

	other := NewKey()
	changed := bytes.Clone(sealed)
	changed[len(changed)/2] ^= 1
	for _, test := range []struct {
		name   string
		box    *Box
		place  Place
		sealed []byte
	}{
		{"another key", NewBox(&other, "desk", 7, 1), place, sealed},
		{"another account", NewBox(&k, "shop", 7, 1), place, sealed},
		{"another conversation", NewBox(&k, "desk", 8, 1), place, sealed},
		{"another generation", NewBox(&k, "desk", 7, 2), place, sealed},
		{"another kind", box, Place{Kind: 2, N: 5, Actor: 3, At: 1000}, sealed},
		{"another number", box, Place{Kind: 1, N: 6, Actor: 3, At: 1000}, sealed},
		{"another actor", box, Place{Kind: 1, N: 5, Actor: 4, At: 1000}, sealed},
		{"another time", box, Place{Kind: 1, N: 5, Actor: 3, At: 1001}, sealed},
		{"another field", box, Place{Kind: 1, N: 5, Actor: 3, At: 1000, Field: "answer"}, sealed},
		{"a changed byte", box, place, changed},
		{"a missing byte", box, place, sealed[:len(sealed)-1]},
		{"nothing", box, place, nil},
	} {
		if _, err := test.box.Open(nil, test.sealed, &test.place); !errors.Is(err, ErrOpen) {
			t.Errorf("with %s: %v, want %v", test.name, err, ErrOpen)
		}
	}
}

// I7: no key reaches a log or an error text.
func TestKeysPrintAsNothing(t *testing.T) {
	k, err := KeyFrom(bytes.Repeat([]byte{'K'}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	box := NewBox(&k, "desk", 1, 1)
	var log bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&log, nil))
	l.Info("x", "key", k, "pointer", &k, "box", box, "in", struct{ K Key }{k})
	text := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%T"} {
		text += fmt.Sprintf(verb+" ", k) + fmt.Sprintf(verb+" ", &k) + fmt.Sprintf(verb+" ", struct{ K Key }{k})
	}
	text += fmt.Sprintf("%v %+v %#v %s", box, box, box, box)
	for _, leak := range []string{"KKK", "75 75", "4b4b", "4B4B", "0x4b"} {
		if strings.Contains(text, leak) {
			t.Errorf("a key prints as %q in %s", leak, text)
		}
	}
}

func TestKeyFrom(t *testing.T) {
	if _, err := KeyFrom(make([]byte, 31)); err == nil {
		t.Error("31 bytes are taken for a key")
	}
	k := NewKey()
	if k == (Key{}) {
		t.Error("a new key is zero")
	}
	k.Wipe()
	if k != (Key{}) {
		t.Error("a wiped key is not zero")
	}
}

func BenchmarkSeal(b *testing.B) {
	k := NewKey()
	box := NewBox(&k, "desk", 7, 1)
	plain := make([]byte, 250)
	var dst []byte
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		dst = box.Seal(dst[:0], plain, &Place{Kind: 1, N: i, Actor: 3, At: 1000})
	}
}
