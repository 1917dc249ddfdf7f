package desk

import (
	"slices"
	"time"

	"parley.im/parley/store"
)

// The steps. Each makes the next contact of ch.Is and adds what happened, or refuses.

// opened is a contact's beginning.
func (ch *Change) opened(c Contact, now time.Time) {
	c.Version, c.State, c.Created, c.Changed = 1, Collecting, now, now
	ch.Is = &c
	ch.Events = append(ch.Events, Event{Kind: store.KindContactCreated, By: Visitor})
	if c.Vouched {
		ch.Events = append(ch.Events, Event{Kind: store.KindVisitorIdentified, By: System})
	}
}

// submitted lets it wait for an agent.
func (ch *Change) submitted(by Party, now time.Time) error {
	n, err := ch.Is.next(submit, now)
	if err == nil {
		n.Queued, n.Turned, n.Asked = now, "", false
		n.Wants.Liked = n.likes(&n.Wants)
	}
	return ch.step(n, err, Event{Kind: store.KindContactQueued, By: by})
}

// asked has agents asked, and others no more. To is all who are asked from now on; nobody
// sends it back into the queue.
func (ch *Change) asked(to []store.AgentID, step int, exclusive bool, now time.Time) error {
	if len(to) == 0 && ch.Is.State == Offered {
		n, err := ch.Is.next(recall, now)
		if err == nil {
			n.Offer = nil
		}
		return ch.step(n, err, Event{Kind: store.KindContactQueued, By: System})
	}
	n, err := ch.Is.next(ask, now)
	if err == nil {
		offer := Offer{To: to, Since: now, Step: step, Exclusive: exclusive}
		if ch.Is.Offer != nil && slices.ContainsFunc(to, ch.Is.OfferedTo) {
			offer.Since = ch.Is.Offer.Since // for those who are asked still
		}
		n.Offer, n.Asked = &offer, true
		if len(to) == 0 {
			n.Offer = nil
		}
	}
	return ch.step(n, err, Event{Kind: store.KindContactOffered, By: System, Agents: to})
}

// declined is an agent who says no, or does not answer. Others may be asked still.
func (ch *Change) declined(agent store.AgentID, why string, now time.Time) error {
	if !ch.Is.OfferedTo(agent) {
		return notOffered(ch.Is)
	}
	n, err := ch.Is.next(change, now)
	if err != nil {
		return err
	}
	offer := *n.Offer
	offer.To = without(offer.To, agent)
	n.Offer, n.Passed = &offer, append(slices.Clip(n.Passed), agent)
	if len(offer.To) == 0 {
		n.Offer = nil
		if n.State == Offered {
			n.State, n.Changed = table[Offered][recall], now
		}
	}
	return ch.step(n, nil, Event{Kind: store.KindContactDeclined, By: Agents, Actor: agent, Why: why})
}

func notOffered(c *Contact) error {
	switch {
	case !c.State.Open():
		return ErrClosed
	case c.State.Owned():
		return ErrTaken
	}
	return ErrNotYours
}

// accepted gives it to an agent.
func (ch *Change) accepted(agent store.AgentID, now time.Time) error {
	was := ch.Is
	n, err := was.next(accept, now)
	if err != nil {
		return err
	}
	e := Event{Kind: store.KindContactAssigned, By: Agents, Actor: agent}
	if was.State == Transferring {
		ch.Events = append(ch.Events, Event{Kind: store.KindContactTransferred, By: Agents, Actor: was.Owner, Agents: []store.AgentID{agent}})
		n.leg(now, "transferred")
	}
	if n.Accepted.IsZero() {
		n.Accepted, n.Waited = now, now.Sub(n.Queued)
	}
	n.Owner, n.Guests, n.Late = agent, without(n.Guests, agent), nil
	if was.Offer != nil {
		n.Late = without(was.Offer.To, agent)
	}
	n.Legs = append(slices.Clip(n.Legs), Leg{Agent: agent, From: now})
	n.Offer, n.Passed, n.Asked, n.Handed = nil, nil, false, nil
	return ch.step(n, nil, e)
}

// leg ends the last leg.
func (c *Contact) leg(now time.Time, why string) {
	if i := len(c.Legs) - 1; i >= 0 && c.Legs[i].To.IsZero() {
		c.Legs = slices.Clone(c.Legs)
		c.Legs[i].To, c.Legs[i].Why = now, why
	}
}

