package im

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// NSRoster is RFC 6121 §2's.
const NSRoster = "jabber:iq:roster"

// How much a roster can hold. Who wants more is told so.
const (
	MaxContacts = 2000
	MaxBytes    = 1 << 20 // of names, groups and the like
	MaxRequests = 500     // subscription requests that wait for an answer
)

// A Roster is all that an agent keeps of others: her contacts, and who waits for her
// answer. It is never changed: each change makes another one.
type Roster struct {
	Contacts []*Contact // by JID
	Requests []*Pending // by who asks
}

// Contact is the item of that JID, or nil.
func (r *Roster) Contact(jid string) *Contact {
	if i, ok := contactAt(r.Contacts, jid); ok {
		return r.Contacts[i]
	}
	return nil
}

// Bytes is how much the contacts hold, about.
func (r *Roster) Bytes() (n int) {
	for _, c := range r.Contacts {
		n += len(c.JID) + len(c.Name) + 16*len(c.Groups)
		for _, g := range c.Groups {
			n += len(g)
		}
	}
	return n
}

// Request is what that JID has asked, or nil.
func (r *Roster) Request(jid string) *Pending {
	if i, ok := requestAt(r.Requests, jid); ok {
		return r.Requests[i]
	}
	return nil
}

// State is what stands between the agent and that JID.
func (r *Roster) State(jid string) (s State, approved bool) {
	if c := r.Contact(jid); c != nil {
		s, approved = c.State, c.Approved
	}
	if r.Request(jid) != nil {
		s = s.asked()
	}
	return s, approved
}

// With is the roster with c in place of the contact of its JID.
func (r *Roster) With(c *Contact) *Roster {
	i, found := contactAt(r.Contacts, c.JID)
	return &Roster{replaced(r.Contacts, i, found, c), r.Requests}
}

// Without is the roster without the contact of that JID.
func (r *Roster) Without(jid string) *Roster {
	i, found := contactAt(r.Contacts, jid)
	return &Roster{replaced(r.Contacts, i, found), r.Requests}
}

// Asked is the roster with q in place of what the same JID had asked.
func (r *Roster) Asked(q *Pending) *Roster {
	i, found := requestAt(r.Requests, q.From)
	return &Roster{r.Contacts, replaced(r.Requests, i, found, q)}
}

// Answered is the roster where that JID waits for no answer.
func (r *Roster) Answered(jid string) *Roster {
	i, found := requestAt(r.Requests, jid)
	return &Roster{r.Contacts, replaced(r.Requests, i, found)}
}

func contactAt(list []*Contact, jid string) (int, bool) {
	return slices.BinarySearchFunc(list, jid, func(c *Contact, jid string) int { return strings.Compare(c.JID, jid) })
}

func requestAt(list []*Pending, jid string) (int, bool) {
	return slices.BinarySearchFunc(list, jid, func(q *Pending, jid string) int { return strings.Compare(q.From, jid) })
}

// replaced is a copy of list with v at i, in place of what was found there.
func replaced[T any](list []T, i int, found bool, v ...T) []T {
	rest := list[i:]
	if found {
		rest = rest[1:]
	}
	return slices.Concat(list[:i], v, rest)
}

// A Pending is a subscription request that waits for an answer, with all that was
// said in it (RFC 6121 §3.1.3; rule 28).
type Pending struct {
	From                   string        // the bare JID
	By                     store.AgentID // who had it when she asked
	ID, Lang, Decls, Inner []byte
}

const requestVersion = 1

// Encode is what is kept of the request, besides who asks.
func (q *Pending) Encode() []byte {
	b := binary.AppendUvarint([]byte{requestVersion}, uint64(q.By))
	for _, s := range [...][]byte{q.ID, q.Lang, q.Decls, q.Inner} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// ParsePending undoes Encode. The request points into b.
func ParsePending(from string, b []byte) (*Pending, error) {
	if len(b) == 0 || b[0] != requestVersion {
		return nil, errKept
	}
	f := fields{rest: b[1:]}
	q := &Pending{From: from, By: store.AgentID(f.number())}
	q.ID, q.Lang, q.Decls, q.Inner = f.next(), f.next(), f.next(), f.next()
	if f.bad || len(f.rest) > 0 {
		return nil, errKept
	}
	return q, nil
}

// AppendTo writes the request as it is delivered.
func (q *Pending) AppendTo(b []byte, to string) []byte {
	b = wire.AppendOpen(b, wire.Presence, wire.Attrs{
		Type: VerbSubscribe.String(), ID: q.ID, To: to, From: q.From, Lang: q.Lang, Decls: q.Decls,
	})
	return wire.AppendClose(append(b, q.Inner...), wire.Presence)
}

// A RosterVersion stands for all that a roster shows (RFC 6121 §2.6): the sum of the
// hashes of its items, so that a change of one costs no look at the others, and the
// same roster has the same version after a restart.
type RosterVersion struct{ high, low uint64 }

// VersionOf is the part of one item, as it is written.
func VersionOf(item []byte) RosterVersion {
	h := sha256.Sum256(item)
	return RosterVersion{binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])}
}

// Plus is the version with a further item.
func (v RosterVersion) Plus(o RosterVersion) RosterVersion {
	low, carry := bits.Add64(v.low, o.low, 0)
	high, _ := bits.Add64(v.high, o.high, carry)
	return RosterVersion{high, low}
}

// Minus is the version without an item.
func (v RosterVersion) Minus(o RosterVersion) RosterVersion {
	low, borrow := bits.Sub64(v.low, o.low, 0)
	high, _ := bits.Sub64(v.high, o.high, borrow)
	return RosterVersion{high, low}
}

// String is the value of the attribute 'ver'.
func (v RosterVersion) String() string { return fmt.Sprintf("%016x%016x", v.high, v.low) }
