package store_test

import (
	"bytes"
	"reflect"
	"testing"

	"parley.im/parley/store"
)

func TestMessageRoundTrip(t *testing.T) {
	want := store.Message{
		Type: "chat", From: "anna@desk.example/laptop", To: "bob@desk.example", ID: "m1", OriginID: "o1", Lang: "de",
		Decls: []byte(" xmlns:x='urn:x'"), Inner: []byte("<body>Tür</body>"),
	}
	got, err := store.ParseMessage(store.AppendMessage(nil, &want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseMessage(AppendMessage(m)) = %+v, %v, want %+v", got, err, want)
	}
}

func TestParseMessageRefuses(t *testing.T) {
	whole := store.AppendMessage(nil, &store.Message{Type: "chat", Inner: []byte("<body/>")})
	for name, in := range map[string][]byte{
		"nothing":         nil,
		"another version": append([]byte{9}, whole[1:]...),
		"too short":       whole[:len(whole)-1],
		"too long":        append(bytes.Clone(whole), 0),
		"a length beyond": {1, 255, 255, 255, 255, 15},
	} {
		if m, err := store.ParseMessage(in); err == nil {
			t.Errorf("%s: ParseMessage(%x) = %+v, want an error", name, in, m)
		}
	}
}

// What is accepted is what would be written.
func FuzzParseMessage(f *testing.F) {
	f.Add(store.AppendMessage(nil, &store.Message{Type: "chat", ID: "m1", Inner: []byte("<body>hi</body>")}))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := store.ParseMessage(in)
		if err != nil {
			return
		}
		again, err := store.ParseMessage(store.AppendMessage(nil, &m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("ParseMessage(%x) = %+v, written and read again: %+v, %v", in, m, again, err)
		}
	})
}
