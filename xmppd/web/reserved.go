package web

import "slices"

// reserved are names that no new agent gets: to her colleagues "[bot] …" is what a program has said, "[parley] …" and "note of
// system: …" are the account's, and parley@ the domain is where they ask the server.
var reserved = []string{"bot", "parley", "system"}

// Reserved refuses a name for a new agent that would be taken for a program's, or the server's. Whoever has one keeps it.
func Reserved(name string) error {
	if !slices.Contains(reserved, name) {
		return nil
	}
	return refuse("no agent can be called %s: colleagues would take her for a program, or for the server", name).hint("give her another name")
}
