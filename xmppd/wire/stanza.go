package wire

import "bytes"

// A Stanza is one checked top-level element of a stream. Its slices point into
// the Reader's memory and are good until the next call of Next; the bytes must
// not be changed, but Type, ID, To, From and Lang may be set to other slices.
type Stanza struct {
	Kind  Kind
	Name  string // local name
	Space string // namespace

	// Attributes of the start tag, with references resolved; nil if absent.
	Type, ID, To, From []byte

	// Lang is the effective xml:lang: the stanza's own, or else the stream's;
	// nil if there is neither.
	Lang []byte

	// Decls are the namespace declarations of the start tag, ready to write
	// in another start tag (" xmlns:p='uri'"), without that of the default
	// namespace.
	Decls []byte

	// Inner is what stands between start and end tag, as it came.
	Inner []byte

	// Children are the elements directly inside.
	Children []Child

	// Explicit tells that the content namespace is named somewhere inside
	// (<body xmlns='jabber:client'>) or bound to a prefix, which must be
	// rewritten where the content namespace changes.
	Explicit bool

	inside []byte // the default namespace of the children
	raw    []byte // the whole element
	attrs  []attr // of the start tag
}

// A Child is an element directly inside a Stanza.
type Child struct {
	Name, Space []byte // local name and namespace
	Start, End  int    // in Inner, from its '<' to behind its last '>'

	body, tail int // in Inner, where its content begins and ends
}

// stanza makes a Stanza of the complete element b.
func (s *scan) stanza(b []byte) (*Stanza, error) {
	st := &s.result
	*st = Stanza{
		Lang: s.in.lang, Inner: b[s.top.body:s.top.tail], Children: st.Children[:0], Explicit: s.explicit,
		inside: s.uri(b, s.top.inside), raw: b, attrs: s.attrs,
	}
	if err := s.classify(b, st); err != nil {
		return nil, err
	}
	s.attributesOf(b, st)
	body := int(s.top.body)
	for k := range s.children {
		from := &s.children[k]
		st.Children = longer(st.Children)
		c := &st.Children[k]
		c.Name, c.Space = from.name.local(b), s.uri(b, from.space)
		c.Start, c.End = int(from.start)-body, int(from.end)-body
		c.body, c.tail = int(from.body)-body, int(from.tail)-body
	}
	return st, nil
}

// attributesOf fills in what st has of its start tag.
func (s *scan) attributesOf(b []byte, st *Stanza) {
	declared := false
	for k := range s.attrs {
		a := &s.attrs[k]
		if a.decl {
			declared = declared || a.colon != 0
			continue
		}
		switch string(a.bytes(b)) {
		case "type":
			st.Type = s.valueOf(b, a)
		case "id":
			st.ID = s.valueOf(b, a)
		case "to":
			st.To = s.valueOf(b, a)
		case "from":
			st.From = s.valueOf(b, a)
		case "xml:lang":
			st.Lang = s.valueOf(b, a)
		}
	}
	if !declared {
		return
	}
	from := len(s.scratch)
	for k := range s.attrs {
		if a := &s.attrs[k]; a.decl && a.colon != 0 {
			s.scratch = appendDeclaration(s.scratch, b, a)
		}
	}
	st.Decls = s.scratch[from:len(s.scratch):len(s.scratch)]
}

func appendDeclaration(dst, b []byte, a *attr) []byte {
	dst = append(append(dst, ' '), a.bytes(b)...)
	dst = append(dst, '=')
	return append(dst, b[a.val-1:a.end+1]...) // with the quotes it came in
}

// classify finds what kind of element b is.
func (s *scan) classify(b []byte, st *Stanza) error {
	local := s.top.name.local(b)
	space := s.uri(b, s.top.space)
	if string(space) != s.in.content {
		st.Name, st.Space = intern(local), intern(space)
		return nil
	}
	if s.top.name.colon != 0 {
		// RFC 6120 §4.8.5, §4.9.3.2: elements of the content namespace have
		// no prefix.
		return StreamError{Condition: BadNamespacePrefix, Text: "stanza with a prefix"}
	}
	st.Space = s.in.content
	switch string(local) {
	case "message":
		st.Kind, st.Name = Message, "message"
	case "presence":
		st.Kind, st.Name = Presence, "presence"
	case "iq":
		st.Kind, st.Name = IQ, "iq"
	default:
		st.Name = string(local)
	}
	return nil
}

