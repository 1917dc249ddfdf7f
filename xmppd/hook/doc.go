// Package hook tells an account's endpoints what happened: it reads the
// account's log, signs each event and posts it.
//
// What it promises: every event that an endpoint wants is delivered at least
// once, or given up only after the last of the waits. Nothing is kept twice for
// it: the log is the queue, each endpoint reads it from a cursor of its own,
// and only what failed gets a row. A crash between an answer and the cursor's
// advance repeats an event under the same webhook-id; it never loses one.
//
// An endpoint is one goroutine that owns all its state, and at most
// Config.Concurrency requests. An endpoint that is dead, slow or
// hostile costs the others nothing: it has its own cursor, its own connections,
// a bounded read-ahead and a bounded number of rows.
//
// Every connection goes through a guarded dialer that looks at the address
// dialled, not at the name, so that an endpoint cannot be pointed into the
// operator's own network.
package hook
