package conn

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// checkMax is how many faults of a file are named.
const checkMax = 8

// Check answers what is wrong with the file's structure; nothing if it is whole.
func (c *Conn) Check() (faults []string, err error) {
	err = c.Query("PRAGMA quick_check(8)", nil, func(r Row) error {
		if text := r.Text(0); text != "ok" && len(faults) < checkMax {
			faults = append(faults, text)
		}
		return nil
	})
	if Damaged(err) {
		return append(faults, err.Error()), nil
	}
	return faults, err
}

// Damaged says whether err is about a file that is not as SQLite wrote it.
func Damaged(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB)
}
