package web

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text from strangers harmless to a terminal: what steers it, or
// turns the direction of writing, is shown as \u{1b}. Line ends stay, indented by
// indent so that no line can pass for another one's beginning.
func Printable(text, indent string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '\n':
			b.WriteString("\n" + indent)
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case steers(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// steers says whether a character does something else than show itself. Joiners stay,
// which several scripts and pictures need.
func steers(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	if r == nonJoiner || r == joiner {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// OneLine is Printable for what has to stay in one line.
func OneLine(text string) string {
	return strings.ReplaceAll(Printable(text, ""), "\n", " ")
}
