package wire

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// startTag checks a start tag from its name to its '>', as far as b goes. Each
// case begins where the one before ended; when b ends, the phase stays.
func (s *scan) startTag(b []byte, i int) (int, error) {
	var err error
	for {
		switch s.phase {
		case inName:
			if i, err = s.qname(b, i); err != nil {
				return i, err
			}
			s.elem.from, s.elem.colon, s.elem.to = int32(s.mark), int32(s.colon), int32(i)
			s.phase, s.gap = inGap, false
			fallthrough
		case inGap:
			for i < len(b) && class[b[i]]&space != 0 {
				s.gap = true
				i++
			}
			if i == len(b) {
				return i, errMore
			}
			switch b[i] {
			case '>':
				return s.started(b, i+1, false)
			case '/':
				s.phase = inSlash
				i++
				continue
			}
			if err = s.beginAttr(i); err != nil {
				return i, err
			}
			fallthrough
		case inAttrName:
			if i, err = s.qname(b, i); err != nil {
				return i, err
			}
			s.attrs = longer(s.attrs)
			a := &s.attrs[len(s.attrs)-1]
			a.from, a.colon, a.to, a.decl = int32(s.mark), int32(s.colon), int32(i), false
			s.phase = inEquals
			fallthrough
		case inEquals:
			if i = skipSpace(b, i); i == len(b) {
				return i, errMore
			}
			if b[i] != '=' {
				return i, malformed("attribute without a value")
			}
			i++
			s.phase = inQuote
			fallthrough
		case inQuote:
			if i = skipSpace(b, i); i == len(b) {
				return i, errMore
			}
			if b[i] != '"' && b[i] != '\'' {
				return i, malformed("attribute's value without quotes")
			}
			s.quote, s.rough, s.phase = b[i], false, inValue
			i++
			s.mark = i
			fallthrough
		case inValue:
			if i, err = s.value(b, i); err != nil {
				return i, err
			}
			a := &s.attrs[len(s.attrs)-1]
			a.val, a.end, a.rough = int32(s.mark), int32(i-1), s.rough
			s.phase, s.gap = inGap, false
		case inSlash:
			if i == len(b) {
				return i, errMore
			}
			if b[i] != '>' {
				return i, malformed("/ inside a tag")
			}
			return s.started(b, i+1, true)
		}
	}
}

// beginAttr prepares for the attribute that begins at i.
func (s *scan) beginAttr(i int) error {
	if !s.gap {
		return malformed("no space before an attribute")
	}
	if len(s.attrs)-s.top.attrs == s.limits.Attrs {
		return tooMuch("attributes")
	}
	s.mark, s.colon, s.phase = i, 0, inAttrName
	return nil
}

// longer makes s one element longer, without clearing it. To fill it in there is
// faster than to copy it in.
func longer[T any](s []T) []T {
	if len(s) == cap(s) {
		s = slices.Grow(s, 1)
	}
	return s[:len(s)+1]
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && class[b[i]]&space != 0 {
		i++
	}
	return i
}

