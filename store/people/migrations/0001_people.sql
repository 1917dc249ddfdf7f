-- What the file is and to which keys it belongs.
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- Somebody of whom a shop has said who it is. The number, made by chance, names the secret
-- that seals data; the id is what contacts have.
CREATE TABLE person (
	number  INTEGER PRIMARY KEY,
	id      TEXT NOT NULL UNIQUE,
	made    INTEGER NOT NULL,
	seen    INTEGER NOT NULL,
	version INTEGER NOT NULL,
	data    BLOB NOT NULL
) STRICT;

CREATE INDEX person_seen ON person (seen, id);

-- By what people can be found: keyed hashes, never a value.
CREATE TABLE mark (
	field  INTEGER NOT NULL,
	value  BLOB NOT NULL,
	person INTEGER NOT NULL REFERENCES person (number) ON DELETE CASCADE,
	PRIMARY KEY (field, value, person)
) WITHOUT ROWID, STRICT;

CREATE INDEX mark_person ON mark (person);

-- Visitors who were erased, so that copies of before know it; done when nothing of them is
-- left anywhere.
CREATE TABLE erased (
	id   TEXT PRIMARY KEY,
	at   INTEGER NOT NULL,
	done INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
