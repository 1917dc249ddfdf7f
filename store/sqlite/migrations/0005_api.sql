-- Keys of the REST API. What they may is sealed with their secrets in every profile.
CREATE TABLE api_key (
	id     TEXT PRIMARY KEY,
	made   INTEGER NOT NULL,
	sealed BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- What was answered to requests that carry an idempotency key, for a day.
CREATE TABLE answer (
	key    BLOB PRIMARY KEY, -- a hash of who asked and of the key
	made   INTEGER NOT NULL,
	sealed BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX answer_made ON answer (made);
