package wire

import (
	"bytes"
	"slices"
)

// A stream is what the stream header says that holds for the stanzas inside.
type stream struct {
	content  string   // the content namespace (RFC 6120 §4.8.2)
	name     []byte   // of the start tag, as it must stand in the end tag; nil before it
	lang     []byte   // nil if the header has none
	prefixes []string // those it declares, but for "stream"
}

func (st *stream) opened() bool { return st.name != nil }

// set copies field by field, since the fields were just written one by one and
// the processor would wait for all of them to read them as one.
func (n *name) set(from *name) { n.from, n.colon, n.to = from.from, from.colon, from.to }

func (n name) bytes(b []byte) []byte { return b[n.from:n.to] }

// local is the name without its prefix.
func (n name) local(b []byte) []byte {
	if n.colon == 0 {
		return b[n.from:n.to]
	}
	return b[n.colon+1 : n.to]
}

// prefix is nil if the name has none.
func (n name) prefix(b []byte) []byte {
	if n.colon == 0 {
		return nil
	}
	return b[n.from:n.colon]
}

// declares tells whether an attribute of this name declares a namespace, and
// for which prefix; the empty one is the default namespace.
func (n name) declares(b []byte) (prefix name, ok bool) {
	const xmlns = "xmlns"
	if n.to-n.from < int32(len(xmlns)) || b[n.from] != 'x' {
		return name{}, false
	}
	if n.colon == 0 {
		return name{}, string(b[n.from:n.to]) == xmlns
	}
	return name{from: n.colon + 1, to: n.to}, string(b[n.from:n.colon]) == xmlns
}

// attributes checks the attributes of one start tag as a whole and takes up
// the namespaces they declare.
func (s *scan) attributes(b []byte, attrs []attr) error {
	prefixed := false
	for k := range attrs {
		a := &attrs[k]
		if prefix, ok := a.declares(b); ok {
			a.decl = true
			if err := s.declare(b, prefix, a); err != nil {
				return err
			}
		} else if a.colon != 0 {
			prefixed = true
		}
		// XML 1.0 §3.1: no attribute twice.
		n := a.to - a.from
		for j := range attrs[:k] {
			o := &attrs[j]
			if o.to-o.from == n && bytes.Equal(o.bytes(b), a.bytes(b)) {
				return malformed("the same attribute twice")
			}
		}
	}
	if !prefixed {
		return nil
	}
	return s.prefixed(b, attrs)
}

// prefixed checks that the prefixes of attributes are bound, and that no two
// attributes are the same but for their prefixes (Namespaces in XML 1.0 §6.3).
func (s *scan) prefixed(b []byte, attrs []attr) error {
	for k := range attrs {
		a := &attrs[k]
		if a.decl || a.colon == 0 {
			continue
		}
		var ok bool
		if a.space, ok = s.lookup(b, a.prefix(b)); !ok {
			return s.unbound(a.prefix(b))
		}
		for j := range attrs[:k] {
			o := &attrs[j]
			if !o.decl && o.colon != 0 && bytes.Equal(o.local(b), a.local(b)) && bytes.Equal(s.uri(b, o.space), s.uri(b, a.space)) {
				return malformed("the same attribute twice")
			}
		}
	}
	return nil
}

// maxBindings is how many declarations may be in scope at one place. Each
// prefix is looked for among them, so that many of both would cost more than
// their bytes.
const maxBindings = 256

// declare brings the namespace that a names into scope (Namespaces in XML 1.0
// §3).
func (s *scan) declare(b []byte, prefix name, a *attr) error {
	u := uri{from: a.val, to: a.end}
	if a.rough {
		u.where, u.from = inScratch, int32(len(s.scratch))
		s.scratch = appendValue(s.scratch, b[a.val:a.end])
		u.to = int32(len(s.scratch))
	}
	space, p := s.uri(b, u), prefix.bytes(b)
	switch {
	case !isURI(space):
		return malformed("name of a namespace is not a URI")
	case string(p) == "xml":
		if string(space) != nsXML {
			return malformed("prefix xml declared for another namespace")
		}
		return nil
	case string(p) == "xmlns", string(space) == nsXML, string(space) == nsXMLNS:
		return malformed("reserved prefix or namespace declared")
	case len(p) > 0 && len(space) == 0:
		return malformed("prefix declared away")
	}
	if string(space) == s.in.content && (len(p) > 0 || len(s.open) > 0) {
		s.explicit = true
	}
	if len(s.bindings) == maxBindings {
		return tooMuch("namespace declarations")
	}
	s.bindings = longer(s.bindings)
	d := &s.bindings[len(s.bindings)-1]
	d.from, d.to, d.uri = prefix.from, prefix.to, u
	return nil
}

// elementSpace finds the namespace of the element whose start tag is being
// read.
func (s *scan) elementSpace(b []byte) (uri, error) {
	prefix := s.elem.prefix(b)
	if u, ok := s.lookup(b, prefix); ok {
		return u, nil
	}
	// RFC 6120 §4.8.5: the stream's own elements have its prefix, without
	// declaring it again.
	if len(s.open) == 0 && s.in.opened() && string(prefix) == "stream" {
		return uri{where: inStream}, nil
	}
	return uri{}, s.unbound(prefix)
}

// lookup finds what a prefix means here; an empty one, the default namespace.
func (s *scan) lookup(b, prefix []byte) (uri, bool) {
	for k := len(s.bindings) - 1; k >= 0; k-- {
		if d := &s.bindings[k]; bytes.Equal(b[d.from:d.to], prefix) {
			return d.uri, true
		}
	}
	switch {
	case len(prefix) == 0 && !s.header:
		return uri{where: inContent}, true
	case len(prefix) == 0:
		return uri{}, true
	}
	return uri{where: inXML}, string(prefix) == "xml"
}

// unbound is the error for a prefix without a meaning. A prefix that only the
// stream header declares cannot be forwarded, and is told apart.
func (s *scan) unbound(prefix []byte) error {
	if s.in.opened() && (string(prefix) == "stream" || slices.Contains(s.in.prefixes, string(prefix))) {
		// RFC 6120 §4.9.3.2
		return StreamError{Condition: BadNamespacePrefix, Text: "prefix of the stream header used inside a stanza"}
	}
	return malformed("prefix not declared")
}

// uri returns the namespace name itself.
func (s *scan) uri(b []byte, u uri) []byte {
	switch u.where {
	case inScratch:
		return s.scratch[u.from:u.to]
	case inContent:
		return contentBytes(s.in.content)
	case inStream:
		return streamBytes
	case inXML:
		return xmlBytes
	}
	return b[u.from:u.to]
}

var (
	clientBytes = []byte(NSClient)
	streamBytes = []byte(NSStream)
	xmlBytes    = []byte(nsXML)
)

func contentBytes(content string) []byte {
	if content == NSClient {
		return clientBytes
	}
	return []byte(content)
}
