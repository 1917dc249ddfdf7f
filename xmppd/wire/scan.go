package wire

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// errMore means that the bytes at hand are good but end too early.
var errMore = errors.New("element incomplete")

// A scan is the state of checking one top-level element. It survives the end
// of the bytes at hand: run goes on where it stopped, so that each byte is
// looked at once, however slowly the bytes come.
//
// All positions count from the element's '<', so that they stay good when the
// bytes are moved.
type scan struct {
	limits Limits
	in     *stream
	header bool // looking at the stream's start tag, which ends the scan

	phase phase
	pos   int  // everything before it is checked
	mark  int  // where the name or value being read began
	colon int  // in that name; 0 if none
	quote byte // around the value being read
	gap   bool // white space was seen before the attribute
	rough bool // the value being read is not what it will mean

	tag      int  // where the tag being read began
	elem     name // of the start tag being read
	elements int  // seen inside the top-level one
	explicit bool // the content namespace was named inside
	ended    bool // the stream's end tag was read

	open     []element // those not yet closed, the top-level one first
	attrs    []attr    // those of the top-level start tag, then those of the tag being read
	bindings []binding // in scope
	children []childSpan
	scratch  []byte // values that differ from the bytes as they came

	top    topSpan
	result Stanza // what is handed out
}

// A phase says what the next byte is part of.
type phase uint8

const (
	atLess     phase = iota // a '<' that begins some markup
	inText                  // character data
	inName                  // the name of a start tag
	inGap                   // behind a name or value in a start tag
	inAttrName              // an attribute's name
	inEquals                // behind that name
	inQuote                 // behind the '='
	inValue                 // an attribute's value
	inSlash                 // behind the '/' of an empty element
	inEndName               // the name of an end tag
	inEndGap                // behind that name
	inCDATA                 // a CDATA section
	atEnd                   // the element is complete
)

type (
	// A name is a qualified name; colon is 0 if it has no prefix.
	name struct{ from, colon, to int32 }

	element struct {
		from, to int32 // its name, as it must stand in the end tag
		bindings int32 // how many were in scope around it
	}

	attr struct {
		name
		val, end int32 // the value, without quotes
		rough    bool  // it has references, or white space to normalise
		decl     bool  // it declares a namespace
		space    uri   // of its prefix, if it has one and declares nothing
	}

	// A uri is a namespace name, wherever it is kept.
	uri struct {
		from, to int32
		where    place
	}

	// A binding gives a prefix, or the default namespace, a meaning.
	binding struct {
		from, to int32 // the prefix; empty for the default namespace
		uri      uri
	}

	childSpan struct {
		name       name
		space      uri
		start, end int32
		body, tail int32 // where its content begins and ends
	}

	topSpan struct {
		name       name
		space      uri
		inside     uri // the default namespace of its children
		attrs      int // how many
		body, tail int32
	}
)

type place uint8

const (
	inBytes   place = iota // among the bytes that are scanned
	inScratch              // in scan.scratch
	inContent              // the stream's content namespace
	inStream               // NSStream
	inXML                  // the namespace of the prefix xml
)

// reset prepares for another element. Fields that are written before they are
// read may keep what they have.
func (s *scan) reset(in *stream, l Limits, header bool) {
	s.limits, s.in, s.header = l, in, header
	s.phase, s.pos = atLess, 0
	s.elements, s.explicit, s.ended = 0, false, false
	s.open, s.attrs, s.bindings = s.open[:0], s.attrs[:0], s.bindings[:0]
	s.children, s.scratch = s.children[:0], s.scratch[:0]
	s.top.attrs = 0
}

// run checks b, which begins with the element and may go on behind it. It
// returns nil when the element is complete (s.pos is its length), errMore when
// b ends before it does, and else a StreamError.
func (s *scan) run(b []byte) error {
	i, err := s.pos, error(nil)
	for err == nil {
		switch s.phase {
		case atLess:
			i, err = s.less(b, i)
		case inText:
			i, err = s.text(b, i)
		case inEndName:
			i, err = s.endName(b, i)
		case inEndGap:
			i, err = s.endGap(b, i)
		case inCDATA:
			i, err = s.cdata(b, i)
		case atEnd:
			s.pos = i
			return nil
		default:
			i, err = s.startTag(b, i)
		}
	}
	s.pos = i
	return err
}

// less decides what the markup at b[i] is, and reads it if it is a tag.
func (s *scan) less(b []byte, i int) (int, error) {
	if i >= len(b) {
		return i, errMore
	}
	if b[i] != '<' {
		if s.header {
			return i, malformed("no XML")
		}
		// RFC 6120 §4.9.3.1: between stanzas there is white space or nothing.
		return i, StreamError{Condition: BadFormat, Text: "character data outside of any stanza"}
	}
	if i+1 == len(b) {
		return i, errMore
	}
	s.tag = i
	switch b[i+1] {
	case '/':
		if len(s.open) == 0 && !s.in.opened() {
			return i, malformed("end tag without a start tag")
		}
		s.mark, s.phase = i+2, inEndName
		return s.endName(b, i+2)
	case '?':
		// RFC 6120 §11.1
		return i, StreamError{Condition: RestrictedXML, Text: "processing instruction or misplaced XML declaration"}
	case '!':
		return s.bang(b, i)
	}
	if len(s.open) > 0 {
		if s.elements++; s.elements > s.limits.Children {
			return i, tooMuch("elements inside one stanza")
		}
		if len(s.open) == s.limits.Depth {
			return i, tooMuch("levels of elements")
		}
	}
	s.mark, s.colon, s.phase = i+1, 0, inName
	return s.startTag(b, i+1)
}

