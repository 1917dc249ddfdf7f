package wire

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// small is shared by the tests of limits.
var small = Limits{Bytes: 400, Depth: 4, Attrs: 3, Children: 5}

// Rule 4.
func TestLimits(t *testing.T) {
	pad := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct{ name, in, want string }{
		{"bytes, all", "<message><body>" + pad(400-32) + "</body></message>", ""},
		{"bytes, one more", "<message><body>" + pad(401-32) + "</body></message>", PolicyViolation},
		{"endless text", "<message><body>" + pad(4000), PolicyViolation},
		{"endless name", "<" + pad(4000), PolicyViolation},
		{"endless start tag", "<message" + strings.Repeat(" ", 4000), PolicyViolation},
		{"endless attribute name", "<message a" + pad(4000), PolicyViolation},
		{"endless value", "<message a='" + pad(4000), PolicyViolation},
		{"endless end tag", "<message></message" + strings.Repeat(" ", 4000), PolicyViolation},
		{"endless end of the stream", "</stream:stream" + strings.Repeat(" ", 4000), PolicyViolation},
		{"endless CDATA", "<message><![CDATA[" + pad(4000), PolicyViolation},
		{"depth, all", "<message><a><b><c/></b></a></message>", ""},
		{"depth, one more", "<message><a><b><c><d/></c></b></a></message>", PolicyViolation},
		{"attributes, all", "<message a='' b='' c=''><x d='' e='' f=''/></message>", ""},
		{"attributes, one more", "<message a='' b='' c='' d=''/>", PolicyViolation},
		{"attributes of a child", "<message><x a='' b='' xmlns:c='urn:example:c' d=''/></message>", PolicyViolation},
		{"children, all", "<message><a/><a><a/><a/></a><a/></message>", ""},
		{"children, one more", "<message><a/><a><a/><a/></a><a/><a/></message>", PolicyViolation},
	} {
		r := opened(t, strings.NewReader(c.in+"<presence/>"), Limits{})
		r.SetLimits(small)
		if _, err := r.Next(); condition(err) != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		r = opened(t, iotest.OneByteReader(strings.NewReader(c.in)), Limits{})
		r.SetLimits(small)
		if _, err := r.Next(); condition(err) != c.want {
			t.Errorf("%s, byte by byte: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestWhiteSpaceIsNotHeld(t *testing.T) {
	r := opened(t, io.MultiReader(strings.NewReader(strings.Repeat(" \n", 1<<20)), strings.NewReader("<presence/>")), Limits{})
	if s, err := r.Next(); err != nil || s.Kind != Presence {
		t.Fatal(s, err)
	}
	if len(r.buf) > idleSize {
		t.Fatalf("the buffer has %d bytes", len(r.buf))
	}
}

// Prefixes are looked for one by one, so that there must be few.
func TestDeclarationsInScope(t *testing.T) {
	var in strings.Builder
	for level := range 5 {
		in.WriteString("<message")
		for k := range 60 {
			fmt.Fprintf(&in, " xmlns:p%d-%d='urn:example:p'", level, k)
		}
		in.WriteByte('>')
	}
	_, err := opened(t, strings.NewReader(in.String()), Limits{}).Next()
	if condition(err) != PolicyViolation {
		t.Errorf("%v, want policy-violation", err)
	}
}

// A big stanza that comes byte by byte must cost as much as its bytes, not
// their square.
func TestSlowBigStanzas(t *testing.T) {
	const n = 300 << 10
	pad := strings.Repeat("x", n)
	for _, in := range []string{
		"<message><body>" + pad + "</body></message>",
		"<message><body>" + strings.Repeat("<x/>", n/4) + "</body></message>",
		"<message><body><![CDATA[" + pad + "]]></body></message>",
		"<message a='" + pad + "'/>",
		"<message " + strings.Repeat(" ", n) + "/>",
		"<" + pad + "></" + pad + ">",
	} {
		r := opened(t, iotest.OneByteReader(strings.NewReader(in)), Limits{Bytes: 4 * n, Children: n})
		s, err := r.Next()
		if err != nil || s.Size() != len(in) {
			t.Fatalf("Next of %.20q: %v", in, err)
		}
	}
}

func TestBuffersAreGivenBack(t *testing.T) {
	big := "<message><body>" + strings.Repeat("x", 100<<10) + "</body></message>"
	r := opened(t, io.MultiReader(strings.NewReader(big+big), strings.NewReader("<presence/>")), Limits{})
	for range 2 {
		if s, err := r.Next(); err != nil || s.Size() != len(big) {
			t.Fatal(s, err)
		}
	}
	if len(r.buf) < len(big) {
		t.Fatal("the stanza is in no buffer")
	}
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if len(r.buf) != idleSize || r.big != nil {
		t.Fatalf("the buffer still has %d bytes", len(r.buf))
	}
}

func TestIdleReadersAreSmall(t *testing.T) {
	const n = 1000
	in := header + "<message><body>" + strings.Repeat("x", 5000) + "</body></message><presence/>"
	readers, srcs := make([]*Reader, n), make([]silentEnd, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for k := range readers {
		srcs[k].text = in
		readers[k] = NewReader(&srcs[k], Limits{})
		if _, err := readers[k].Header(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := readers[k].Next(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := readers[k].Next(); err != iotest.ErrTimeout {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%d bytes each", each)
	if each > 1024 {
		t.Errorf("an idle Reader takes %d bytes, want at most 1024", each)
	}
	runtime.KeepAlive(readers)
}

// A silentEnd is a connection on which nothing more is said after its text.
type silentEnd struct{ text string }

func (s *silentEnd) Read(b []byte) (int, error) {
	if s.text == "" {
		return 0, iotest.ErrTimeout
	}
	n := copy(b, s.text)
	s.text = s.text[n:]
	return n, nil
}
