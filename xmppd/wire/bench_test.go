package wire

import (
	"testing"
)

// chat is a message of 250 bytes as clients write them.
const chat = `<message to='anna@desk.example/laptop' type='chat' id='5f2c81b3-9a0e-4d4c-8d0a-0b7d3c6f9e11'>` +
	`<body>Yes &amp; no. How can I help you? Tell me what the parcel's number is, please</body>` +
	`<active xmlns='http://jabber.org/protocol/chatstates'/></message>`

// A repeater is a stream that says the same again and again behind its head.
type repeater struct {
	head, text string
	at         int
}

func (r *repeater) Read(b []byte) (int, error) {
	if r.head != "" {
		n := copy(b, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	n := copy(b, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

func BenchmarkNext(b *testing.B) {
	r := NewReader(&repeater{head: header, text: chat}, Limits{})
	if _, err := r.Header(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(chat)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	s, err := Parse([]byte(chat), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendOpen(out[:0], s.Kind, Attrs{Type: "chat", ID: s.ID, From: "emil@desk.example/phone", To: "anna@desk.example/laptop"})
		out = append(out, s.Inner...)
		out = AppendClose(out, s.Kind)
	}
}
