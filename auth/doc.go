// Package auth says who may: it holds the sign-in of one account's agents, what
// their passwords have to be like, and the lock-out that slows guessing down.
//
// # Verifiers
//
// No password and no salted password is kept (HAP-5). A credential's verifier holds,
// for each hash, the two keys that SCRAM's server needs, and with them the format's
// version, the credential generation and the iteration count. The algorithm and the
// cost are thus written in the verifier; the salt isn't, since it is derived and can
// be made again at any time: HMAC-SHA-256 under the account's salt key, over the
// hash's name, the agent's prepared name and the generation. A thief of the data
// needs the salt key too, and two agents with the same password have different keys.
//
// Deriving salts is what makes existing, missing, new and deleted names look alike:
// every name has a salt, always the same one, and everybody in the account has the
// same iteration count.
//
// # Changing the iteration count
//
// One count per account means that it can't be raised for one password alone, and
// nothing can re-hash what the server never sees. So the count and the generation
// are settings of the account, written when its first verifier is made:
//
//   - Before that, and as long as no agent has a credential, Config.Iterations holds.
//   - From then on the settings hold, and a differing Config.Iterations changes
//     nothing: a restart with another option locks nobody out. Cost tells both numbers,
//     so that the operator can be told.
//   - Reissue is how a new count comes into force. It begins a new generation, with
//     which no verifier made before matches any more: every password and device secret
//     is to be issued anew, from the next one on at the new cost. Stale counts those
//     that still wait.
//
// # Lock-out
//
// Five wrong proofs for one name from one address lock that pair for five minutes,
// then ten, and so on. Many wrong proofs from one address over all names lock the
// address. Many for one name over all addresses make answers slow, never locked, so
// that a stranger can't keep an agent out. Names that don't exist are counted like
// those that do. A name that has signed in from an address before is known there: it
// isn't touched by what strangers do, and may fail ten times as often itself. A
// device's secret can't be guessed, so it always signs in.
//
// A lock shows only after a right proof, so that it tells a guesser nothing; and
// since that answer would itself confirm a guess, it is given only to the first few
// proofs of a lock. After those, a right proof is refused like a wrong one until the
// lock ends.
//
// # Tokens
//
// A client that has signed in can be given a token to sign in with the next time
// (XEP-0484), in one step and without the password. It is good for one client and one
// mechanism, for three weeks, and ends with the password or the device's secret that
// it was issued for. Of each client two are kept: the one that it used last, and a newer
// one that it may not have received.
package auth
