package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// spansMax is how many spans of time are told apart; beyond it the two that are closest to each
// other become one.
const spansMax = 16

// spans are times in Unix seconds, sorted and apart.
type spans []span

type span struct{ from, to int64 } // both are part of it

// at is the span that a time is in.
func (s spans) at(t int64) (span, bool) {
	for _, one := range s {
		if one.from <= t && t <= one.to {
			return one, true
		}
	}
	return span{}, false
}

// with is s and one more span. Those that touch become one, and those between which there is
// less than a step.
func (s spans) with(more span) spans {
	all := append(slices.Clone(s), more)
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	out := all[:1]
	for _, next := range all[1:] {
		if last := &out[len(out)-1]; next.from <= last.to+markStep {
			last.to = max(last.to, next.to)
		} else {
			out = append(out, next)
		}
	}
	for len(out) > spansMax {
		closest := 1
		for i := range out[1:] {
			if out[i+1].from-out[i].to < out[closest].from-out[closest-1].to {
				closest = i + 1
			}
		}
		out[closest-1].to = out[closest].to
		out = slices.Delete(out, closest, closest+1)
	}
	return out
}

// String is the form in which the store keeps them.
func (s spans) String() string {
	var b strings.Builder
	for _, one := range s {
		fmt.Fprintf(&b, "%d:%d ", one.from, one.to)
	}
	return strings.TrimSuffix(b.String(), " ")
}

// parseSpans undoes String. A number alone is all times up to it.
func parseSpans(text string) (s spans, err error) {
	for field := range strings.FieldsSeq(text) {
		var one span
		if !strings.Contains(field, ":") {
			field = "0:" + field
		}
		if _, err := fmt.Sscanf(field, "%d:%d", &one.from, &one.to); err != nil {
			return nil, fmt.Errorf("not spans of time: %q", text)
		}
		s = s.with(one)
	}
	return s, nil
}
