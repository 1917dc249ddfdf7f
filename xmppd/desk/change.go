package desk

import "parley.im/parley/store"

// A Change is one step, or several at once, of a contact: kept whole, if the contact is still
// what it was, or not at all.
type Change struct {
	Was, Is *Contact // Was is nil for one that is new; both are the same where only something is said
	Events  []Event
	Said    *Said // what is said with it

	pauses store.AgentID // who is paused, since she did not answer

	Kept any // what the Keeper says of what it kept, for those who are told of the change

	// Set by the Keeper: what is said was kept before, so nothing was kept now.
	Repeated bool
}

// An Event is what happened in a step.
type Event struct {
	Kind  store.Kind
	By    Party
	Actor store.AgentID // who did it, if an agent did
	// Agents are whom it concerns: who are asked, who was invited, who had it before.
	Agents []store.AgentID
	What   string // of contact.updated: what was done
	Why    string // for people
	Text   string // a note; only agents see it
	N      int64  // of message.delivered and message.read: everything up to that record
}

// Said is something that is said in a contact. What it is the Keeper knows.
type Said struct {
	By    Party
	Agent store.AgentID // who says it, if an agent does
	Body  any
}

// A Keeper keeps changes. Keep returns at once. Later it calls done, once, when the change is
// durable or has failed: from one goroutine, in the order in which changes became durable.
type Keeper interface {
	Keep(ch *Change, done func(error))
}

// step is a Change under way.
func (ch *Change) step(n *Contact, err error, e Event) error {
	if err != nil {
		return err
	}
	ch.Is = n
	ch.Events = append(ch.Events, e)
	return nil
}
