package xmpptest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

const (
	nsClient = "jabber:client"
	nsStream = "http://etherx.jabber.org/streams"
	nsXML    = "http://www.w3.org/XML/1998/namespace"
	nsSASL   = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsSASL2  = "urn:xmpp:sasl:2"
	nsBind2  = "urn:xmpp:bind:0"
	nsTLS    = "urn:ietf:params:xml:ns:xmpp-tls"
	nsBind   = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSM     = "urn:xmpp:sm:3"
)

// A node is an element as a tree, without its namespace declarations.
type node struct {
	name  xml.Name
	attrs []xml.Attr
	kids  []any // *node or string; neighbouring text is one string
	open  bool  // in patterns: "..." stood among the children
}

// is says whether the element has this name.
func (n *node) is(space, local string) bool {
	return n != nil && n.name.Space == space && n.name.Local == local
}

// attr is the value of an attribute without a namespace, or "".
func (n *node) attr(local string) string {
	v, _ := n.find(xml.Name{Local: local})
	return v
}

func (n *node) find(name xml.Name) (string, bool) {
	for _, a := range n.attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// children are the child elements of this name.
func (n *node) children(space, local string) []*node {
	var all []*node
	for _, k := range n.kids {
		if c, ok := k.(*node); ok && c.is(space, local) {
			all = append(all, c)
		}
	}
	return all
}

// text is the character data directly in the element.
func (n *node) text() string {
	var b strings.Builder
	for _, k := range n.kids {
		if s, ok := k.(string); ok {
			b.WriteString(s)
		}
	}
	return b.String()
}

// readNode reads the rest of the element that began with start.
func readNode(d *xml.Decoder, start xml.StartElement) (*node, error) {
	n := startNode(start)
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			kid, err := readNode(d, tok)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, kid)
		case xml.CharData:
			n.addText(string(tok))
		case xml.EndElement:
			n.tidy()
			return n, nil
		}
	}
}

func startNode(start xml.StartElement) *node {
	n := &node{name: start.Name}
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name == (xml.Name{Local: "xmlns"}) {
			continue
		}
		n.attrs = append(n.attrs, a)
	}
	return n
}

func (n *node) addText(s string) {
	if last := len(n.kids) - 1; last >= 0 {
		if before, ok := n.kids[last].(string); ok {
			n.kids[last] = before + s
			return
		}
	}
	n.kids = append(n.kids, s)
}

// tidy drops white space between elements. White space alone in an element is
// its text.
func (n *node) tidy() {
	if len(n.kids) < 2 {
		return
	}
	kept := n.kids[:0]
	for _, k := range n.kids {
		if s, ok := k.(string); !ok || strings.TrimSpace(s) != "" {
			kept = append(kept, k)
		}
	}
	n.kids = kept
}

// parsePattern reads what a talk expects: one element in the content namespace,
// or a stream header, which has no end tag.
func parsePattern(text string) (*node, error) {
	d := xml.NewDecoder(strings.NewReader(
		"<talk xmlns='" + nsClient + "' xmlns:stream='" + nsStream + "'>" + text + "</talk>"))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	start, err := nextStart(d)
	if err != nil {
		return nil, err
	}
	if start.Name == (xml.Name{Space: nsStream, Local: "stream"}) {
		return startNode(start), nil
	}
	n, err := readNode(d, start)
	if err != nil {
		return nil, fmt.Errorf("the expected element isn't well-formed: %v", err)
	}
	for {
		switch tok, err := d.Token(); tok := tok.(type) {
		case nil:
			return nil, err
		case xml.EndElement:
			n.findDots()
			return n, nil
		case xml.CharData:
			if strings.TrimSpace(string(tok)) == "" {
				continue
			}
		}
		return nil, errors.New("one line expects one element")
	}
}

func nextStart(d *xml.Decoder) (xml.StartElement, error) {
	for {
		tok, err := d.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			return tok, nil
		case xml.EndElement:
			return xml.StartElement{}, errors.New("no element is expected here")
		case xml.CharData:
			if strings.TrimSpace(string(tok)) != "" {
				return xml.StartElement{}, errors.New("text where an element is expected")
			}
		}
	}
}

// findDots takes "..." out of the children and opens the element instead.
func (n *node) findDots() {
	kept := n.kids[:0]
	for _, k := range n.kids {
		switch k := k.(type) {
		case string:
			if strings.TrimSpace(k) == "..." {
				n.open = true
				continue
			}
		case *node:
			k.findDots()
		}
		kept = append(kept, k)
	}
	n.kids = kept
}

// tag shows an element's name as a talk would write it.
func (n *node) tag() string {
	if n.name.Space == nsStream {
		return "<stream:" + n.name.Local + ">"
	}
	return "<" + n.name.Local + ">"
}

func attrName(name xml.Name) string {
	switch name.Space {
	case "":
		return name.Local
	case nsXML, "xml":
		return "xml:" + name.Local
	}
	return "{" + name.Space + "}" + name.Local
}