// intern returns b as a string, without making one for names and namespaces
// that come often.
func intern(b []byte) string {
	switch string(b) {
	case "r":
		return "r"
	case "a":
		return "a"
	case "auth":
		return "auth"
	case "response":
		return "response"
	case "active":
		return "active"
	case "inactive":
		return "inactive"
	case "urn:xmpp:sm:3":
		return "urn:xmpp:sm:3"
	case "urn:xmpp:csi:0":
		return "urn:xmpp:csi:0"
	case "urn:ietf:params:xml:ns:xmpp-sasl":
		return "urn:ietf:params:xml:ns:xmpp-sasl"
	}
	return string(b)
}

// Raw is the whole element as it came.
func (s *Stanza) Raw() []byte { return s.raw }

// Size is the number of bytes on the wire.
func (s *Stanza) Size() int { return len(s.raw) }

// Answerable tells whether the stanza may be answered with an error: it is one,
// and neither an error itself nor an IQ's result (RFC 6120 §8.3.1, §8.2.3).
func (s *Stanza) Answerable() bool {
	t := string(s.Type)
	return s.Kind != Nonza && t != "error" && (s.Kind != IQ || t != "result")
}

// Attr returns the value of the start tag's attribute of that name, with
// references resolved; nil if there is none. The name has no prefix, except
// "xml:lang".
func (s *Stanza) Attr(name string) []byte {
	for k := range s.attrs {
		a := &s.attrs[k]
		if string(a.bytes(s.raw)) != name {
			continue
		}
		if !a.rough {
			return s.raw[a.val:a.end]
		}
		return appendValue([]byte{}, s.raw[a.val:a.end])
	}
	return nil
}

// Child returns the first child of that namespace and name; nil if there is
// none.
func (s *Stanza) Child(space, name string) *Child {
	for k := range s.Children {
		if c := &s.Children[k]; string(c.Name) == name && string(c.Space) == space {
			return c
		}
	}
	return nil
}

// Bytes returns c as it came, tags included.
func (s *Stanza) Bytes(c *Child) []byte { return s.Inner[c.Start:c.End] }

// Text returns the character data directly in c, which may be nil.
func (s *Stanza) Text(c *Child) string {
	if c == nil {
		return ""
	}
	raw := s.Inner[c.body:c.tail]
	if bytes.IndexByte(raw, '<') < 0 && bytes.IndexByte(raw, '&') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return string(raw)
	}
	return string(appendContent(make([]byte, 0, len(raw)), raw))
}

// ChildAttr returns the value of c's attribute of that name, as Attr does.
func (s *Stanza) ChildAttr(c *Child, name string) []byte {
	tag := s.Inner[c.Start:c.body]
	for i := 1; ; {
		// Behind a name or a value.
		for class[tag[i]]&space == 0 {
			if tag[i] == '>' || tag[i] == '/' && tag[i+1] == '>' {
				return nil
			}
			i++
		}
		from := skipSpace(tag, i)
		if tag[from] == '>' || tag[from] == '/' {
			return nil
		}
		eq := from + bytes.IndexByte(tag[from:], '=')
		val := skipSpace(tag, eq+1) + 1
		end := val + bytes.IndexByte(tag[val:], tag[val-1])
		if string(bytes.TrimRight(tag[from:eq], " \t\r\n")) == name {
			return appendValue([]byte{}, tag[val:end])
		}
		i = end + 1
	}
}

// Without returns Inner without the children for which drop says so; Inner
// itself if there is none.
func Without(s *Stanza, drop func(*Child) bool) []byte {
	var kept []byte
	from := 0
	for k := range s.Children {
		c := &s.Children[k]
		if !drop(c) {
			continue
		}
		if kept == nil {
			kept = make([]byte, 0, len(s.Inner))
		}
		kept = append(kept, s.Inner[from:c.Start]...)
		from = c.End
	}
	if kept == nil {
		return s.Inner
	}
	return append(kept, s.Inner[from:]...)
}
