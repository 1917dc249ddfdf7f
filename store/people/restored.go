package people

import (
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// SchemaVersion is the newest schema that this program knows.
func SchemaVersion() int { return conn.SchemaVersion(migrations, "migrations") }

// Upgrade brings a file that came out of a copy up to this program's schema.
func Upgrade(db *conn.Conn) error { return db.MigrateCopy(migrations, "migrations") }

// Settle destroys in a file that came out of a copy who was erased or forgotten since: those whose
// secrets are gone, and those whom a newer copy names as erased. Of them the account's start destroys
// what else there is.
func Settle(db *conn.Conn, erased map[string]int64, lost func(secret keys.ID, made int64) bool) error {
	return db.InTx(func() error {
		for id, at := range erased {
			if err := db.Exec("DELETE FROM person WHERE id = ?", id); err != nil {
				return err
			}
			if err := db.Exec("INSERT OR REPLACE INTO erased (id, at, done) VALUES (?, ?, 0)", id, at); err != nil {
				return err
			}
		}
		var gone []int64
		if err := db.Query("SELECT number, made FROM person", nil, func(r conn.Row) error {
			if lost(secretOf(r.Int(0)), r.Int(1)) {
				gone = append(gone, r.Int(0))
			}
			return nil
		}); err != nil {
			return err
		}
		for _, number := range gone {
			if err := db.Exec("DELETE FROM person WHERE number = ?", number); err != nil {
				return err
			}
		}
		return nil
	})
}

// ErasedIn are the visitors whom a file names as erased, and when that was.
func ErasedIn(db *conn.Conn) (map[string]int64, error) {
	erased := make(map[string]int64)
	err := db.Query("SELECT id, at FROM erased", nil, func(r conn.Row) error {
		erased[r.Text(0)] = r.Int(1)
		return nil
	})
	return erased, err
}

// Have are the secrets that the people of a file have.
func Have(db *conn.Conn) (map[int64]bool, error) {
	have := make(map[int64]bool)
	err := db.Query("SELECT number FROM person", nil, func(r conn.Row) error {
		have[r.Int(0)] = true
		return nil
	})
	return have, err
}
