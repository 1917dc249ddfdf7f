// Package im holds the rules of instant messaging as plain values and functions:
// which message is kept, who gets it, what has arrived, and how records,
// rosters and answers are written as stanzas. It knows no connection and starts
// nothing; xmppd calls it.
package im
