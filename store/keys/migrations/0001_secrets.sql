-- What the file is and to which data it belongs.
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- Secrets, each wrapped by one version of the account key.
CREATE TABLE secret (
	owner      INTEGER NOT NULL,
	number     INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	wrapped    BLOB NOT NULL,
	PRIMARY KEY (owner, number, generation)
) WITHOUT ROWID, STRICT;
