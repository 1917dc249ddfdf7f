package visit

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A place is where somebody is in the queue, from 1, and how long it may take, in seconds; 0 is not known.
type place struct{ position, wait int }

// A queue is what is known of how fast an account's queues move, each group's apart.
type queue struct {
	waiting map[store.ConversationID]string // groups, as of the last look
	places  map[store.ConversationID]place  // as of then, and of those who have come since
	lengths map[string]int                  // by group
	paces   map[string]*pace
}

func newQueue() queue {
	return queue{places: make(map[store.ConversationID]place), lengths: make(map[string]int), paces: make(map[string]*pace)}
}

// A pace is when contacts of a group were taken last.
type pace struct {
	times [16]time.Time // a ring
	n     int           // all that were
}

func (p *pace) taken(at time.Time) {
	p.times[p.n%len(p.times)] = at
	p.n++
}

// wait is how long it takes until so many are taken, if it goes on as it did lately: 0 if nobody knows. It is
// said in steps, so that it does not flicker.
func (p *pace) wait(position int, now time.Time) int {
	if p == nil || p.n < 2 {
		return 0
	}
	n := min(p.n, len(p.times))
	oldest := p.times[(p.n-n)%len(p.times)]
	seconds := now.Sub(oldest).Seconds() / float64(n) * float64(position)
	step := 10.0
	if seconds > 60 {
		step = 60
	}
	return int(math.Ceil(seconds/step) * step)
}

// waits are the contacts that wait, in their order.
func (a *account) waits() []*desk.Contact {
	list := slices.DeleteFunc(a.Contacts.Contacts(), func(c *desk.Contact) bool { return !c.State.Waiting() })
	slices.SortStableFunc(list, func(x, y *desk.Contact) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), x.Queued.Compare(y.Queued)) // and by id: they came so
	})
	return list
}

// look finds out who has been taken since it was called last, and tells all who wait their places.
func (a *account) look(now time.Time) {
	a.giveUp(now)
	waiting := make(map[store.ConversationID]string)
	a.places.Lock()
	clear(a.queue.places)
	clear(a.queue.lengths)
	for _, c := range a.waits() {
		waiting[c.ID] = c.Wants.Group
		a.queue.place(c, now)
	}
	for id, group := range a.queue.waiting {
		if _, still := waiting[id]; still {
			continue
		}
		if c, err := a.Contacts.Contact(id); err == nil && c.State.Owned() {
			if a.queue.paces[group] == nil {
				a.queue.paces[group] = new(pace) // a group is one of the settings'
			}
			a.queue.paces[group].taken(now)
		}
	}
	a.queue.waiting = waiting
	places := maps.Clone(a.queue.places)
	a.places.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, t := range a.talks {
		for _, l := range t.lines {
			l.placed(places[id])
		}
	}
}

// place is where a contact is: at the end, if it was not there at the last look.
func (q *queue) place(c *desk.Contact, now time.Time) place {
	p, ok := q.places[c.ID]
	if !ok {
		group := c.Wants.Group
		q.lengths[group]++
		p = place{q.lengths[group], q.paces[group].wait(q.lengths[group], now)}
		q.places[c.ID] = p
	}
	return p
}

// place is where a contact is in its queue.
func (a *account) place(c *desk.Contact) place {
	a.places.Lock()
	defer a.places.Unlock()
	return a.queue.place(c, a.server.cfg.Now())
}
