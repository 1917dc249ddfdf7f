package im

import (
	"maps"
	"slices"
	"strings"

	"mellium.im/xmpp/jid"

	"parley.im/parley/xmppd/wire"
)

// NSBlocking is the namespace of XEP-0191.
const NSBlocking = "urn:xmpp:blocking"

// A BlockList is the JIDs, prepared, that an agent has blocked (XEP-0191). It is never
// changed: each change makes another one.
type BlockList map[string]struct{}

// Blocks says whether a prepared JID is one of those meant by the list (XEP-0191 §4):
// itself, its bare JID, or its domain.
func (l BlockList) Blocks(address string) bool {
	if len(l) == 0 {
		return false
	}
	bare, _, _ := strings.Cut(address, "/")
	_, domain, ok := strings.Cut(bare, "@")
	return l.has(address) || l.has(bare) || ok && l.has(domain)
}

func (l BlockList) has(jid string) bool {
	_, ok := l[jid]
	return ok
}

// With is the list and some more.
func (l BlockList) With(jids []string) BlockList {
	more := make(BlockList, len(l)+len(jids))
	maps.Copy(more, l)
	for _, j := range jids {
		more[j] = struct{}{}
	}
	return more
}

// Without is the list without some.
func (l BlockList) Without(jids []string) BlockList {
	less := maps.Clone(l)
	for _, j := range jids {
		delete(less, j)
	}
	return less
}

// JIDs is the list in order.
func (l BlockList) JIDs() []string { return slices.Sorted(maps.Keys(l)) }

// ParseBlocked reads the JIDs that a request is about, prepared and each once. What it
// refuses is a wire.StanzaError.
func ParseBlocked(st *wire.Stanza, c *wire.Child) ([]string, error) {
	request, err := st.Open(c)
	if err != nil {
		return nil, wire.StanzaError{Condition: wire.BadRequest}
	}
	list := make(BlockList)
	for k := range request.Children {
		item := &request.Children[k]
		text := request.ChildAttr(item, "jid")
		if text == nil || string(item.Name) != "item" || string(item.Space) != NSBlocking {
			// Not passed over: what names nobody unblocks everybody (XEP-0191 §3.5).
			return nil, wire.StanzaError{Condition: wire.BadRequest, Text: "whom this means is not said in items with a jid"}
		}
		j, err := jid.Parse(string(text))
		if err != nil {
			return nil, wire.StanzaError{Condition: wire.JIDMalformed}
		}
		list[j.String()] = struct{}{}
	}
	return list.JIDs(), nil
}

// AppendBlocked writes a block list, or a push of a change to it (XEP-0191 §3.2 to §3.5): name
// is "blocklist", "block" or "unblock".
func AppendBlocked(b []byte, name string, jids []string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, " xmlns='"+NSBlocking+"'>"...)
	for _, j := range jids {
		b = append(b, "<item"...)
		b = wire.AppendAttr(b, "jid", j)
		b = append(b, "/>"...)
	}
	b = append(b, "</"...)
	b = append(b, name...)
	return append(b, '>')
}
