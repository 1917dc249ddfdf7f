package desk

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"parley.im/parley/store"
)

// Run does what time brings, and asks agents, until the context ends.
func (d *Desk) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
		}
		if next := d.look(); !next.IsZero() {
			timer.Reset(max(next.Sub(d.config.Now()), time.Millisecond))
		}
	}
}

// look does all that is due now, asks whom there is to ask, and says when something is
// due next; zero if nothing is.
func (d *Desk) look() (next time.Time) {
	d.mu.Lock()
	defer d.unlock()
	now := d.config.Now()
	for len(d.timers) > 0 && !d.timers[0].due.After(now) {
		l := d.timers[0]
		d.timers.remove(l)
		at, do := d.deadline(l, now)
		switch {
		case l.stepping || len(l.waiting) > 0: // kept looks again
		case do == nil || at.After(now):
			d.remind(l, now)
		default:
			if in := (input{do: do}); !d.take(l, in) {
				l.waiting = append(l.waiting, in)
			}
		}
	}
	d.comeBack(now)
	for _, l := range d.queue() {
		d.route(l, now)
	}
	if len(d.timers) > 0 {
		next = d.timers[0].due
	}
	return next
}

// queue is what waits for agents, in the order in which they are asked.
func (d *Desk) queue() (list []*live) {
	for _, l := range d.contacts {
		if !l.stepping && (l.c.State.Waiting() || l.c.State == Transferring) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, before)
	return list
}

func before(x, y *live) int {
	return cmp.Or(cmp.Compare(x.c.priority(), y.c.priority()), x.c.Queued.Compare(y.c.Queued), cmp.Compare(x.c.ID, y.c.ID))
}

// remind sees to it that the contact is looked at when something is due.
func (d *Desk) remind(l *live, now time.Time) {
	at, _ := d.deadline(l, now)
	if opens := d.opens(l, now); !opens.IsZero() && (at.IsZero() || opens.Before(at)) {
		at = opens
	}
	if l.c.State == Offered || l.c.State == Transferring {
		if step := d.nextStep(l.c); step.After(now) && (at.IsZero() || step.Before(at)) {
			at = step
		}
	}
	switch {
	case l.index >= 0 && !at.IsZero() && !at.Before(l.due):
		return // it is looked at before that, and then again
	case at.IsZero():
		d.timers.remove(l)
		return
	}
	d.timers.remove(l)
	l.due = at
	heap.Push(&d.timers, l)
	if l.index == 0 {
		d.nudge()
	}
}

// nextStep is when the next group of agents is asked; zero without an offer.
func (d *Desk) nextStep(c *Contact) time.Time {
	if c.Offer == nil {
		return time.Time{}
	}
	return c.Offer.Since.Add(time.Duration(c.Offer.Step) * d.settings.Delay)
}

type stepFunc = func(l *live, ch *Change, now time.Time) error

// deadline is what becomes of a contact by time alone, and when; do is nil if nothing does.
func (d *Desk) deadline(l *live, now time.Time) (at time.Time, do stepFunc) {
	s, c := &d.settings, l.c
	by := func(since time.Time, after time.Duration, step stepFunc) {
		if end := since.Add(after); !since.IsZero() && after > 0 && (do == nil || end.Before(at)) {
			at, do = end, step
		}
	}
	close := func(by Party, why string) stepFunc {
		return func(_ *live, ch *Change, now time.Time) error { return ch.ended(by, 0, why, now) }
	}
	switch {
	case c.State == Collecting:
		by(l.gone, s.WaitGrace, close(Visitor, "gone"))
		by(c.Created, s.CollectFor, close(System, "timeout"))
		d.botFails(by, l)
	case c.State.Waiting():
		by(l.gone, s.WaitGrace, close(Visitor, "gone"))
		by(c.Queued, s.Wait, func(_ *live, ch *Change, now time.Time) error { return ch.turnedAway("timeout", now) })
		if c.Offer != nil && c.Offer.Exclusive {
			by(c.Offer.Since, s.Delay, d.unanswered)
		}
	case c.State == Offline:
		by(l.gone, s.WaitGrace, close(Visitor, "gone"))
		by(c.Changed, s.OfflineFor, close(System, "timeout"))
	case c.State.Owned():
		by(l.gone, s.VisitorGrace, close(Visitor, "gone"))
		if w := d.worker(c.Owner); !w.Here {
			by(w.gone, s.AgentGrace, func(_ *live, ch *Change, now time.Time) error { return ch.requeued("gone", now) })
		}
		switch c.State {
		case Active:
			by(later(l.last, c.Changed), s.Idle, func(_ *live, ch *Change, now time.Time) error {
				return ch.updated(rest, System, 0, "idle", "", now)
			})
		case Transferring:
			by(c.Handed.Since, s.Transfer, d.untaken)
			if c.Offer != nil && c.Offer.Exclusive {
				by(c.Offer.Since, s.Delay, d.unanswered)
			}
		}
	case c.State == Closed:
		by(c.Ended, s.WrapUp, func(_ *live, ch *Change, now time.Time) error { return ch.finalized(System, 0, now) })
	}
	return at, do
}

func later(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}

// unanswered is an offer to one agent that she did not answer.
func (d *Desk) unanswered(_ *live, ch *Change, now time.Time) error {
	agent := ch.Is.Offer.To[0]
	if d.settings.Force {
		ch.pauses = agent
	}
	return ch.declined(agent, "no answer", now)
}

// Forced is why an agent is paused who did not answer what she alone was asked.
const Forced = "forced"

// pause has an agent take nothing, and tells.
func (d *Desk) pause(agent store.AgentID, why string) {
	w := d.worker(agent)
	if w.paused != "" {
		return
	}
	w.paused = why
	if d.config.Paused != nil {
		standing := d.standing(w)
		d.calls = append(d.calls, func() { d.config.Paused(standing) })
	}
}

// untaken is a transfer that nobody took.
func (d *Desk) untaken(_ *live, ch *Change, now time.Time) error {
	if d.settings.BounceBack {
		return ch.returned(System, "timeout", now)
	}
	return ch.requeued("transferred", now)
}

// timers are contacts by when they are due.
type timers []*live

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i]; t[i].index, t[j].index = i, j }

// Push is heap.Interface's.
func (t *timers) Push(x any) {
	l := x.(*live)
	l.index = len(*t)
	*t = append(*t, l)
}

// Pop is heap.Interface's.
func (t *timers) Pop() any {
	last := len(*t) - 1
	l := (*t)[last]
	(*t)[last], *t = nil, (*t)[:last]
	l.index = -1
	return l
}

func (t *timers) remove(l *live) {
	if l.index >= 0 {
		heap.Remove(t, l.index)
	}
}
