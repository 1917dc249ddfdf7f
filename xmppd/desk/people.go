package desk

import (
	"cmp"
	"slices"
	"time"

	"parley.im/parley/store"
)

// SetAgent tells the desk of an agent: that she came, went, or is otherwise than before.
func (d *Desk) SetAgent(a Agent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !a.Here && d.workers[a.ID] == nil {
		return // gone she is already; she may have been removed
	}
	w := d.worker(a.ID)
	now := d.config.Now()
	switch {
	case a.Here && !w.Here:
		w.since, w.removed = now, false
	case !a.Here && w.Here:
		w.gone = now
		w.paused = "" // she says so again if she wants it
	}
	ready := w.ready()
	w.told, w.Agent = a, d.settings.skilled(a)
	if w.ready() && !ready {
		w.readied = now
	}
	for _, l := range w.has {
		d.remind(l, now)
	}
	d.nudge()
}

// RemoveAgent tells it that there is no such agent any more: what she has waits for another.
func (d *Desk) RemoveAgent(id store.AgentID) {
	d.mu.Lock()
	var has []store.ConversationID
	if w := d.workers[id]; w != nil {
		w.told, w.Agent, w.gone = Agent{ID: id}, Agent{ID: id}, d.config.Now()
		for c := range w.has {
			has = append(has, c)
		}
		w.removed = true
		d.letGo(w)
	}
	d.nudge()
	d.mu.Unlock()
	for _, c := range has {
		d.Requeue(c, id, "removed", nil)
	}
}

// letGo ends what is known of an agent who was removed, once she has nothing and is asked nothing.
func (d *Desk) letGo(w *worker) {
	if w.removed && len(w.has)+len(w.asked) == 0 {
		delete(d.workers, w.ID)
	}
}

// Pause has an agent take nothing more, for a reason that she gives. Ready ends that, and what
// the desk itself has paused her for.
func (d *Desk) Pause(id store.AgentID, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.worker(id).paused = cmp.Or(why, "paused")
	d.nudge()
}

// Ready is the end of Pause.
func (d *Desk) Ready(id store.AgentID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.worker(id)
	if w.paused != "" {
		w.paused, w.readied = "", d.config.Now()
	}
	d.nudge()
}

// Standings are the agents who are here or have something, by id.
func (d *Desk) Standings() (list []Standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if w.Here || len(w.has) > 0 {
			list = append(list, d.standing(w))
		}
	}
	slices.SortFunc(list, func(x, y Standing) int { return cmp.Compare(x.ID, y.ID) })
	return list
}

// Standing is what the desk knows of one agent.
func (d *Desk) Standing(id store.AgentID) Standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.standing(d.worker(id))
}

func (d *Desk) standing(w *worker) Standing {
	s := Standing{Agent: w.Agent, Paused: w.paused, Load: float64(w.busy()) / float64(max(d.settings.LimitOf(&w.Agent), 1))}
	for id := range w.has {
		s.Has = append(s.Has, id)
	}
	slices.Sort(s.Has)
	return s
}

// VisitorIsHere says whether a contact's visitor is connected.
func (d *Desk) VisitorIsHere(id store.ConversationID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.contacts[id]
	return l != nil && l.gone.IsZero()
}

// VisitorHere tells whether a contact's visitor is connected.
func (d *Desk) VisitorHere(id store.ConversationID, here bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.contacts[id]
	if l == nil {
		return
	}
	now := d.config.Now()
	switch {
	case here:
		l.gone = time.Time{}
		d.nudge() // somebody may be there who was not
	case l.gone.IsZero():
		l.gone = now
	}
	d.remind(l, now)
}
