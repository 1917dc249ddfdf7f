package im

import (
	"slices"
	"strings"

	"parley.im/parley/xmppd/wire"
)

// Namespaces of service discovery.
const (
	NSDiscoInfo  = "http://jabber.org/protocol/disco#info"  // XEP-0030 §3
	NSDiscoItems = "http://jabber.org/protocol/disco#items" // XEP-0030 §4
)

// An Info is what an entity says of itself (XEP-0030 §3.1).
type Info struct {
	Identities []Identity
	Features   []string
	Forms      []Form
}

// An Identity is what kind of thing an entity is.
type Identity struct{ Category, Type, Lang, Name string }

// A Form tells more than features can (XEP-0128 §3).
type Form struct {
	Type   string // its FORM_TYPE
	Fields []Field
}

// A Field is one line of a Form. Those with several values are of type text-multi.
type Field struct {
	Var    string
	Values []string
}

// Append writes the answer to a request about that node, which is "" for the entity
// itself (XEP-0030 §3.1, §3.2).
func (i *Info) Append(b []byte, node string) []byte {
	b = append(b, "<query xmlns='"+NSDiscoInfo+"'"...)
	b = appendOptional(b, "node", node)
	b = append(b, '>')
	for _, id := range i.Identities {
		b = append(b, "<identity"...)
		b = appendOptional(b, "xml:lang", id.Lang)
		b = wire.AppendAttr(b, "category", id.Category)
		b = wire.AppendAttr(b, "type", id.Type)
		b = appendOptional(b, "name", id.Name)
		b = append(b, "/>"...)
	}
	for _, f := range i.Features {
		b = append(b, "<feature"...)
		b = wire.AppendAttr(b, "var", f)
		b = append(b, "/>"...)
	}
	for _, f := range i.Forms {
		b = f.append(b)
	}
	return append(b, "</query>"...)
}

func (f *Form) append(b []byte) []byte {
	b = append(b, "<x xmlns='"+nsForm+"' type='result'><field var='FORM_TYPE' type='hidden'><value>"...)
	b = wire.AppendText(b, f.Type)
	b = append(b, "</value></field>"...)
	for _, field := range f.Fields {
		b = append(b, "<field"...)
		b = wire.AppendAttr(b, "var", field.Var)
		if len(field.Values) > 1 {
			b = append(b, " type='text-multi'"...)
		}
		b = append(b, '>')
		for _, v := range field.Values {
			b = append(b, "<value>"...)
			b = wire.AppendText(b, v)
			b = append(b, "</value>"...)
		}
		b = append(b, "</field>"...)
	}
	return append(b, "</x>"...)
}

func appendOptional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return wire.AppendAttr(b, name, value)
}

// AppendItems writes the addresses that belong to an entity's node (XEP-0030 §4.1);
// there may be none.
func AppendItems(b []byte, node string, jids []string) []byte {
	b = append(b, "<query xmlns='"+NSDiscoItems+"'"...)
	b = appendOptional(b, "node", node)
	b = append(b, '>')
	for _, jid := range jids {
		b = append(b, "<item"...)
		b = wire.AppendAttr(b, "jid", jid)
		b = append(b, "/>"...)
	}
	return append(b, "</query>"...)
}

// ContactForm is how people reach those who run the server: addresses as URIs, by
// what they are for, such as "abuse" (XEP-0157 §3). Without any there is no form.
func ContactForm(addresses map[string][]string) []Form {
	f := Form{Type: "http://jabber.org/network/serverinfo"}
	for purpose, uris := range addresses {
		if len(uris) > 0 {
			f.Fields = append(f.Fields, Field{Var: purpose + "-addresses", Values: uris})
		}
	}
	if len(f.Fields) == 0 {
		return nil
	}
	slices.SortFunc(f.Fields, func(a, b Field) int { return strings.Compare(a.Var, b.Var) })
	return []Form{f}
}