var (
	comment   = []byte("<!--")
	doctype   = []byte("<!DOCTYPE")
	cdataOpen = []byte("<![CDATA[")
	cdataEnd  = []byte("]]>")
)

// bang looks at what begins with "<!": CDATA is allowed inside of elements,
// the rest nowhere.
func (s *scan) bang(b []byte, i int) (int, error) {
	rest := b[i:]
	switch {
	case bytes.HasPrefix(rest, comment):
		// RFC 6120 §11.1, §4.9.3.18
		return i, StreamError{Condition: RestrictedXML, Text: "comment"}
	case bytes.HasPrefix(rest, doctype):
		return i, StreamError{Condition: RestrictedXML, Text: "document type declaration"}
	case bytes.HasPrefix(rest, cdataOpen):
		if len(s.open) == 0 {
			return i, StreamError{Condition: BadFormat, Text: "character data outside of any stanza"}
		}
		i += len(cdataOpen)
		s.mark, s.phase = i, inCDATA
		return i, nil
	case bytes.HasPrefix(comment, rest), bytes.HasPrefix(doctype, rest), bytes.HasPrefix(cdataOpen, rest):
		return i, errMore
	}
	return i, malformed("unknown markup")
}

// text checks character data up to the next '<', and what begins there.
func (s *scan) text(b []byte, i int) (int, error) {
	var err error
	for {
		if i = plain(b, i, plainText); i == len(b) {
			return i, errMore
		}
		switch b[i] {
		case '<':
			s.phase = atLess
			return s.less(b, i)
		case '>':
			// XML 1.0 §2.4. Before text there is always a '>', so two
			// brackets can only be part of it.
			if b[i-1] == ']' && b[i-2] == ']' {
				return i, malformed("]]> in character data")
			}
			i++
		case '&':
			i, err = reference(b, i)
		default:
			i, err = character(b, i)
		}
		if err != nil {
			return i, err
		}
	}
}

// cdata checks a CDATA section up to its end.
func (s *scan) cdata(b []byte, i int) (int, error) {
	var err error
	for i < len(b) {
		switch c := b[i]; {
		case c == '>' && i-s.mark >= 2 && b[i-1] == ']' && b[i-2] == ']':
			s.phase = inText
			return i + 1, nil
		case c >= ' ' && c < utf8.RuneSelf, class[c]&space != 0:
			i++
		default:
			if i, err = character(b, i); err != nil {
				return i, err
			}
		}
	}
	return i, errMore
}

// character checks one character that is not plain ASCII.
func character(b []byte, i int) (int, error) {
	if b[i] < utf8.RuneSelf {
		return i, malformed("control character")
	}
	r, n := utf8.DecodeRune(b[i:])
	switch {
	case r == utf8.RuneError && n == 1:
		if !utf8.FullRune(b[i:]) {
			return i, errMore
		}
		// RFC 6120 §4.9.3.22
		return i, StreamError{Condition: UnsupportedEncoding, Text: "not UTF-8"}
	case !isChar(r):
		return i, malformed("character that XML does not allow")
	}
	return i + n, nil
}

// longestReference is more than any character needs, and keeps what must be
// looked at again small when bytes come slowly.
const longestReference = 24

// reference checks what begins with '&' at b[i].
func reference(b []byte, i int) (int, error) {
	for j := i + 1; j < len(b); j++ {
		switch c := b[j]; {
		case c == ';':
			return oneReference(b, i, j)
		case class[c]&(nameStart|nameChar) == 0 && (c != '#' || j != i+1):
			return i, malformed("& that begins no reference")
		case j-i > longestReference:
			return i, StreamError{Condition: RestrictedXML, Text: "reference too long"}
		}
	}
	return i, errMore
}

// oneReference checks the reference from the '&' at i to the ';' at j.
func oneReference(b []byte, i, j int) (int, error) {
	body := b[i+1 : j]
	if _, ok := resolve(body); ok {
		return j + 1, nil
	}
	if len(body) > 0 && class[body[0]]&nameStart != 0 {
		// RFC 6120 §11.1, §4.9.3.18
		return i, StreamError{Condition: RestrictedXML, Text: "entity reference other than the five of XML"}
	}
	return i, malformed("bad character reference")
}

// resolve gives the meaning of a reference, without its '&' and ';'.
func resolve(ref []byte) (rune, bool) {
	switch string(ref) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(ref) < 2 || ref[0] != '#' {
		return 0, false
	}
	base, digits := rune(10), ref[1:]
	if digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	r := rune(0)
	for _, c := range digits {
		d := rune(c) - '0'
		if l := rune(c | 0x20); base == 16 && l >= 'a' && l <= 'f' {
			d = l - 'a' + 10
		}
		if d < 0 || d >= base {
			return 0, false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, len(digits) > 0 && isChar(r)
}

func malformed(text string) error {
	return StreamError{Condition: NotWellFormed, Text: text} // RFC 6120 §11.3, §4.9.3.13
}

func tooMuch(text string) error {
	return StreamError{Condition: PolicyViolation, Text: "too many " + text} // RFC 6120 §4.9.3.14
}
