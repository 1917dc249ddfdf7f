// Package desk is the rules of support: who waits, who is asked, whose a contact is, and how
// it ends. It knows no network, no XML and no SQL.
//
// A Contact is a value that is never changed: each step (open.go, ask.go, talk.go, end.go) makes
// the next one, by the table in state.go, and says what happened. A Desk holds an account's live
// contacts and its agents, asks by the plan in routing.go, keeps time, and has every step kept,
// durably and if nothing else has happened meanwhile, before anybody hears of it.
package desk
