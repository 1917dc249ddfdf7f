package wire

import (
	"bytes"
	"unicode/utf8"
)

// valueOf returns what an attribute's value means.
func (s *scan) valueOf(b []byte, a *attr) []byte {
	if !a.rough {
		return b[a.val:a.end]
	}
	from := len(s.scratch)
	s.scratch = appendValue(s.scratch, b[a.val:a.end])
	return s.scratch[from:len(s.scratch):len(s.scratch)]
}

// appendValue appends what an attribute's value means, having been checked:
// references resolved, white space made spaces, a line's end one of them (XML
// 1.0 §3.3.3, §2.11).
func appendValue(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '&':
			dst, i = appendReference(dst, raw, i)
		case '\r':
			dst = append(dst, ' ')
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
		case '\n', '\t':
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendReference appends what the reference at raw[i] means and returns the
// position of its ';'.
func appendReference(dst, raw []byte, i int) ([]byte, int) {
	end := i + bytes.IndexByte(raw[i:], ';')
	r, _ := resolve(raw[i+1 : end])
	return utf8.AppendRune(dst, r), end
}

// appendContent appends the character data that stands directly in raw, the
// checked content of an element.
func appendContent(dst, raw []byte) []byte {
	depth := 0
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '<' && bytes.HasPrefix(raw[i:], cdataOpen):
			end := i + bytes.Index(raw[i:], cdataEnd)
			if depth == 0 {
				dst = appendLines(dst, raw[i+len(cdataOpen):end])
			}
			i = end + len(cdataEnd)
			continue
		case c == '<':
			end, change := skipTag(raw, i)
			depth += change
			i = end
			continue
		case depth > 0:
		case c == '&':
			dst, i = appendReference(dst, raw, i)
		case c == '\r':
			dst = append(dst, '\n')
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
		default:
			dst = append(dst, c)
		}
		i++
	}
	return dst
}

// appendLines appends raw with each end of a line as one line feed (XML 1.0
// §2.11).
func appendLines(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\r')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(append(dst, raw[:i]...), '\n')
		if raw = raw[i+1:]; len(raw) > 0 && raw[0] == '\n' {
			raw = raw[1:]
		}
	}
}

// skipTag returns the position behind the checked tag at b[i], and by how much
// it changes the depth.
func skipTag(b []byte, i int) (end, change int) {
	change = 1
	if b[i+1] == '/' {
		change = -1
	}
	for quote := byte(0); ; i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			if b[i-1] == '/' {
				change = 0
			}
			return i + 1, change
		}
	}
}
