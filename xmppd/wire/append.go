package wire

import "unicode/utf8"

// Attrs are the attributes of a stanza's start tag. Those that are empty are
// left out.
type Attrs struct {
	Type, To, From string
	ID             []byte // as the sender chose it
	Lang           []byte // xml:lang
	Decls          []byte // namespace declarations as a Stanza has them
}

// AppendOpen appends a fresh start tag for a stanza of kind k. Forwarding is
// AppendOpen, the Stanza's Inner, whatever the server adds, AppendClose.
func AppendOpen(b []byte, k Kind, a Attrs) []byte {
	b = append(b, '<')
	b = append(b, k.String()...)
	if a.Type != "" {
		b = AppendAttr(b, "type", a.Type)
	}
	if len(a.ID) > 0 {
		b = AppendAttr(b, "id", a.ID)
	}
	if a.To != "" {
		b = AppendAttr(b, "to", a.To)
	}
	if a.From != "" {
		b = AppendAttr(b, "from", a.From)
	}
	if len(a.Lang) > 0 {
		b = AppendAttr(b, "xml:lang", a.Lang)
	}
	b = append(b, a.Decls...)
	return append(b, '>')
}

// AppendClose appends the end tag of a stanza of kind k.
func AppendClose(b []byte, k Kind) []byte {
	b = append(b, "</"...)
	b = append(b, k.String()...)
	return append(b, '>')
}

// AppendAttr appends an attribute with a space before it.
func AppendAttr[T ~string | ~[]byte](b []byte, name string, value T) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, "='"...)
	b = appendEscaped(b, value, true)
	return append(b, '\'')
}

// AppendText appends character data. What XML cannot hold (control
// characters, bytes that are not UTF-8) becomes U+FFFD.
func AppendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return appendEscaped(b, s, false)
}

// appendEscaped copies s in runs between the characters that cannot stand for
// themselves. In attributes white space is written as references, since it
// would be read back as spaces (XML 1.0 §3.3.3); a carriage return always is,
// since it would be read back as a line feed (XML 1.0 §2.11).
func appendEscaped[T ~string | ~[]byte](b []byte, s T, attr bool) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && class[c]&(plainText|plainValue) == plainText|plainValue {
			i++
			continue
		}
		esc, width := "\uFFFD", 1
		switch {
		case c == '<':
			esc = "&lt;"
		case c == '>':
			esc = "&gt;"
		case c == '&':
			esc = "&amp;"
		case c == '\'':
			esc = "&apos;"
		case c == '"':
			esc = "&quot;"
		case c == '\r':
			esc = "&#xD;"
		case c == '\n' && attr:
			esc = "&#xA;"
		case c == '\t' && attr:
			esc = "&#x9;"
		case c == '\n' || c == '\t':
			i++
			continue
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			if isChar(r) && (r != utf8.RuneError || n > 1) {
				i += n
				continue
			}
			width = n
		}
		b = append(b, s[from:i]...)
		b = append(b, esc...)
		i += width
		from = i
	}
	return append(b, s[from:]...)
}

// AppendError appends the error answer to s (RFC 6120 §8.3.1): of the same kind
// and id, to whom s.From names, from whom the caller says; both are left out
// when empty. It appends nothing when s must not be answered with an error,
// being an error or a result itself, or no stanza.
func AppendError(b []byte, s *Stanza, from string, e StanzaError) []byte {
	if !s.Answerable() {
		return b
	}
	b = AppendOpen(b, s.Kind, Attrs{Type: "error", ID: s.ID, To: string(s.From), From: from})
	b = e.AppendTo(b)
	return AppendClose(b, s.Kind)
}

// AppendHeader appends the stream header h with an XML declaration before it
// (RFC 6120 §4.7, §11.5). Empty attributes are left out; an empty Space is
// jabber:client, an empty Version is 1.0.
func AppendHeader(b []byte, h Header) []byte {
	space, version := h.Space, h.Version
	if space == "" {
		space = NSClient
	}
	if version == "" {
		version = "1.0"
	}
	b = append(b, "<?xml version='1.0'?><stream:stream"...)
	for _, a := range [...]struct{ name, value string }{
		{"xmlns", space}, {"xmlns:stream", NSStream}, {"id", h.ID},
		{"from", h.From}, {"to", h.To}, {"version", version}, {"xml:lang", h.Lang},
	} {
		if a.value != "" {
			b = AppendAttr(b, a.name, a.value)
		}
	}
	return append(b, '>')
}

// StreamEnd closes a stream (RFC 6120 §4.4).
const StreamEnd = "</stream:stream>"
