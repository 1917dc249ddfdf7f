package desk

import (
	"slices"
	"time"

	"parley.im/parley/store"
)

// Done is called when what was asked of a Desk is durable or refused: at once, or later from
// the goroutine that the Keeper calls from. The Change is nil if nothing had to be kept.
type Done func(ch *Change, err error)

// An input is something that somebody wants of a contact.
type input struct {
	// do makes the steps of ch, from what the contact is, or refuses.
	do   func(l *live, ch *Change, now time.Time) error
	done Done
}

// do has an input taken in its turn: what is said goes on beside what else is said, a step waits
// until all before it is decided, and all that comes after it until it is.
func (d *Desk) do(id store.ConversationID, in input) {
	d.mu.Lock()
	defer d.unlock()
	l := d.contacts[id]
	if l == nil {
		d.answer(in.done, nil, ErrUnknown)
		return
	}
	if len(l.waiting) > 0 || !d.take(l, in) {
		l.waiting = append(l.waiting, in)
	}
}

// take begins an input and says whether it could.
func (d *Desk) take(l *live, in input) bool {
	if l.stepping {
		return false
	}
	now := d.config.Now()
	ch := &Change{Was: l.c, Is: l.c}
	if err := in.do(l, ch, now); err != nil {
		d.answer(in.done, nil, err)
		return true
	}
	switch {
	case ch.Is != ch.Was:
		if l.saying > 0 {
			return false // and is decided by what the contact is then
		}
		count := l.said
		count.add(ch.Said, 1)
		if err := ch.letter(count, now); err != nil {
			d.answer(in.done, nil, err)
			return true
		}
		l.stepping = true
		n := *ch.Is
		n.Said = count
		if n.Ended == now {
			n.Outcome = n.outcome(now)
		}
		ch.Is = &n
		d.place(l, ch.Is)
	case ch.Said == nil && len(ch.Events) == 0:
		d.answer(in.done, nil, nil)
		return true
	default:
		l.saying++
	}
	l.said.add(ch.Said, 1)
	d.keeps = append(d.keeps, func() {
		d.config.Keeper.Keep(ch, func(err error) { d.kept(l, ch, in.done, err) })
	})
	return true
}

// kept goes on with a contact whose change is decided.
func (d *Desk) kept(l *live, ch *Change, done Done, err error) {
	d.mu.Lock()
	now := d.config.Now()
	if err != nil || ch.Repeated {
		l.said.add(ch.Said, -1)
	} else if ch.Said != nil {
		l.last = now
		l.answered(ch.Said.By, now)
	}
	if ch.Is == ch.Was {
		l.saying--
	} else {
		l.stepping = false
		if err == nil {
			l.c = ch.Is
			l.notes(now)
			d.moved(ch, now)
		} else {
			d.place(l, l.c)
		}
		d.nudge()
	}
	d.remind(l, now)
	if l.c.State == Finalized {
		d.forget(l)
	}
	if err == nil && d.config.Changed != nil {
		d.calls = append(d.calls, func() { d.config.Changed(ch) })
	}
	if err == nil && ch.pauses != 0 {
		d.pause(ch.pauses, Forced)
	}
	d.answer(done, ch, err)
	for len(l.waiting) > 0 && d.take(l, l.waiting[0]) {
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
	d.unlock()
}

// notes remembers since when agents are asked.
func (l *live) notes(now time.Time) {
	before := l.offered
	l.offered = nil
	if l.c.Offer == nil {
		return
	}
	l.offered = make(map[store.AgentID]time.Time, len(l.c.Offer.To))
	for _, a := range l.c.Offer.To {
		if l.offered[a] = now; !before[a].IsZero() {
			l.offered[a] = before[a]
		}
	}
}

// moved notes who was given something, and when.
func (d *Desk) moved(ch *Change, now time.Time) {
	if ch.Is.State.Owned() && (!ch.Was.State.Owned() || ch.Was.Owner != ch.Is.Owner) {
		d.worker(ch.Is.Owner).since = now
	}
}

// forget ends what the desk knows of a contact: whoever still waits is told so.
func (d *Desk) forget(l *live) {
	delete(d.contacts, l.c.ID)
	d.timers.remove(l)
	for _, in := range l.waiting {
		d.answer(in.done, nil, ErrClosed)
	}
	l.waiting = nil
}

func (d *Desk) answer(done Done, ch *Change, err error) {
	if done != nil {
		d.calls = append(d.calls, func() { done(ch, err) })
	}
}

// add counts what is said, n times.
func (c *Count) add(s *Said, n int) {
	switch {
	case s == nil:
	case s.By == Visitor:
		c.Visitor += n
	case s.By == Agents:
		c.Agent += n
	}
}
