package sqlite

import (
	"context"
	"fmt"
	"time"

	"parley.im/parley/store/sqlite/conn"
)

// forgetRows is how much is forgotten in one transaction, so that messages wait for no more
// than a few milliseconds.
const forgetRows = 500

// ForgetDeliveries deletes what endpoints were given up for, where that was tried first before
// then, and what the delivery logs have from before then. It answers how much that was.
func (a *Account) ForgetDeliveries(ctx context.Context, before time.Time) (int, error) {
	endpoints, err := a.Endpoints(ctx)
	total := 0
	for _, e := range endpoints {
		for _, query := range []string{
			`DELETE FROM retry
				WHERE endpoint = ?1 AND ordinal IN (
					SELECT ordinal FROM retry WHERE endpoint = ?1 AND next = 0 AND first < ?2 LIMIT ?3)`,
			// The oldest come first, so that what is to stay is not read.
			`DELETE FROM attempt
				WHERE endpoint = ?1 AND at < ?2 AND seq IN (
					SELECT seq FROM attempt WHERE endpoint = ?1 ORDER BY seq LIMIT ?3)`,
		} {
			for n := forgetRows; n == forgetRows && err == nil; total += n {
				n, err = a.forget(ctx, query, e.ID, before)
			}
		}
	}
	if err != nil {
		return total, fmt.Errorf("forget old deliveries: %w", err)
	}
	return total, nil
}

// forget deletes up to forgetRows rows, and answers how many there were.
func (a *Account) forget(ctx context.Context, query, endpoint string, before time.Time) (n int, err error) {
	err = a.update(ctx, func(db *conn.Conn) error {
		if err := db.Exec(query, endpoint, before.UnixMilli(), forgetRows); err != nil {
			return err
		}
		changes, err := db.Number("SELECT changes()")
		n = int(changes)
		return err
	})
	return n, err
}