// turnedAway tells the visitor that nobody is here. Where agents were asked none came in
// time, and that is an event.
func (ch *Change) turnedAway(why string, now time.Time) error {
	n, err := ch.Is.next(turnAway, now)
	e := Event{Kind: store.KindContactUpdated, By: System, What: "turned_away", Why: why}
	if err == nil {
		n.Turned = Dissuaded
		if n.Asked {
			n.Turned, e = Missed, Event{Kind: store.KindContactMissed, By: System, Why: why}
		}
		n.Offer, n.Passed = nil, nil
	}
	return ch.step(n, err, e)
}

// letter says that somebody has said something to whom nobody was there, whether before or after hearing so: once,
// since it is one matter to come back to.
func (ch *Change) letter(said Count, now time.Time) error {
	if ch.Is.State != Offline || ch.Is.Letter || said.Visitor == 0 {
		return nil
	}
	n, err := ch.Is.next(change, now)
	if err == nil {
		n.Letter = true
	}
	return ch.step(n, err, Event{Kind: store.KindOfflineMessage, By: Visitor})
}

// updated is what changes a contact's state, or nothing of it, and needs no more.
func (ch *Change) updated(v verb, by Party, agent store.AgentID, what, why string, now time.Time) error {
	n, err := ch.Is.next(v, now)
	return ch.step(n, err, Event{Kind: store.KindContactUpdated, By: by, Actor: agent, What: what, Why: why})
}

// handed has others asked to take it over; its agent keeps it until one does.
func (ch *Change) handed(by Party, agent store.AgentID, to Wants, note string, now time.Time) error {
	if err := ch.updated(handOver, by, agent, "transferring", note, now); err != nil {
		return err
	}
	to.Liked = ch.Is.likes(&to)
	ch.Is.Handed, ch.Is.Passed = &Handing{To: to, Note: note, Since: now}, nil
	return nil
}

// returned ends a transfer that nobody took: its agent goes on.
func (ch *Change) returned(by Party, why string, now time.Time) error {
	if err := ch.updated(giveBack, by, 0, "returned", why, now); err != nil {
		return err
	}
	ch.Is.Offer, ch.Is.Passed, ch.Is.Asked, ch.Is.Handed = nil, nil, false, nil
	return nil
}

// requeued lets it wait for another agent.
func (ch *Change) requeued(why string, now time.Time) error {
	n, err := ch.Is.next(requeue, now)
	if err != nil {
		return err
	}
	before := n.Owner
	n.leg(now, why)
	if n.Handed != nil { // those who were asked to take it over are asked still
		n.Priority, n.Wants = n.priority(), n.Handed.To
	}
	n.Owner, n.Queued = 0, now
	n.Offer, n.Passed, n.Asked, n.Handed = nil, []store.AgentID{before}, false, nil
	if why == "gone" {
		n.Passed = nil // she may be the one who takes it again
	}
	return ch.step(n, nil, Event{Kind: store.KindContactQueued, By: System, Agents: []store.AgentID{before}, Why: why})
}

// joined and left are guests.
func (ch *Change) joined(agent, by store.AgentID, now time.Time) error {
	if err := ch.updated(change, Agents, by, "invited", "", now); err != nil {
		return err
	}
	ch.Is.Guests = append(slices.Clip(ch.Is.Guests), agent)
	ch.last().Agents = []store.AgentID{agent}
	return nil
}

func (ch *Change) left(agent store.AgentID, now time.Time) error {
	if err := ch.updated(change, Agents, agent, "left", "", now); err != nil {
		return err
	}
	ch.Is.Guests = without(ch.Is.Guests, agent)
	return nil
}

func (ch *Change) last() *Event { return &ch.Events[len(ch.Events)-1] }

// ended closes it.
func (ch *Change) ended(by Party, agent store.AgentID, why string, now time.Time) error {
	n, err := ch.Is.next(shut, now)
	if err == nil {
		n.Ended, n.By, n.Why = now, by, why
		n.leg(now, "closed") // and Outcome comes with the last count of what was said: see take
		n.Offer, n.Passed, n.Handed = nil, nil, nil
	}
	err = ch.step(n, err, Event{Kind: store.KindContactClosed, By: by, Actor: agent, Why: why})
	if err == nil && n.Owner == 0 { // nobody has anything to write up
		return ch.finalized(System, 0, now)
	}
	return err
}

// finalized says that all is known of it.
func (ch *Change) finalized(by Party, agent store.AgentID, now time.Time) error {
	n, err := ch.Is.next(finalize, now)
	if err == nil {
		n.Final, n.Guests = now, nil
	}
	return ch.step(n, err, Event{Kind: store.KindContactFinalized, By: by, Actor: agent})
}

func without(list []store.AgentID, agent store.AgentID) []store.AgentID {
	return slices.DeleteFunc(slices.Clone(list), func(a store.AgentID) bool { return a == agent })
}
