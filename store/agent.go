package store

import "time"

// An Agent is a person who answers; a user of the account's XMPP domain.
type Agent struct {
	ID       AgentID
	Name     string // the JID's local part, prepared (RFC 7622 §3.3)
	Role     string // "agent" unless said otherwise
	Disabled bool
	Created  time.Time
}

// A Credential is one way to sign in: a password, or a device's secret. Verifier
// is opaque here (package auth makes and reads it); the engine keeps it sealed in
// every profile.
type Credential struct {
	ID       int64
	Agent    AgentID
	Scope    string // "xmpp" or "console"
	Label    string // for people: "password", "phone"
	Device   string // the device's id, if it is bound to one
	Created  time.Time
	Verifier []byte
}

// Delivery is how far an agent has received what was said to her: everything up
// to Cursor and what stands in Acked, which is beyond it.
type Delivery struct {
	Cursor Ordinal
	Acked  []Ordinal // ascending, each > Cursor
}

// A Resume is a session that was cut by a shutdown and may be resumed after the
// next start (XEP-0198 §5). State is sealed with a secret of the agent's.
type Resume struct {
	ID      string // the stream's resumption id
	Agent   AgentID
	Expires time.Time
	State   []byte
}
