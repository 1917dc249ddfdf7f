package wire

import (
	"bytes"
	"fmt"
	"math"
)

// Alone is c as it came, with the declarations that it has from around it in its own
// start tag, so that it means the same wherever it is put.
func (s *Stanza) Alone(c *Child) []byte {
	raw := s.Bytes(c)
	name := bytes.IndexAny(raw, " \t\r\n/>") // where its name ends
	b := make([]byte, 0, len(raw)+len(s.inside)+len(s.Decls)+len(" xmlns=''"))
	b = append(b, raw[:name]...)
	if s.ChildAttr(c, "xmlns") == nil {
		b = AppendAttr(b, "xmlns", s.inside)
	}
	for decls := s.Decls; len(decls) > 0; {
		decl := declaration(decls)
		if prefix, _, _ := bytes.Cut(decl[1:], []byte("=")); s.ChildAttr(c, string(prefix)) == nil {
			b = append(b, decl...)
		}
		decls = decls[len(decl):]
	}
	return append(b, raw[name:]...)
}

// declaration is the first of those that Decls holds, with the space before it.
func declaration(decls []byte) []byte {
	val := bytes.IndexByte(decls, '=') + 2
	return decls[:val+bytes.IndexByte(decls[val:], decls[val-1])+1]
}

// Open is c as a Stanza of its own, for a look at what is inside. It does not point
// into s.
func (s *Stanza) Open(c *Child) (*Stanza, error) {
	const any = math.MaxInt32 // it was within the limits of its stream
	inside, err := Parse(s.Alone(c), Limits{Bytes: any, Depth: any, Attrs: any, Children: any})
	if err != nil {
		return nil, fmt.Errorf("open payload: %w", err)
	}
	return inside, nil
}

// Empty says that there is nothing in the element but declarations of namespaces.
func (s *Stanza) Empty() bool {
	for k := range s.attrs {
		if !s.attrs[k].decl {
			return false
		}
	}
	return len(bytes.TrimSpace(s.Inner)) == 0
}
