package conn

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// NoRoom says whether err is the disk's or the file system's: full, read-only or
// failing.
func NoRoom(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrReadonly, sqlite3.ErrIoErr, sqlite3.ErrCantOpen, sqlite3.ErrPerm, sqlite3.ErrNomem:
		return true
	}
	return false
}

// Exists says whether err is a row that would be there twice.
func Exists(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrConstraint
}
