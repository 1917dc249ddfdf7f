package desk

import (
	"slices"
	"time"

	"parley.im/parley/store"
)

// AgentSays is what an agent says to the visitor. Of one who was asked it is her acceptance, in
// the same transaction; of one who came too late it is ErrTaken, and nothing of it is kept. Of one
// who has hardly been asked it is ErrTooSoon, if the settings say so: Accept takes it all the same.
func (d *Desk) AgentSays(id store.ConversationID, said Said, done Done) {
	said.By = Agents
	d.do(id, input{do: func(l *live, ch *Change, now time.Time) error {
		c := ch.Is
		switch {
		case c.With(said.Agent):
			return ch.spoken(&said, now)
		case !c.OfferedTo(said.Agent):
			return notOffered(c)
		case now.Sub(l.offered[said.Agent]) < d.settings.AcceptAfter:
			return ErrTooSoon
		}
		if err := ch.accepted(said.Agent, now); err != nil {
			return err
		}
		ch.Said = &said
		return nil
	}, done: done})
}

// agentDoes is a step of an agent who has the contact.
func (d *Desk) agentDoes(id store.ConversationID, agent store.AgentID, do func(ch *Change, now time.Time) error, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		switch c := ch.Is; {
		case !c.State.Open():
			return ErrClosed
		case !c.State.Owned() || c.Owner != agent:
			return ErrNotYours
		}
		return do(ch, now)
	}, done: done})
}

// Accept gives a contact to an agent who was asked.
func (d *Desk) Accept(id store.ConversationID, agent store.AgentID, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		switch {
		case ch.Is.State.Owned() && ch.Is.Owner == agent:
			return nil // it is hers
		case !ch.Is.OfferedTo(agent):
			return notOffered(ch.Is)
		}
		return ch.accepted(agent, now)
	}, done: done})
}

// Take gives a waiting contact to an agent who was not asked, or not yet: it is for those
// who may choose.
func (d *Desk) Take(id store.ConversationID, agent store.AgentID, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		switch c := ch.Is; {
		case !c.State.Waiting():
			return notOffered(c)
		case c.State == Queued:
			if err := ch.asked([]store.AgentID{agent}, 1, false, now); err != nil {
				return err
			}
		}
		return ch.accepted(agent, now)
	}, done: done})
}

// Decline is an agent's no.
func (d *Desk) Decline(id store.ConversationID, agent store.AgentID, why string, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		return ch.declined(agent, why, now)
	}, done: done})
}

// Hold puts a contact aside, Resume takes it up again.
func (d *Desk) Hold(id store.ConversationID, agent store.AgentID, done Done) {
	d.agentDoes(id, agent, func(ch *Change, now time.Time) error {
		return ch.updated(hold, Agents, agent, "held", "", now)
	}, done)
}

// Resume is the end of Hold.
func (d *Desk) Resume(id store.ConversationID, agent store.AgentID, done Done) {
	d.agentDoes(id, agent, func(ch *Change, now time.Time) error {
		return ch.updated(resume, Agents, agent, "resumed", "", now)
	}, done)
}

// Transfer has others asked to take a contact over; until one of them does, agent has it still.
// Where nobody can be asked it is ErrNobody, and nothing changes.
func (d *Desk) Transfer(id store.ConversationID, agent store.AgentID, to Wants, note string, done Done) {
	d.agentDoes(id, agent, func(ch *Change, now time.Time) error {
		if err := d.findable(&to, agent); err != nil {
			return err
		}
		return ch.handed(Agents, agent, to, note, now)
	}, done)
}

// findable fills in what a group wants, and says whether there is anybody but that agent who could be asked.
func (d *Desk) findable(to *Wants, but store.AgentID) error {
	if g, ok := d.settings.Groups[to.Group]; ok {
		to.Tags, to.Priority = g.Tags, g.Priority
	} else if to.Group != "" {
		return ErrNobody
	}
	if to.Agent != 0 && (to.Agent == but || !d.worker(to.Agent).ready()) || !d.anybody(to, but) {
		return ErrNobody
	}
	return nil
}

