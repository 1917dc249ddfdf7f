package store

import "time"

// A Contact is a visitor's conversation beside what was said in it: what lists and indexes
// need, in clear, and all else, sealed with the conversation's secret. What any of it means
// is for others to know (xmppd/desk).
type Contact struct {
	ID      ConversationID
	Address string // the local part of its JID; one contact's alone, and never changed
	Version int64  // grows with each change; 0 is none yet
	State   uint8
	Live    bool    // it goes on, or something is still to be known of it
	Owner   AgentID // who has it, or had it last
	Visitor string  // who it is, as an internal id
	Created time.Time
	Ended   time.Time // zero while it goes on; retention begins here, once it is not Live
	Outcome string
	Data    []byte // all that is known of it; nil when Locked

	// Locked is set when the secret is gone or cannot be had now, Tampered beside it when
	// the secret or anything of the contact is not what was written.
	Locked, Tampered bool
}

// A ContactChange makes a contact another one, in the transaction of its batch: its records
// are kept with the change, or neither. The contact's conversation is open: whoever appends
// holds it.
type ContactChange struct {
	Contact       // what it is from here on
	Was     int64 // the version that it follows; 0 is none. Another one is ErrConflict

	// See are agents who see the conversation from number From on (1 is all of it, 0 what
	// begins with this batch), as long as nothing else is said: never less than they see
	// already, and also what came while they were stopped. What Stop see ends with the
	// record before this batch. Hide see nothing of it any more. Whoever got ids of its
	// records may page by them for ever.
	See, Stop, Hide []AgentID
	From            int64
}

// A ContactQuery asks for contacts, the newest first: by Created, then by ID. What is not
// zero is wanted, all of it.
type ContactQuery struct {
	Before  ConversationID // only what follows this one in the list; 0 is from the newest on
	Max     int
	Live    bool    // only these
	States  []uint8 // any of them
	Owner   AgentID
	Visitor string
	Outcome string

	Since, Until time.Time // of Created, inclusive
}
