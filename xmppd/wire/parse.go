package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
)

// Parse checks b, which must be one element and nothing else, as if it came in
// a stream of jabber:client. The Stanza points into b and is good as long as b
// is.
func Parse(b []byte, l Limits) (*Stanza, error) {
	l = l.withDefaults()
	if len(b) > l.Bytes {
		return nil, StreamError{Condition: PolicyViolation, Text: "stanza too big"}
	}
	s := new(scan)
	s.reset(&stream{content: NSClient}, l, false)
	switch err := s.run(b); {
	case err == errMore:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	case s.pos < len(b):
		return nil, StreamError{Condition: BadFormat, Text: "something behind the element"}
	}
	return s.stanza(b)
}

// Unlimited are the limits for what was checked before, within those of its time.
var Unlimited = Limits{Bytes: math.MaxInt32, Depth: math.MaxInt32, Attrs: math.MaxInt32, Children: math.MaxInt32}

// ParseInner looks again at the inside of a stanza that was checked before and
// kept, with the declarations of its start tag. The Stanza is a message without
// attributes; it does not point into inner.
func ParseInner(decls, inner []byte) (*Stanza, error) {
	b := AppendOpen(make([]byte, 0, len(decls)+len(inner)+len("<message></message>")), Message, Attrs{Decls: decls})
	b = AppendClose(append(b, inner...), Message)
	s, err := Parse(b, Unlimited)
	if err != nil {
		return nil, fmt.Errorf("parse kept stanza: %w", err)
	}
	if len(s.Inner) != len(inner) {
		return nil, errors.New("parse kept stanza: its declarations are none")
	}
	return s, nil
}

// Decode reads c into v, as encoding/xml's Unmarshal does, with the stanza's
// declarations in scope.
func (s *Stanza) Decode(c *Child, v any) error {
	b := make([]byte, 0, len(s.Decls)+len(s.inside)+c.End-c.Start+len("<s xmlns=''></s>"))
	b = AppendAttr(append(b, "<s"...), "xmlns", s.inside)
	b = append(append(b, s.Decls...), '>')
	b = append(append(b, s.Bytes(c)...), "</s>"...)
	d := xml.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("decode payload: %w", err)
	}
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("decode payload: %w", err)
	}
	return nil
}
