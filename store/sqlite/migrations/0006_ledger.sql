-- What the rows that somebody has set come to, so that an older one in a newer one's
-- place is noticed. One row; the writer keeps it (ledger.go).

CREATE TABLE ledger (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	sealed BLOB NOT NULL
) STRICT;
