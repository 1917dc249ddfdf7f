-- What agents have of their own: rosters, block lists, cards and the like. Names are
-- sealed with the values; the slot is a keyed hash of part and name.
CREATE TABLE own (
	agent  INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE,
	part   INTEGER NOT NULL,
	slot   BLOB NOT NULL,
	sealed BLOB NOT NULL,
	PRIMARY KEY (agent, part, slot)
) WITHOUT ROWID, STRICT;
