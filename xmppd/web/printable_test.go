package web

import "testing"

func TestPrintable(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"hello", "hello"},
		{"a\nb", "a\n> b"},
		{"\x1b[2Jgone\x07", `\u{1b}[2Jgone\u{7}`},
		{"a\u202etxt.exe", `a\u{202e}txt.exe`},
		{"\u2066x\u2069\u061c\u200f", `\u{2066}x\u{2069}\u{61c}\u{200f}`},
		{"\u0085\u2028", `\u{85}\u{2028}`},
		{"👩\u200d🚀 \u0645\u06cc\u200c\u062e", "👩\u200d🚀 \u0645\u06cc\u200c\u062e"},
		{"bad \xff bytes \ufffd", `bad \xff bytes ` + "\ufffd"},
		{"a\r\nb\tc", "a\\u{d}\n> b c"},
	} {
		if got := Printable(c.in, "> "); got != c.want {
			t.Errorf("Printable(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
