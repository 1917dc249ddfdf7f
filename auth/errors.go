package auth

import (
	"errors"
	"fmt"

	"parley.im/parley/auth/scram"
)

// How a sign-in fails. Anything else that Step, Begin or Redeem returns is ours, not the
// peer's.
var (
	// ErrMechanism: the mechanism was not announced (invalid-mechanism, RFC 6120 §6.5.7).
	ErrMechanism = scram.ErrMechanism
	// ErrMalformed: a message breaks the grammar (malformed-request, RFC 6120 §6.5.8).
	ErrMalformed = scram.ErrMalformed
	// ErrDenied: name, password or channel binding are wrong (not-authorized,
	// RFC 6120 §6.5.10).
	ErrDenied = scram.ErrDenied
	// ErrAuthzid is an ErrDenied: the client asks to act as somebody else
	// (invalid-authzid, RFC 6120 §6.5.6).
	ErrAuthzid = fmt.Errorf("authzid is not the user's: %w", ErrDenied)
	// ErrLocked: the proof was right, but there were too many wrong ones before
	// (temporary-auth-failure, RFC 6120 §6.5.11).
	ErrLocked = errors.New("locked after too many failures")
	// ErrDisabled: the proof was right, but the agent is disabled (account-disabled,
	// RFC 6120 §6.5.2).
	ErrDisabled = errors.New("account disabled")
	// ErrExpired: the token was right, but it is too old, or what it was issued for
	// counts no more (credentials-expired, RFC 6120 §6.5.3).
	ErrExpired = errors.New("token expired")
)

// What is wrong with a name or a password that somebody chose.
var (
	// ErrName says that a name can't be the local part of a JID.
	ErrName = errors.New("not a valid name")
	// ErrPassword says that a password holds what clients can't agree on how to send
	// (RFC 4013), or nothing, or too much.
	ErrPassword = errors.New("password cannot be used")
	// ErrWeak says that a password doesn't meet the policy. The errors that wrap it
	// say why, for the one who chose it, and never quote it.
	ErrWeak = errors.New("password is too weak")
)
