// Package keys is where secrets live: apart from the data that they seal, in a
// folder of their own (VIV-11).
//
// The operator's root key wraps an account key, which wraps the secrets of that
// account's conversations and agents. <account>.key holds the account key,
// <account>.db the secrets. Rotating the account key wraps all live secrets anew
// and destroys the old one, which bounds how long a deleted secret can be got out
// of old copies of the file.
//
// A secret is on stable storage before Create returns, so before the first record
// that it seals. It is gone from the file and its write-ahead log before Destroy
// returns.
package keys
