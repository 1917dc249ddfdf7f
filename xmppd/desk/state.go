package desk

import "fmt"

// A State is where a contact stands. The numbers are part of the format on disk and never change.
type State uint8

// The states of a contact.
const (
	Collecting   State = 1  // the visitor fills in a form, or talks with a bot
	Queued       State = 2  // waits until an agent is free
	Offered      State = 3  // some agents are asked
	Active       State = 4  // an agent has it
	Idle         State = 5  // ... and nobody has said anything for a while
	Held         State = 6  // ... and has put it aside
	Transferring State = 7  // ... and others are asked to take it over
	Offline      State = 8  // nobody is here: the visitor may leave a message
	Closed       State = 9  // it is over, and its agent writes up what it was about
	Finalized    State = 10 // all is known of it
)

var stateNames = [...]string{
	Collecting: "collecting", Queued: "queued", Offered: "offered", Active: "active", Idle: "idle", Held: "held",
	Transferring: "transferring", Offline: "offline", Closed: "closed", Finalized: "finalized",
}

func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// ParseState undoes String.
func ParseState(name string) (State, bool) {
	for s, n := range stateNames {
		if n == name && n != "" {
			return State(s), true
		}
	}
	return 0, false
}

// Owned says whether an agent has the contact.
func (s State) Owned() bool { return s >= Active && s <= Transferring }

// Waiting says whether the visitor waits for an agent who takes the contact first.
func (s State) Waiting() bool { return s == Queued || s == Offered }

// Open says whether the contact goes on.
func (s State) Open() bool { return s != 0 && s < Closed }

// A verb is what may become of a contact.
type verb uint8

const (
	submit   verb = iota // the visitor asks for an agent
	turnAway             // nobody can be asked, or nobody came in time
	ask                  // agents are asked, or asked no more while others are
	recall               // nobody is asked any more
	accept               // an agent takes it
	rest                 // nobody has said anything for a while
	wake                 // somebody has
	hold                 // its agent puts it aside
	resume               // ... and takes it up again
	handOver             // ... and wants others to have it
	giveBack             // none of them took it
	requeue              // its agent is gone
	change               // something else is known of it
	shut                 // it is over
	finalize             // its agent has written up what it was about
	verbs
)

// table is all that may become of a contact: what is not in it can't.
var table = map[State]map[verb]State{
	Collecting:   {submit: Queued, turnAway: Offline, change: Collecting, shut: Closed},
	Queued:       {ask: Offered, turnAway: Offline, change: Queued, shut: Closed},
	Offered:      {ask: Offered, recall: Queued, accept: Active, turnAway: Offline, change: Offered, shut: Closed},
	Active:       {rest: Idle, hold: Held, handOver: Transferring, requeue: Queued, change: Active, shut: Closed},
	Idle:         {wake: Active, hold: Held, handOver: Transferring, requeue: Queued, change: Idle, shut: Closed},
	Held:         {resume: Active, handOver: Transferring, requeue: Queued, change: Held, shut: Closed},
	Transferring: {ask: Transferring, accept: Active, giveBack: Active, requeue: Queued, change: Transferring, shut: Closed},
	Offline:      {submit: Queued, change: Offline, shut: Closed},
	Closed:       {change: Closed, finalize: Finalized},
	Finalized:    {change: Finalized},
}
