// Package wire reads and writes XML streams as XMPP uses them (RFC 6120 §4,
// §8 and §11).
//
// A Reader takes one top-level element at a time from a connection and checks
// it completely in one pass: well-formed, namespaces bound, UTF-8, within the
// limits, and nothing of XML that XMPP forbids. What it hands out is a Stanza,
// which points to the bytes as they came. What is forwarded is a fresh start
// tag (AppendOpen) around those same bytes, so that what was checked is what
// is sent: nothing a client wrote goes through an encoder.
//
// Payloads that are looked at more closely are decoded into structs with
// encoding/xml's decoder, never written with its encoder.
//
// The package knows nothing of connections, sessions or JIDs.
package wire

// Namespaces of RFC 6120 and what else this package writes.
const (
	NSClient    = "jabber:client"                        // RFC 6120 §4.8.3
	NSServer    = "jabber:server"                        // RFC 6120 §4.8.3
	NSComponent = "jabber:component:accept"              // XEP-0114 §3
	NSStream    = "http://etherx.jabber.org/streams"     // RFC 6120 §4.8.1
	NSStreams   = "urn:ietf:params:xml:ns:xmpp-streams"  // RFC 6120 §4.9.2
	NSStanzas   = "urn:ietf:params:xml:ns:xmpp-stanzas"  // RFC 6120 §8.3.2
	nsXML       = "http://www.w3.org/XML/1998/namespace" // Namespaces in XML 1.0 §3
	nsXMLNS     = "http://www.w3.org/2000/xmlns/"        // Namespaces in XML 1.0 §3
)

// A Kind tells the three kinds of stanzas (RFC 6120 §8) from everything else.
type Kind uint8

// The kinds of top-level elements.
const (
	Nonza    Kind = iota // any other top-level element, in whatever namespace
	Message              // RFC 6120 §8.2.1
	Presence             // RFC 6120 §8.2.2
	IQ                   // RFC 6120 §8.2.3
)

// String is the element's name, or "nonza".
func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return "nonza"
}

// Limits bound what one top-level element may cost. A field that is zero has
// the default.
type Limits struct {
	Bytes    int // from '<' to '>'; 256 KiB
	Depth    int // levels of elements, the top-level one included; 64
	Attrs    int // of each element, namespace declarations included; 64
	Children int // all elements inside, on every level; 2,048
}
