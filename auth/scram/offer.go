package scram

import (
	"encoding/base64"
	"slices"
	"strings"
)

// An Offer is what the stream announced, spelled and ordered as it was announced.
type Offer struct {
	Mechanisms []string
	Bindings   []string // XEP-0440 §2; empty where that feature was not sent
}

// plus says whether a mechanism with channel binding was announced.
func (o Offer) plus() bool {
	return slices.ContainsFunc(o.Mechanisms, func(m string) bool {
		return strings.HasSuffix(m, plusSuffix)
	})
}

// digest is the hash over the offer that lets the client notice if somebody made
// it smaller on the way, in base64.
func (o Offer) digest(h Hash) string {
	// XEP-0474 §6.1: both lists sorted by octets, joined with 0x1E, and 0x1F before
	// the bindings if there are any. Go compares strings by octets.
	var b strings.Builder
	b.WriteString(joinSorted(o.Mechanisms))
	if len(o.Bindings) > 0 {
		b.WriteByte(0x1F)
		b.WriteString(joinSorted(o.Bindings))
	}
	sum := h.New()
	sum.Write([]byte(b.String()))
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

func joinSorted(names []string) string {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	return strings.Join(sorted, "\x1E")
}
