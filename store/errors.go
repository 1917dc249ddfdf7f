package store

import "errors"

// What callers decide by.
var (
	// ErrNotFound says that there is no such thing, or none that may be seen.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that it exists already, or was changed meanwhile.
	ErrConflict = errors.New("conflict")
	// ErrTooMany says that there are as many of its kind as there may be.
	ErrTooMany = errors.New("too many")
	// ErrFull says that the disk is full or the store read-only: nothing was kept,
	// and the same may go through later.
	ErrFull = errors.New("no room to keep this")
	// ErrUnavailable says that the store is closing or out of order.
	ErrUnavailable = errors.New("store unavailable")
	// ErrTampered says that what was read is not what was written.
	ErrTampered = errors.New("changed outside the server")
)
