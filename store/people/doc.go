// Package people keeps who an account's visitors are, apart from what they said (KIS-4): in a
// file of its own, people.db, each person sealed with a secret of their own.
//
// Everything else knows a person by an internal id, which is chance: nobody can tell from it who
// it is, nor that somebody is the same person in two accounts. People are found by keyed hashes
// of what a shop has said of them (blind indexes), whose key is never in the file. What is found
// is opened and compared, so that a row which somebody has put in another's place is noticed.
//
// A person's secret is durable before their row, and gone after a tombstone is durable: a secret
// without a row is either one that was made for nothing or one that was to be destroyed, and the
// next start destroys it.
package people
