package im

import (
	"testing"
	"time"

	"parley.im/parley/store"
)

// BenchmarkResult is a kept message read back: parsed, and written as a result.
func BenchmarkResult(b *testing.B) {
	kept := store.AppendMessage(nil, &store.Message{
		Type: "chat", From: "anna@desk.example/laptop", To: "bob@desk.example", ID: "5f2c81b3-9a0e-4d4c-8d0a-0b7d3c6f9e11",
		Inner: []byte("<body>Yes &amp; no. How can I help you? Tell me what the parcel's number is, please</body>" +
			"<active xmlns='http://jabber.org/protocol/chatstates'/>"),
	})
	v := &Viewer{Bare: "bob@desk.example", Domain: "desk.example", ID: func(store.Ordinal) string { return "abcdefghijklmnopqrstuvwxyz" }}
	e := &store.Entry{Ordinal: 1, At: time.Date(2026, 3, 1, 9, 0, 0, 123e6, time.UTC)}
	results := NewResults(v, "bob@desk.example/phone", "q1")
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		m, err := store.ParseMessage(kept)
		if err != nil {
			b.Fatal(err)
		}
		out = results.Append(out[:0], e, &m)
	}
}
