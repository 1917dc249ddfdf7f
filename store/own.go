package store

// A Part is one kind of what an agent has of her own. The numbers are part of the
// format on disk and never change.
type Part uint8

// The parts.
const (
	OwnContacts    Part = 1 // roster items and subscriptions, by the contact's JID (RFC 6121 §2, §3)
	OwnRequests    Part = 2 // subscription requests that wait for an answer, by who asks (RFC 6121 §3.1.3)
	OwnBlocked     Part = 3 // blocked JIDs (XEP-0191)
	OwnCard        Part = 4 // the vCard (XEP-0054)
	OwnPrivate     Part = 5 // what her clients put aside, by element (XEP-0049)
	OwnPreferences Part = 6 // of the archive (XEP-0441)
	OwnActivity    Part = 7 // when she was here last (XEP-0012)
	OwnTokens      Part = 8 // what her clients sign in with instead of a password, by client (XEP-0484)
	OwnWatching    Part = 9 // that she reads along with her colleagues' chats
)

// An Own is one thing of an agent's own. Name and Value are kept sealed with a secret
// of the agent's in every profile, and go with her when she is deleted. Of the same
// name there is one in each part.
type Own struct {
	Agent AgentID
	Part  Part
	Name  string
	Value []byte // nil takes it away
}
