package contact

import (
	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A Signal is something of the moment in a contact, which is not kept.
type Signal struct {
	Contact store.ConversationID
	By      desk.Party
	Agent   store.AgentID // if an agent does it
	What    What
}

// What a Signal is about.
type What string

// What there is.
const (
	Composing What = "composing" // somebody writes
	Paused    What = "paused"    // ... and writes no more
	Here      What = "here"      // the visitor's page is connected
	Away      What = "away"      // ... and is not any more, but may come back

	AskRating What = "rating" // an agent asks how it was
)

// Signal tells who follows the contact, and who listens to all.
func (k *Contacts) Signal(s Signal) {
	for _, f := range k.onSignal {
		f(s)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.watchers[s.Contact] {
		w.Signalled(s)
	}
}

// VisitorHere tells whether a contact's visitor is connected, and all who want to know.
func (k *Contacts) VisitorHere(id store.ConversationID, here bool) {
	k.Desk.VisitorHere(id, here)
	what := Away
	if here {
		what = Here
	}
	k.Signal(Signal{Contact: id, By: desk.Visitor, What: what})
}

// AskRating has the visitor asked how it was, by the agent who has the contact or had it last. Who is not there to be
// asked can't be: desk.ErrNotNow.
func (k *Contacts) AskRating(id store.ConversationID, agent store.AgentID) error {
	c, err := k.Contact(id)
	switch {
	case err != nil:
		return err
	case !c.With(agent) && c.Owner != agent:
		return desk.ErrNotYours
	case !k.VisitorIsHere(id):
		return desk.ErrNotNow
	}
	k.Signal(Signal{Contact: id, By: desk.Agents, Agent: agent, What: AskRating})
	return nil
}

// ListenSignals is Listen for signals; they come from whoever signals.
func (k *Contacts) ListenSignals(f func(Signal)) { k.onSignal = append(k.onSignal, f) }
