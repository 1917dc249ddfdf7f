package keys

import "parley.im/parley/store/sqlite/conn"

// SchemaVersion is the newest schema that this program knows.
func SchemaVersion() int { return conn.SchemaVersion(migrations, "migrations") }

// Upgrade brings a file that came out of a copy up to this program's schema.
func Upgrade(db *conn.Conn) error { return db.MigrateCopy(migrations, "migrations") }
