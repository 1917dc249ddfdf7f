package scram

import (
	"errors"
	"fmt"
)

// How an exchange fails. Errors wrap one of these and say more, for the log; the
// peer is told no more than which of them it was.
var (
	// ErrMechanism says that there is no such mechanism here (invalid-mechanism,
	// RFC 6120 §6.5.7).
	ErrMechanism = errors.New("no such mechanism")
	// ErrMalformed says that a message breaks the grammar of SCRAM
	// (malformed-request, RFC 6120 §6.5.8).
	ErrMalformed = errors.New("malformed message")
	// ErrDenied says that the proof or the channel binding is wrong
	// (not-authorized, RFC 6120 §6.5.10).
	ErrDenied = errors.New("not authorized")
	// ErrBinding is an ErrDenied because of the channel binding: the sign of a
	// misguided client, or of somebody in between.
	ErrBinding = fmt.Errorf("channel binding: %w", ErrDenied)
)

func malformed(what string) error {
	return fmt.Errorf("%w: %s", ErrMalformed, what)
}

func unbound(what string) error {
	return fmt.Errorf("%s: %w", what, ErrBinding)
}
