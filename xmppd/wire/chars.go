package wire

import "unicode/utf8"

// Classes of ASCII characters. What is above ASCII is looked at as a rune.
const (
	nameStart  = 1 << iota // may begin a name
	nameChar               // may stand in a name; the colon is neither
	space                  // XML 1.0 §2.3
	plainText              // stands for itself in character data
	plainValue             // stands for itself in an attribute's value, whatever its quotes
	uriChar                // may stand in a namespace name
)

var class = classes()

func classes() (t [256]uint8) {
	for c := range utf8.RuneSelf {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			t[c] = nameStart | nameChar | uriChar
		case c >= '0' && c <= '9', c == '-', c == '.':
			t[c] = nameChar | uriChar
		case c == ' ', c == '\t', c == '\n', c == '\r':
			t[c] = space | plainText
		}
		if c >= ' ' && c != '<' && c != '&' {
			if c != '>' {
				t[c] |= plainText
			}
			if c != '"' && c != '\'' {
				t[c] |= plainValue
			}
		}
	}
	for _, c := range "~:/?#[]@!$&'()*+,;=%" {
		t[c] |= uriChar
	}
	return t
}

// plain returns the first position from i on that is not of the class want, or
// the end of b. It looks at four bytes at a time, which takes half the time.
func plain(b []byte, i int, want uint8) int {
	for ; i+4 <= len(b); i += 4 {
		w := b[i : i+4 : i+4]
		if class[w[0]]&class[w[1]]&class[w[2]]&class[w[3]]&want == 0 {
			break
		}
	}
	for i < len(b) && class[b[i]]&want != 0 {
		i++
	}
	return i
}

// isChar tells whether XML can hold r at all (XML 1.0 §2.2).
func isChar(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r <= 0xD7FF:
		return true
	}
	return r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// isURI tells whether b has only the characters of a URI (RFC 3986 §2). Names
// of namespaces have to be URIs (Namespaces in XML 1.0 §3), and clients' parsers
// may glue a namespace and a name together with some other character.
func isURI(b []byte) bool { return plain(b, 0, uriChar) == len(b) }

func isNameStart(r rune) bool { return inTable(nameStarts, r) }
func isNameRest(r rune) bool  { return inTable(nameStarts, r) || inTable(nameRests, r) }

// inTable tells whether r is in one of the ranges, which are pairs of first
// and last in ascending order.
func inTable(ranges []uint16, r rune) bool {
	lo, hi := 0, len(ranges)/2
	for lo < hi {
		m := (lo + hi) / 2
		switch {
		case r < rune(ranges[2*m]):
			hi = m
		case r > rune(ranges[2*m+1]):
			lo = m + 1
		default:
			return true
		}
	}
	return false
}
