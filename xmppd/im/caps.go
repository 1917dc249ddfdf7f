package im

import (
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
)

// NSCaps is the namespace of entity capabilities (XEP-0115).
const NSCaps = "http://jabber.org/protocol/caps"

// Ver is the hash by which others recognise an Info that they have seen before
// (XEP-0115 §5.1). SHA-1 is what all of them know; the server hashes nothing but what
// it says of itself, so that nobody gains by two texts of one hash.
//
// What clients say of theirs is passed on and never remembered, so there is no cache
// that could be poisoned.
func (i *Info) Ver() string {
	// Sorted by octets (RFC 4790 §9.3), as Go compares strings, and before the marks
	// between them are set: those would take part in the order.
	var s strings.Builder
	write := func(parts ...string) {
		for _, p := range parts {
			s.WriteString(p + "<")
		}
	}
	identities := slices.SortedFunc(slices.Values(i.Identities), func(a, b Identity) int {
		return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Lang, b.Lang))
	})
	for _, id := range identities {
		write(id.Category + "/" + id.Type + "/" + id.Lang + "/" + id.Name)
	}
	write(slices.Sorted(slices.Values(i.Features))...)
	forms := slices.SortedFunc(slices.Values(i.Forms), func(a, b Form) int { return cmp.Compare(a.Type, b.Type) })
	for _, f := range forms {
		write(f.Type)
		fields := slices.SortedFunc(slices.Values(f.Fields), func(a, b Field) int { return cmp.Compare(a.Var, b.Var) })
		for _, field := range fields {
			write(field.Var)
			write(slices.Sorted(slices.Values(field.Values))...)
		}
	}
	sum := sha1.Sum([]byte(s.String()))
	return base64.StdEncoding.EncodeToString(sum[:])
}
