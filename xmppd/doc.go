// Package xmppd is the daemon: it accepts connections, secures and negotiates
// them, owns the sessions and routes stanzas between them.
//
// A stanza's way is told in docs/flow.md; the functions named there are
// (*Server).Serve, secure, negotiate, (*Session).run, route, store.Account.Append,
// deliver, (*Session).push and (*Session).flush.
//
// Who waits for whom: a session's reader waits only for its own stanzas to be
// decided, the account's dispatcher waits for nobody, and a session's writer waits
// for its own peer. No sender ever waits for a receiver.
package xmppd
