// Package notify mails operators what they must know: what happened to an
// account's security, a webhook that fails or is disabled, a backup that is too old, a
// certificate that ends soon, and panics of the server itself.
//
// Alerts are records of accounts' logs, read from a cursor as webhooks are, so
// that none is lost when the mail server is down or the process ends: each is
// mailed at least once. A panic has no record; it is mailed from memory, and
// lost if the process ends before that.
//
// Mail must not become a nuisance that nobody reads any more. Of one kind an
// account sends one mail in Config.Every; what happens meanwhile is in the next
// one. All accounts together send Config.PerHour in an hour; what is over
// that waits, and grows together.
//
// Who is named for it hears in the same way that a visitor has left a message (RunLeft). Those are
// few, and not the operators, so such mails have an hour's room of their own.
//
// Nobody waits for mail: whoever causes an alert has appended a record or put a
// panic into a bounded queue, and goes on.
//
// Mail says nothing of what was said in conversations. Of a panic it has the
// names of functions and their lines, not the values that they were called with.
package notify
