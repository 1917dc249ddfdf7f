// Package scram is the server's side of SCRAM (RFC 5802, RFC 7677) as a pure
// state machine: bytes in, bytes out. It reads no clock, no store and no
// connection; whoever drives it looks up salts and keys and passes them in.
//
// One exchange is one Server:
//
//	s, err := scram.New(mechanism, channel, offer, nil)
//	name, authzid, err := s.First(clientFirst)
//	serverFirst, err := s.Challenge(salt, iterations)
//	index, serverFinal, err := s.Final(clientFinal, candidates)
//
// Several keys can be tried against one proof, since a person may hold a
// password and a secret per device. All of them are tried in every case, keys
// that are missing cost what real ones cost, and nothing ends early, so that the
// time taken says neither which key fitted nor whether there was one.
//
// Two attributes protect what comes before the exchange from an attacker who
// holds the server's certificate: h is a hash over the mechanisms and bindings
// that were announced (XEP-0474), t is the version of TLS (XEP-0515). Both are
// covered by the client's proof.
package scram
