package wire

import (
	"strings"
	"testing"
)

// FuzzReader feeds whole streams: nothing panics, the pieces do not matter, and
// what is accepted is read alike by encoding/xml (I9).
func FuzzReader(f *testing.F) {
	for _, in := range lines(f, "good.txt") {
		f.Add(header + in)
	}
	for _, c := range bad(f) {
		f.Add(header + c.in)
		f.Add(c.in)
	}
	f.Add("\uFEFF<?xml version='1.0' encoding='UTF-8' standalone='no'?> " + header + "<iq/> \n<iq/>" + StreamEnd)
	f.Fuzz(func(t *testing.T, in string) {
		samePieces(t, in, Limits{Bytes: 300, Depth: 6, Attrs: 8, Children: 12})
		// Behind a header of ours, whatever it is.
		_, in, _ = strings.Cut(in, header)
		r := opened(t, strings.NewReader(in), Limits{})
		for {
			s, err := r.Next()
			if err != nil {
				return
			}
			checkStanza(t, s)
		}
	})
}

// FuzzParseInner feeds what might have been kept.
func FuzzParseInner(f *testing.F) {
	f.Add(" xmlns:p='urn:example:p'", "<p:x a='1'>text</p:x>")
	f.Add("", "</message><message>")
	f.Fuzz(func(t *testing.T, decls, inner string) {
		s, err := ParseInner([]byte(decls), []byte(inner))
		if err == nil {
			sameTree(t, s)
		}
	})
}

// FuzzAppend writes any text and any value: it must be read back as it was,
// but for what XML cannot hold.
func FuzzAppend(f *testing.F) {
	f.Add("a<b>&c'd\"e\r\n\tf]]>g")
	f.Add("\x00\xff\ufffe\U0001F600\u0085")
	f.Fuzz(func(t *testing.T, text string) {
		b := AppendAttr([]byte("<message"), "to", text)
		b = AppendText(append(b, "><body>"...), []byte(text))
		b = AppendText(append(b, "</body><body>"...), text)
		s := mustParse(t, string(append(b, "</body></message>"...)))
		want := allowed(text)
		for k := range s.Children {
			if got := s.Text(&s.Children[k]); got != want {
				t.Errorf("text %q came back as %q", text, got)
			}
		}
		if string(s.To) != want {
			t.Errorf("value %q came back as %q", text, s.To)
		}
		sameTree(t, s)
	})
}

// allowed is what XML can hold of text.
func allowed(text string) string {
	var b strings.Builder
	for _, r := range text {
		if !isChar(r) {
			r = '\uFFFD'
		}
		b.WriteRune(r)
	}
	return b.String()
}
