// Package store is the vocabulary of what Parley keeps: accounts' logs, who
// may see what, agents and their credentials, webhooks. It holds no SQL and
// imports nothing but the standard library; engines beside it (store/sqlite)
// implement the Account interface and prove it with store/storetest.
//
// Each account has one append-only log, and everything else is a reading of
// it: the archive, transcripts, webhooks and offline delivery each keep a
// cursor. A message's record is its event, so that what happened and the news
// of it are one row of one transaction.
//
// Append is the only way into the log. It returns at once; the batch's Done is
// called when its commit is durable (or has failed), in the order of ordinals
// over the whole account, so that whoever delivers from Done delivers in order.
package store
