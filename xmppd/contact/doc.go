// Package contact is an account's contacts as they are kept and heard of: it gives the desk's
// rules (package desk) a store to keep changes in, makes records of what is said and what
// happens, and tells those who follow a contact.
//
// Agents' clients, visitors' pages and the REST API all come through it, and none of them calls
// another.
package contact
