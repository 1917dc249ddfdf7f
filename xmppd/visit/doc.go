// Package visit is how visitors talk with an account's agents over HTTPS. What they send and get
// stands in docs/visitors.md.
//
// What is said is durable before anybody hears of it, and each connection reads it from the
// store: a line (line.go) is a place in a contact's records, and news does nothing but have it
// look further. So nothing comes twice, nothing is left out, whoever reads slowly costs no
// memory, and a connection that was cut goes on where its client says that it was.
package visit
