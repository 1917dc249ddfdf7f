package desk

import (
	"time"

	"parley.im/parley/store"
)

// What those do who look after other agents. The desk takes it that they may.

// TakeOver gives what an agent has to another, whom nobody has asked: at once, as if she had been asked and had accepted.
func (d *Desk) TakeOver(id store.ConversationID, agent store.AgentID, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		switch c := ch.Is; {
		case !c.State.Open():
			return ErrClosed
		case !c.State.Owned():
			return ErrNotNow
		case c.Owner == agent:
			return nil // it is hers
		case c.State != Transferring:
			if err := ch.handed(Agents, agent, Wants{Agent: agent}, "", now); err != nil {
				return err
			}
		}
		return ch.accepted(agent, now)
	}, done: done})
}

// Whisper is Note of an agent who does not take part.
func (d *Desk) Whisper(id store.ConversationID, agent store.AgentID, text string, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		return ch.noted(Agents, agent, text, now)
	}, done: done})
}
