package xmpptest

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// A mismatch is where an element differs from what the talk says, in a
// sentence.
type mismatch string

func (m mismatch) Error() string { return string(m) }

func mismatchf(format string, args ...any) error {
	return mismatch(fmt.Sprintf(format, args...))
}

// matchNode compares an element with what the talk expects. New names are kept
// in v only when everything fits.
func matchNode(v vars, want, got *node) error {
	try := v.copy()
	if err := try.node(want, got); err != nil {
		return err
	}
	v.take(try)
	return nil
}

func (v vars) node(want, got *node) error {
	if want.name.Local != got.name.Local {
		return mismatchf("want %s, got %s", want.tag(), got.tag())
	}
	if want.name.Space != got.name.Space {
		return mismatchf("%s namespace: want %q, got %q", got.tag(), want.name.Space, got.name.Space)
	}
	if err := v.attributes(want, got); err != nil {
		return err
	}
	if want.open {
		return v.someChildren(want, got)
	}
	return v.allChildren(want, got)
}

func (v vars) attributes(want, got *node) error {
	for _, a := range want.attrs {
		value, ok := got.find(a.Name)
		if !ok {
			return mismatchf("%s has no attribute %s, want %q", got.tag(), attrName(a.Name), a.Value)
		}
		if err := v.match(a.Value, value); err != nil {
			return mismatchf("%s attribute %s: %v", got.tag(), attrName(a.Name), err)
		}
	}
	if want.open {
		return nil
	}
	for _, a := range got.attrs {
		if _, ok := want.find(a.Name); !ok {
			return mismatchf("%s has attribute %s=%q, which the talk does not say", got.tag(), attrName(a.Name), a.Value)
		}
	}
	return nil
}

// allChildren wants the children one by one, and no others.
func (v vars) allChildren(want, got *node) error {
	for i, w := range want.kids {
		if i == len(got.kids) {
			return missing(got, w)
		}
		if err := v.child(got, w, got.kids[i]); err != nil {
			return err
		}
	}
	if len(got.kids) > len(want.kids) {
		return unsaid(got, got.kids[len(want.kids)])
	}
	return nil
}

// someChildren wants the children in this order, with others between them.
func (v vars) someChildren(want, got *node) error {
	from := 0
	for _, w := range want.kids {
		var near error // why the last one of that name didn't fit
		found := false
		for i := from; i < len(got.kids) && !found; i++ {
			try := v.copy()
			err := try.child(got, w, got.kids[i])
			if err == nil {
				v.take(try)
				found, from = true, i+1
			} else if kidName(w) == kidName(got.kids[i]) {
				near = err
			}
		}
		switch {
		case found:
		case near != nil:
			return near
		default:
			return missing(got, w)
		}
	}
	return nil
}

func (v vars) child(parent *node, want, got any) error {
	switch w := want.(type) {
	case string:
		g, ok := got.(string)
		if !ok {
			return unsaid(parent, got)
		}
		if err := v.match(w, g); err != nil {
			return mismatchf("%s text: %v", parent.tag(), err)
		}
		return nil
	case *node:
		g, ok := got.(*node)
		if !ok {
			return unsaid(parent, got)
		}
		if w.name != g.name && kidName(w) != kidName(g) {
			return mismatchf("%s has child %s where the talk says %s", parent.tag(), g.tag(), w.tag())
		}
		return v.node(w, g)
	}
	return nil
}

func kidName(kid any) xml.Name {
	if n, ok := kid.(*node); ok {
		return xml.Name{Local: n.name.Local}
	}
	return xml.Name{}
}

func missing(parent *node, want any) error {
	if w, ok := want.(*node); ok {
		return mismatchf("%s has no further child %s", parent.tag(), w.tag())
	}
	return mismatchf("%s text: want %q, got none", parent.tag(), want)
}

func unsaid(parent *node, got any) error {
	if g, ok := got.(*node); ok {
		return mismatchf("%s has child %s, which the talk does not say", parent.tag(), g.tag())
	}
	return mismatchf("%s has text %q, which the talk does not say", parent.tag(), strings.TrimSpace(got.(string)))
}
