// Package backup keeps copies of an installation elsewhere and brings them back.
//
// A copy is sealed to age public keys, so that the server which makes copies cannot
// read old ones. Data and keys go to different targets, since who has both has
// everything, and copies of keys live for days only: a conversation whose secret was
// destroyed is gone from the copies of its records as soon as the last copy of its
// secret has expired.
//
// What is copied of an account is one chain of pieces: a full one, and then increments.
// A piece holds the log's records after the previous piece's last, which never change,
// and all other tables in chunks of a few rows; of chunks that the chain has already,
// only the name is repeated. So each piece describes all tables as they were at one
// moment, costs as much as has changed, and knows nothing of what the tables mean.
// Pages of the file or its write-ahead log would have been the alternative: they need
// either all of the file read every five minutes or a hand in SQLite's checkpoints, and
// a reader who stops those for as long as a slow target takes. Here the log is read in
// slices, and one short reading at the end sees everything else together with the
// log's end.
//
// Pieces are made in a spool and brought from there by one courier for each target,
// with tries of its own, so that a target that is full, slow or away keeps nothing from
// the others. A manifest with all names, sizes and hashes is written last: what has none
// is no copy. Names are never used twice. Manifests are signed with a key made of the root
// key (signature.go), since who can write to a target can also seal to the public keys.
//
// Files that people send are no part of that: each is sealed already and never changes, so a
// courier brings it once, as it is, when the copy that knows it is where it belongs (files.go).
//
// For each account data is copied first and then keys, and a restore takes the newest
// keys: a secret that is missing there was destroyed, and so is what it sealed. Every
// piece of data also names the conversations that were shredded, and up to which record
// others have expired. What the newest copy names is destroyed in older ones before anybody
// sees it. So retention costs copies nothing but its tombstones: records that expire stay
// in the pieces that have them, to which the keys are destroyed, until those are deleted.
package backup
