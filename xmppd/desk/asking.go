package desk

import (
	"slices"
	"time"

	"parley.im/parley/store"
)

// route asks agents for a contact that waits: those that are to be asked now, and those no more
// who can't take it.
func (d *Desk) route(l *live, now time.Time) {
	c, s := l.c, &d.settings
	if l.stepping || len(l.waiting) > 0 {
		return // it is looked at again when that is decided
	}
	var to []store.AgentID
	step, exclusive := 0, s.exclusive()
	if c.Offer != nil {
		step, exclusive = c.Offer.Step, c.Offer.Exclusive
		for _, a := range c.Offer.To {
			if d.mayTake(d.worker(a), c) {
				to = append(to, a)
			}
		}
	}
	asked := c.Offer != nil && len(to) == len(c.Offer.To)
	if len(to) == 0 || !exclusive && (s.Algorithm == Broadcast || !d.nextStep(c).After(now)) {
		if more := d.askable(c, to); len(more) > 0 {
			to, step, asked = append(to, s.first(more, c.wants(), now)...), step+1, false
		}
	}
	if asked || c.Offer == nil && len(to) == 0 {
		return
	}
	d.take(l, input{do: func(_ *live, ch *Change, now time.Time) error {
		return ch.asked(to, step, exclusive, now)
	}})
}

// mayTake says whether she who was asked can still take it.
func (d *Desk) mayTake(w *worker, c *Contact) bool {
	has := 0
	for _, l := range w.has {
		if l.placed.State != Idle {
			has++
		}
	}
	return w.ready() && w.can(c.wants()) && (has < d.settings.LimitOf(&w.Agent) || c.wants().Busy)
}

// askable are who can be asked besides those who were.
func (d *Desk) askable(c *Contact, asked []store.AgentID) (list []*worker) {
	wants := c.wants()
	for _, w := range d.workers {
		if w.ready() && w.can(wants) && (w.busy() < d.settings.LimitOf(&w.Agent) || wants.Busy) && len(w.asked) < d.settings.Offers &&
			w.ID != c.Owner && !slices.Contains(c.Guests, w.ID) && !slices.Contains(c.Passed, w.ID) && !slices.Contains(asked, w.ID) {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(x, y *worker) int { return int(x.ID - y.ID) })
	return list
}

// anybody says whether there is an agent who could be asked sooner or later.
func (d *Desk) anybody(wants *Wants, but store.AgentID) bool {
	for _, w := range d.workers {
		if w.ID != but && w.Here && w.Takes && w.can(wants) {
			return true
		}
	}
	return false
}
