package wire

import (
	"bytes"
	"strings"
)

// A Header is a stream's start tag (RFC 6120 §4.7).
type Header struct {
	To, From, ID string // RFC 6120 §4.7.1, §4.7.2, §4.7.3
	Lang         string // xml:lang (RFC 6120 §4.7.4)
	Version      string // RFC 6120 §4.7.5
	Space        string // the content namespace (RFC 6120 §4.8.2)
}

// Header reads an XML declaration, if there is one, and the stream's start tag.
// It returns errors as Next does. Whether the addresses in it are good ones is
// the caller's to check.
//
// RFC 6120 §4.9.1.2: our own header goes out before the error, whatever is
// wrong with the peer's.
func (r *Reader) Header() (Header, error) {
	if r.err != nil {
		return Header{}, r.err
	}
	r.start += r.used
	r.used = 0
	if !r.prolog {
		if err := r.skipProlog(); err != nil {
			return Header{}, err
		}
		r.prolog = true
	}
	if err := r.element(true); err != nil {
		return Header{}, err
	}
	h, err := r.scan.openStream(r.buf[r.start:r.start+r.scan.pos], &r.stream)
	if err != nil {
		return h, r.fail(err)
	}
	r.used = r.scan.pos
	return h, nil
}

// openStream makes a Header of the start tag b, and notes in st what holds for
// the stanzas that follow.
func (s *scan) openStream(b []byte, st *stream) (h Header, err error) {
	if err := s.checkHeader(b); err != nil {
		return h, err
	}
	h.Space = st.content
	for k := range s.attrs {
		a := &s.attrs[k]
		if a.decl {
			if p := string(a.local(b)); a.colon != 0 && p != "stream" && p != "xml" {
				st.prefixes = append(st.prefixes, p)
			}
			continue
		}
		value := string(s.valueOf(b, a))
		switch string(a.bytes(b)) {
		case "to":
			h.To = value
		case "from":
			h.From = value
		case "id":
			h.ID = value
		case "version":
			h.Version = value
		case "xml:lang":
			h.Lang = value
			st.lang = []byte(value)
		}
	}
	if !supported(h.Version) {
		// RFC 6120 §4.7.5, §4.9.3.25
		return h, StreamError{Condition: UnsupportedVersion, Text: "version 1.0 is needed"}
	}
	st.name = bytes.Clone(s.top.name.bytes(b))
	return h, nil
}

// checkHeader checks name and namespaces of a stream's start tag.
func (s *scan) checkHeader(b []byte) error {
	n, space := s.top.name, string(s.uri(b, s.top.space))
	switch {
	case string(n.local(b)) != "stream":
		// RFC 6120 §4.9.3.1
		return StreamError{Condition: BadFormat, Text: "first element is not a stream"}
	case n.colon != 0 && space != NSStream:
		// RFC 6120 §4.8.1, §4.9.3.10
		return StreamError{Condition: InvalidNamespace, Text: "prefix stream is for " + NSStream}
	case string(n.prefix(b)) != "stream":
		// RFC 6120 §4.8.5, §4.9.3.2: no other prefix need be accepted.
		return StreamError{Condition: BadNamespacePrefix, Text: "stream header without the prefix stream"}
	case string(s.uri(b, s.top.inside)) != s.in.content:
		// RFC 6120 §4.8.2, §4.9.3.10
		return StreamError{Condition: InvalidNamespace, Text: "default namespace is not " + s.in.content}
	}
	return nil
}

// supported tells whether a peer of this version can be talked to: any from 1.0
// on, since a later one must understand ours (RFC 6120 §4.7.5). No version at
// all means 0.9.
func supported(version string) bool {
	major, minor, ok := strings.Cut(version, ".")
	return ok && digits(major) && digits(minor) && strings.Trim(major, "0") != ""
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