// qname reads a name that began at s.mark up to the character behind it, and
// checks that it is a qualified name (Namespaces in XML 1.0 §4).
func (s *scan) qname(b []byte, i int) (int, error) {
	for {
		for i < len(b) && class[b[i]]&nameChar != 0 {
			i++
		}
		if i == len(b) {
			return i, errMore
		}
		if b[i] == ':' {
			if s.colon != 0 {
				return i, malformed("two colons in a name")
			}
			s.colon = i
			i++
			continue
		}
		if b[i] < utf8.RuneSelf {
			break
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || !isNameRest(r) {
			// Not part of a name. Nowhere else can it stand in a tag.
			if _, err := character(b, i); err != nil {
				return i, err
			}
			return i, malformed("character that may not stand in a name")
		}
		i += n
	}
	if s.colon == 0 && i > s.mark && class[b[s.mark]]&nameStart != 0 {
		return i, nil
	}
	if !startsName(b, s.mark, i) || s.colon != 0 && (s.colon == s.mark || !startsName(b, s.colon+1, i)) {
		return i, malformed("bad name")
	}
	return i, nil
}

// startsName tells whether a name without a colon may begin at b[i].
func startsName(b []byte, i, end int) bool {
	if i >= end {
		return false
	}
	if b[i] < utf8.RuneSelf {
		return class[b[i]]&nameStart != 0
	}
	r, _ := utf8.DecodeRune(b[i:end])
	return isNameStart(r)
}

// value checks an attribute's value to behind its closing quote.
func (s *scan) value(b []byte, i int) (int, error) {
	var err error
	for {
		if i = plain(b, i, plainValue); i == len(b) {
			return i, errMore
		}
		switch c := b[i]; {
		case c == s.quote:
			return i + 1, nil
		case c == '"' || c == '\'':
			i++
		case c == '&':
			s.rough = true
			i, err = reference(b, i)
		case class[c]&space != 0:
			s.rough = true
			i++
		case c == '<':
			err = malformed("< in an attribute's value")
		default:
			i, err = character(b, i)
		}
		if err != nil {
			return i, err
		}
	}
}

// endName checks the name of an end tag against what it has to be, and goes on
// to its end.
func (s *scan) endName(b []byte, i int) (int, error) {
	want := s.in.name
	if n := len(s.open); n > 0 {
		want = b[s.open[n-1].from:s.open[n-1].to]
	}
	rest := want[i-s.mark:]
	n := min(len(rest), len(b)-i)
	if !bytes.Equal(rest[:n], b[i:i+n]) {
		return i, malformed("end tag does not match the start tag")
	}
	i += n
	if n < len(rest) {
		return i, errMore
	}
	s.phase = inEndGap
	return s.endGap(b, i)
}

// endGap goes from the name of an end tag to behind its '>'.
func (s *scan) endGap(b []byte, i int) (int, error) {
	if i = skipSpace(b, i); i == len(b) {
		return i, errMore
	}
	if b[i] != '>' {
		return i, malformed("end tag does not match the start tag")
	}
	i++
	n := len(s.open)
	if n == 0 {
		s.ended, s.phase = true, atEnd
		return i, nil
	}
	s.bindings = s.bindings[:s.open[n-1].bindings]
	s.open = s.open[:n-1]
	s.closed(n-1, s.tag, i)
	return i, nil
}

// started ends a start tag at i: what it declares and uses is checked as a
// whole now.
func (s *scan) started(b []byte, i int, empty bool) (int, error) {
	outside := len(s.bindings)
	if n := len(s.attrs) - s.top.attrs; n > 0 {
		if err := s.attributes(b, s.attrs[s.top.attrs:]); err != nil {
			return i, err
		}
	}
	depth := len(s.open)
	var where uri
	if depth < 2 || s.elem.colon != 0 {
		var err error
		if where, err = s.elementSpace(b); err != nil {
			return i, err
		}
	}
	switch depth {
	case 0:
		s.top.name.set(&s.elem)
		s.top.space, s.top.attrs, s.top.body = where, len(s.attrs), int32(i)
		s.top.inside, _ = s.lookup(b, nil)
		if s.header {
			if empty {
				return i, StreamError{Condition: BadFormat, Text: "stream is an empty element"}
			}
			s.phase = atEnd
			return i, nil
		}
	case 1:
		s.children = longer(s.children)
		c := &s.children[len(s.children)-1]
		c.name.set(&s.elem)
		c.space, c.start, c.body = where, int32(s.tag), int32(i)
	}
	s.attrs = s.attrs[:s.top.attrs]
	if empty {
		s.bindings = s.bindings[:outside]
		s.closed(depth, i, i)
		return i, nil
	}
	s.open = longer(s.open)
	e := &s.open[len(s.open)-1]
	e.from, e.to, e.bindings = s.elem.from, s.elem.to, int32(outside)
	s.phase = inText
	return i, nil
}

// closed notes the end of the element that has depth others around it.
func (s *scan) closed(depth, tail, end int) {
	s.phase = inText
	switch depth {
	case 0:
		s.top.tail = int32(tail)
		s.phase = atEnd
	case 1:
		c := &s.children[len(s.children)-1]
		c.tail, c.end = int32(tail), int32(end)
	}
}