// TakeBack ends a transfer that nobody has taken yet.
func (d *Desk) TakeBack(id store.ConversationID, agent store.AgentID, done Done) {
	d.agentDoes(id, agent, func(ch *Change, now time.Time) error {
		return ch.returned(Agents, "taken back", now)
	}, done)
}

// Requeue lets what an agent has wait for another.
func (d *Desk) Requeue(id store.ConversationID, agent store.AgentID, why string, done Done) {
	d.agentDoes(id, agent, func(ch *Change, now time.Time) error { return ch.requeued(why, now) }, done)
}

// Invite has a colleague take part.
func (d *Desk) Invite(id store.ConversationID, agent, guest store.AgentID, done Done) {
	d.agentDoes(id, agent, func(ch *Change, now time.Time) error {
		switch w := d.workers[guest]; {
		case guest == agent, slices.Contains(ch.Is.Guests, guest):
			return nil
		case w == nil || !w.Here:
			return ErrNobody
		}
		return ch.joined(guest, agent, now)
	}, done)
}

// Leave is a guest's end of it; of its agent it is Requeue.
func (d *Desk) Leave(id store.ConversationID, agent store.AgentID, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		switch c := ch.Is; {
		case slices.Contains(c.Guests, agent):
			return ch.left(agent, now)
		case c.State.Owned() && c.Owner == agent:
			return ch.requeued("left", now)
		case !c.State.Open():
			return ErrClosed
		}
		return ErrNotYours
	}, done: done})
}

// Close is its agent's end of it.
func (d *Desk) Close(id store.ConversationID, agent store.AgentID, why string, done Done) {
	d.agentDoes(id, agent, func(ch *Change, now time.Time) error { return ch.ended(Agents, agent, why, now) }, done)
}

// Shut closes a contact for the account, whoever has it.
func (d *Desk) Shut(id store.ConversationID, why string, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		return ch.ended(System, 0, why, now)
	}, done: done})
}

// Erase ends a contact for good, in whatever state it is: its visitor is to be erased.
func (d *Desk) Erase(id store.ConversationID, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		if ch.Is.State.Open() {
			if err := ch.ended(System, 0, "erased", now); err != nil {
				return err
			}
		}
		if ch.Is.State == Finalized {
			return nil
		}
		return ch.finalized(System, 0, now)
	}, done: done})
}

// Finish ends the time after a contact, before that is over by itself.
func (d *Desk) Finish(id store.ConversationID, agent store.AgentID, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		if ch.Is.Owner != agent {
			return ErrNotYours
		}
		return ch.finalized(Agents, agent, now)
	}, done: done})
}

// Set changes what is known of a contact: its fields, its tags, its priority. What says what was
// changed, for those who hear of it.
func (d *Desk) Set(id store.ConversationID, by Party, agent store.AgentID, what string, set func(*Contact), done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		if by == Agents && !ch.Is.With(agent) && ch.Is.Owner != agent {
			return ErrNotYours
		}
		if err := ch.updated(change, by, agent, what, "", now); err != nil {
			return err
		}
		set(ch.Is)
		return nil
	}, done: done})
}

// Note keeps what agents say among themselves of a contact, as an event of it.
func (d *Desk) Note(id store.ConversationID, by Party, agent store.AgentID, text string, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		if by == Agents && !ch.Is.With(agent) && ch.Is.Owner != agent {
			return notOffered(ch.Is)
		}
		return ch.noted(by, agent, text, now)
	}, done: done})
}

func (ch *Change) noted(by Party, agent store.AgentID, text string, now time.Time) error {
	err := ch.updated(change, by, agent, "note", "", now)
	if err == nil {
		ch.last().Text = text
	}
	return err
}
