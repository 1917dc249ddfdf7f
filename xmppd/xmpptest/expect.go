package xmpptest

import (
	"errors"
	"fmt"
	"strings"
	"testing/synctest"
)

// next is the next thing that d got and the talk has to tell. A request for an
// acknowledgement may come at any time (XEP-0198 §4), so it is passed over
// unless want is one.
func (p *player) next(d *device, want *node) (item, error) {
	for {
		it, err := d.next()
		if err != nil {
			return it, err
		}
		if it.kind == gotElement {
			p.tell(d.who, "<", it.raw)
		} else {
			p.tell(d.who, "<", it.shown())
		}
		if !it.is(nsSM, "r") || want.is(nsSM, "r") {
			return it, nil
		}
	}
}

// shown is the item as a failure shows it.
func (it item) shown() string {
	switch it.kind {
	case gotEnd:
		return "the end of the stream"
	case gotText:
		return fmt.Sprintf("text %q", it.raw)
	default:
		return strings.TrimSpace(it.raw)
	}
}

// expect wants the next thing to be this element.
func (p *player) expect(d *device, want *node) error {
	it, err := p.next(d, want)
	if err != nil {
		return err
	}
	if err := p.fits(d, want, it); err != nil {
		return fmt.Errorf("%w\ngot  %s", err, it.shown())
	}
	return nil
}

// fits compares what came with what the talk says.
func (p *player) fits(d *device, want *node, it item) error {
	if it.node == nil || (it.kind == gotHeader) != want.is(nsStream, "stream") {
		return fmt.Errorf("want %s, got %s", want.tag(), it.kindName())
	}
	filled, err := d.fill(want)
	if err != nil {
		return err
	}
	return matchNode(p.vars, filled, it.node)
}

func (it item) kindName() string {
	switch it.kind {
	case gotHeader:
		return "a stream header"
	case gotElement:
		return it.node.tag()
	case gotEnd:
		return "the end of the stream"
	case gotText:
		return "text"
	}
	return "a cut line"
}

// fill puts the values of {signature} and the like into a pattern.
func (d *device) fill(want *node) (*node, error) {
	n := *want
	n.kids = make([]any, len(want.kids))
	for i, k := range want.kids {
		switch k := k.(type) {
		case *node:
			kid, err := d.fill(k)
			if err != nil {
				return nil, err
			}
			n.kids[i] = kid
		case string:
			if strings.Contains(k, "{signature}") {
				value, err := d.scram.signature()
				if err != nil {
					return nil, err
				}
				k = strings.ReplaceAll(k, "{signature}", value)
			}
			n.kids[i] = k
		}
	}
	return &n, nil
}

// expectAny wants these things in any order. at is set to the line that a
// failure belongs to.
func (p *player) expectAny(at *step, group []step) error {
	d, ok := p.devices[group[0].who]
	if !ok || d.in == nil {
		return fmt.Errorf("%s isn't connected", group[0].who)
	}
	left := append([]step(nil), group...)
	for len(left) > 0 {
		*at = left[0]
		it, err := p.next(d, left[0].want)
		if err != nil {
			return err
		}
		i, why := p.oneOf(d, left, it)
		if i < 0 {
			return fmt.Errorf("%s\ngot  %s", why, it.shown())
		}
		left = append(left[:i], left[i+1:]...)
	}
	return nil
}

// oneOf finds the line that an item fits, or says why none does.
func (p *player) oneOf(d *device, lines []step, it item) (int, string) {
	var why []string
	for i, s := range lines {
		err := p.fits(d, s.want, it)
		if err == nil {
			return i, ""
		}
		why = append(why, fmt.Sprintf("line %d: %v", s.line, err))
	}
	return -1, "none of the <~ lines fits:\n" + strings.Join(why, "\n")
}

// expectKind wants the next thing to be of that kind.
func (p *player) expectKind(d *device, k kind, name string) error {
	it, err := p.next(d, nil)
	if err != nil {
		return err
	}
	if it.kind != k {
		return fmt.Errorf("want %s, got %s\ngot  %s", name, it.kindName(), it.shown())
	}
	return nil
}

// nothing wants the answer to a ping to be the next thing, after everybody
// else's words are settled.
func (p *player) nothing(d *device) error {
	p.settle(d)
	answer, err := p.ping(d)
	if err != nil {
		return err
	}
	it, err := p.next(d, nil)
	if err != nil {
		return err
	}
	if answer(it) {
		if quiesce(); d.in.len() == 0 {
			return nil
		}
		// It came behind the answer: an archive page, say, written when there is room.
		if it, err = p.next(d, nil); err != nil {
			return err
		}
	}
	return fmt.Errorf("want nothing, got %s\ngot  %s", it.kindName(), it.shown())
}

// quiesce waits, in a synctest bubble, until nobody has anything left to do.
// Elsewhere the answer to a ping must be enough.
func quiesce() {
	if pretending() {
		synctest.Wait()
	}
}

// skip passes over what has come.
func (p *player) skip(d *device) error {
	p.settle(d)
	answer, err := p.ping(d)
	if err != nil {
		return err
	}
	for {
		it, err := p.next(d, nil)
		if err != nil {
			return err
		}
		if it.over() {
			return errors.New("want an answer to a ping, got " + it.kindName())
		}
		if answer(it) {
			break
		}
	}
	quiesce()
	for d.in.len() > 0 {
		if it, err := p.next(d, nil); err != nil || it.over() {
			return fmt.Errorf("want a connection that lives, got %s", it.kindName())
		}
	}
	return nil
}

// ping asks the server for something whose answer can't be mistaken.
func (p *player) ping(d *device) (answer func(item) bool, err error) {
	if !d.bound {
		return nil, fmt.Errorf("%s can't ask before binding a resource", d.who)
	}
	defer func() { d.unasked = false }()
	if d.managed {
		d.send("<r xmlns='" + nsSM + "'/>")
		return func(it item) bool { return it.is(nsSM, "a") }, nil
	}
	p.pings++
	id := fmt.Sprintf("nothing-%d", p.pings)
	// XEP-0199 §4.2: a client asks its server.
	d.send("<iq type='get' to='" + d.person.Domain + "' id='" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	return func(it item) bool { return it.is(nsClient, "iq") && it.node.attr("id") == id }, nil
}

// settle waits until the server has dealt with all that was sent, except by
// one: then whatever it had to tell others is on its way, and stands before the
// answer to a ping of theirs.
func (p *player) settle(except *device) {
	for _, d := range p.sorted() {
		if d == except || d.over || !d.bound || !d.unasked {
			continue
		}
		from := d.in.len()
		if answer, err := p.ping(d); err == nil {
			// That no answer comes is for the lines to find that look at d.
			d.in.take(from, answer)
		}
	}
	quiesce()
}

// leftovers finds what the talk did not say.
func (p *player) leftovers(at *step) error {
	for who, g := range p.guests {
		if g.conn != nil {
			at.who = who
			if err := p.noFrame(g); err != nil {
				return err
			}
		}
	}
	for _, d := range p.sorted() {
		if d.over {
			continue
		}
		var err error
		at.who = d.who
		if d.bound {
			err = p.nothing(d)
		} else if d.in.len() > 0 {
			err = p.expectKind(d, kind(-1), "nothing")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
