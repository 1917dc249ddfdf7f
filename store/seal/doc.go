// Package seal encrypts what Parley keeps, with AES-256-GCM under a key of its
// own for each conversation.
//
// A conversation's secret is 32 random bytes. From it HKDF-SHA-256 makes one
// sub-key for each use (msg, field, file, raw, commit), so that no key is ever
// used for two things. Nonces are random: a counter would repeat itself after a
// restore from a backup.
//
// What is sealed is bound to its place by additional data: format version,
// account, conversation, kind, number, actor, field name, key generation and
// time, each with its length before it. A sealed value that was moved to another
// row, conversation, account or field does not open. The ordinal is not part of
// it, since it is assigned last.
//
// GCM does not commit to its key. Each secret therefore has a Commitment that is
// kept beside the data and compared before anything is opened.
package seal
