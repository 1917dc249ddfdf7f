package im

import (
	"encoding/binary"
	"errors"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// A Contact is an item of an agent's roster: what she calls somebody, and who sees
// whose presence (RFC 6121 §2.1.2). It is never changed.
type Contact struct {
	JID      string // bare, prepared
	Name     string
	Groups   []string
	Set      bool          // she has put it there, rather than a subscription
	State    State         // as shown: without "In", for which there is a Pending
	Approved bool          // RFC 6121 §3.4
	With     store.AgentID // whom the state is with: not somebody later of the same name
}

// Alone is the contact when whom it was with is gone (rule 56).
func (c *Contact) Alone() *Contact {
	return &Contact{JID: c.JID, Name: c.Name, Groups: c.Groups, Set: c.Set}
}

// Stands says whether there is more to the contact than what the agent calls it.
func (c *Contact) Stands() bool { return c.State != None || c.Approved }

const contactVersion = 1

// Encode is what is kept of the contact, besides its JID.
func (c *Contact) Encode() []byte {
	b := []byte{contactVersion, byte(c.State), flags(c.Set, c.Approved)}
	b = binary.AppendUvarint(b, uint64(c.With))
	for _, s := range append([]string{c.Name}, c.Groups...) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

func flags(list ...bool) (b byte) {
	for i, on := range list {
		if on {
			b |= 1 << i
		}
	}
	return b
}

var errKept = errors.New("not a kept contact or request")

// ParseContact undoes Encode.
func ParseContact(jid string, b []byte) (*Contact, error) {
	if len(b) < 3 || b[0] != contactVersion || b[1] > byte(Both) || State(b[1]).In() {
		return nil, errKept
	}
	c := &Contact{JID: jid, State: State(b[1]), Set: b[2]&1 != 0, Approved: b[2]&2 != 0}
	f := fields{rest: b[3:]}
	c.With = store.AgentID(f.number())
	c.Name = string(f.next())
	for len(f.rest) > 0 {
		c.Groups = append(c.Groups, string(f.next()))
	}
	if f.bad {
		return nil, errKept
	}
	return c, nil
}

// fields reads what has its length before it.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() uint64 {
	n, w := binary.Uvarint(f.rest)
	if w <= 0 {
		f.rest, f.bad = nil, true
		return 0
	}
	f.rest = f.rest[w:]
	return n
}

func (f *fields) next() []byte {
	n := f.number()
	if n > uint64(len(f.rest)) {
		f.rest, f.bad = nil, true
		return nil
	}
	field := f.rest[:n]
	f.rest = f.rest[n:]
	return field
}

// AppendTo writes the contact as an item of a roster (RFC 6121 §2.1.2).
func (c *Contact) AppendTo(b []byte) []byte {
	b = appendItem(b, c.JID, c.Name, c.State.String())
	if c.State.Out() {
		b = append(b, " ask='subscribe'"...)
	}
	if c.Approved {
		b = append(b, " approved='true'"...)
	}
	return appendGroups(b, c.Groups)
}

// colleagues is the group that the server manages (RFC 6121 §2.1.3 leaves a server
// free to have one).
var colleagues = []string{"Colleagues"}

// AppendColleague writes an item of somebody who is in that group. own is what the
// agent herself has made of it, or nil: her groups count, and her name if she has
// given one.
func AppendColleague(b []byte, jid, name string, own *Contact) []byte {
	groups := colleagues
	if own != nil && own.Set {
		groups = own.Groups
		if own.Name != "" {
			name = own.Name
		}
	}
	return appendGroups(appendItem(b, jid, name, Both.String()), groups)
}

// AppendVisitor writes an item of a visitor, which the server puts there and takes away.
func AppendVisitor(b []byte, jid, name, group string) []byte {
	return appendGroups(appendItem(b, jid, name, Both.String()), []string{group})
}

// AppendRemoved writes an item that is there no more (RFC 6121 §2.5.2).
func AppendRemoved(b []byte, jid string) []byte {
	return append(appendItem(b, jid, "", "remove"), "/>"...)
}

func appendItem(b []byte, jid, name, subscription string) []byte {
	b = wire.AppendAttr(append(b, "<item"...), "jid", jid)
	if name != "" {
		b = wire.AppendAttr(b, "name", name)
	}
	return wire.AppendAttr(b, "subscription", subscription)
}

func appendGroups(b []byte, groups []string) []byte {
	if len(groups) == 0 {
		return append(b, "/>"...)
	}
	b = append(b, '>')
	for _, g := range groups {
		b = append(wire.AppendText(append(b, "<group>"...), g), "</group>"...)
	}
	return append(b, "</item>"...)
}
