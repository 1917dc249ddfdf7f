package desk

import "time"

// An Outcome is what a contact came to.
type Outcome string

// The outcomes.
const (
	Successful    Outcome = "successful"     // both sides spoke, three messages or more
	NoInteraction Outcome = "no_interaction" // an agent had it, but there was less than that
	Cancelled     Outcome = "cancelled"      // the visitor left at once
	Abandoned     Outcome = "abandoned"      // the visitor left after having waited
	Dissuaded     Outcome = "dissuaded"      // nobody could be asked: the visitor was told so
	Missed        Outcome = "missed"         // agents were asked, and none came in time
)

// cancelWithin is how soon a visitor has left at once.
const cancelWithin = 10 * time.Second

// enough is how many messages make a conversation.
const enough = 3

// outcome is what the contact came to, if it ends now.
func (c *Contact) outcome(now time.Time) Outcome {
	switch {
	case !c.Accepted.IsZero() && c.Said.Visitor > 0 && c.Said.Agent > 0 && c.Said.Visitor+c.Said.Agent >= enough:
		return Successful
	case !c.Accepted.IsZero():
		return NoInteraction
	case c.Turned != "":
		return c.Turned
	case now.Sub(c.Created) < cancelWithin:
		return Cancelled
	}
	return Abandoned
}
