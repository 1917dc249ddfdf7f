package im

import (
	"strings"

	"parley.im/parley/xmppd/wire"
)

// A Private is an element that a client puts aside on the server (XEP-0049).
type Private struct {
	Space, Name string
	Value       []byte // as it came, good for any place; empty if there is nothing in it
}

// Key tells apart what is put aside.
func (p *Private) Key() string { return p.Space + " " + p.Name }

// ParsePrivate reads the elements of a request, each kind once: elements of the same name
// are kept together. What it refuses is a wire.StanzaError.
func ParsePrivate(st *wire.Stanza, c *wire.Child) ([]Private, error) {
	query, err := st.Open(c)
	if err != nil || string(c.Name) != "query" {
		return nil, wire.StanzaError{Condition: wire.BadRequest}
	}
	var list []Private
	at := make(map[string]int)
	for k := range query.Children {
		e := &query.Children[k]
		p := Private{Space: string(e.Space), Name: string(e.Name)}
		if reserved(p.Space) {
			return nil, wire.StanzaError{Condition: wire.NotAcceptable, Text: "this namespace is not for putting things aside"}
		}
		element, err := query.Open(e)
		if err != nil {
			return nil, wire.StanzaError{Condition: wire.BadRequest}
		}
		if !element.Empty() {
			p.Value = element.Raw()
		}
		i, again := at[p.Key()]
		if !again {
			at[p.Key()] = len(list)
			list = append(list, p)
			continue
		}
		list[i].Value = append(list[i].Value, p.Value...)
	}
	if len(list) == 0 {
		return nil, wire.StanzaError{Condition: wire.NotAcceptable, Text: "what to put aside, or to give back, is not said"}
	}
	return list, nil
}

// reserved are the namespaces of XMPP itself, and none (XEP-0049 §2.3).
func reserved(space string) bool {
	return space == "" || space == NSCard || strings.HasPrefix(space, "jabber:") || strings.HasPrefix(space, "http://jabber.org/")
}

// AppendPrivate writes what was put aside as p; an empty element if that is nothing.
func AppendPrivate(b []byte, p *Private, value []byte) []byte {
	b = append(b, "<query xmlns='"+NSPrivate+"'>"...)
	if len(value) == 0 {
		b = append(b, '<')
		b = append(b, p.Name...)
		b = wire.AppendAttr(b, "xmlns", p.Space)
		b = append(b, "/>"...)
	}
	b = append(b, value...)
	return append(b, "</query>"...)
}
