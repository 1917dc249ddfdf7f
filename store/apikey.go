package store

import "time"

// MaxAPIKeys is how many keys an account can have.
const MaxAPIKeys = 100

// An APIKey lets a program use an account's REST API.
type APIKey struct {
	ID      string `json:"-"` // "ak_<account>_…": it names the account
	Signing bool   // it signs tokens and requests and is never sent; else it is sent as a password is
	Role    string // what it may, as an agent's role
	// Scopes narrow that to kinds of things, such as "webhooks:write"; empty is all.
	Scopes  []string  `json:",omitempty"`
	Label   string    `json:",omitempty"` // for people
	Created time.Time `json:"-"`
	By      string    `json:",omitempty"` // the key that made it; "" is an operator
	Expires time.Time `json:",omitzero"`  // zero is never
	// Secret is the secret of a signing key, and the SHA-256 of any other's, which is as
	// good as it is long and random. It is kept sealed.
	Secret []byte
}
