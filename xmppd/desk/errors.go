package desk

import "errors"

// What callers decide by. Their texts are for the person who tried.
var (
	// ErrClosed says that the contact is over.
	ErrClosed = errors.New("this conversation is closed")
	// ErrNotYours says that another agent has it.
	ErrNotYours = errors.New("this conversation is with another agent")
	// ErrTaken says that another agent took it first.
	ErrTaken = errors.New("another agent took this conversation first")
	// ErrTooSoon says that the agent was asked a moment ago: what she says may be meant for somebody else.
	ErrTooSoon = errors.New("this conversation was offered to you a moment ago")
	// ErrNotNow says that it can't be done in the state that the contact is in.
	ErrNotNow = errors.New("this can't be done now")
	// ErrFull says that the agent has as many conversations as she may.
	ErrFull = errors.New("no more conversations at a time")
	// ErrNobody says that no agent can be asked.
	ErrNobody = errors.New("nobody can take it")
	// ErrUnknown says that there is no such contact, or none that is open.
	ErrUnknown = errors.New("no such conversation")
)

func wrongState(s State) error {
	if s == Closed || s == Finalized {
		return ErrClosed
	}
	return ErrNotNow
}
