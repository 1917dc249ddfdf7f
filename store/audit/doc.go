// Package audit keeps who changed what, and who looked at what was said.
//
// A log is a folder's file audit.log and those before it, audit-N.log, where N
// is the number of their first record. A line is a hash in hexadecimal, a space,
// and a record: canonical JSON (RFC 8785) of which we write a simple subset.
// The hash is SHA-256 over the hash before it and the record, so that nothing
// can be changed, moved or left out in the middle without all that follows
// telling of it. A file's first line is its anchor: the hash and the number
// that its first record follows. Old files can go without breaking the chain.
//
// What cuts off the end is found with heads: the newest hash, signed once a day
// and told to the world outside (Head).
//
// A change has a record, whatever happens. Before it is made, what is about to
// happen is on stable storage (audit.pending), and so is the room for the record;
// where that cannot be, the change is refused. Afterwards the record is
// appended and synced, and only then is the change answered. What a crash
// leaves pending gets its record at the next start, with the outcome unknown:
// the change may have been made or not.
//
// Records say who people are by reference only: an agent's internal number, an
// operator's user number. So they can stay when the person is deleted. They
// hold no password, no token and nothing of what was said.
package audit
