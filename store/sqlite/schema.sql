-- The present schema, made of migrations/ by 'go test -run SchemaFile -update'.

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE log (
	ordinal      INTEGER PRIMARY KEY,
	conversation INTEGER NOT NULL,
	n            INTEGER NOT NULL, -- the record's number in its conversation
	prev         INTEGER NOT NULL, -- the ordinal of the conversation's record before it
	at           INTEGER NOT NULL, -- milliseconds, as are all times here
	kind         INTEGER NOT NULL,
	actor        INTEGER NOT NULL,
	generation   INTEGER NOT NULL, -- of the secret; 0 is not sealed
	repeat       INTEGER NOT NULL, -- what a client that sends again would have; 0 is nothing
	sealed       BLOB NOT NULL
) STRICT;

CREATE TABLE place (
	conversation INTEGER NOT NULL,
	block        INTEGER NOT NULL, -- holds n from 16 * (block - 1) + 1 to 16 * block
	ordinal      INTEGER NOT NULL, -- of its last
	PRIMARY KEY (conversation, block)
) WITHOUT ROWID, STRICT;

CREATE TABLE span (
	first    INTEGER PRIMARY KEY,
	earliest INTEGER NOT NULL,
	latest   INTEGER NOT NULL
) STRICT;

CREATE TABLE conversation (
	id         INTEGER PRIMARY KEY,
	nature     INTEGER NOT NULL,
	a          INTEGER NOT NULL, -- the agents of a direct one, the lower id first
	b          INTEGER NOT NULL,
	first      INTEGER NOT NULL, -- ordinals
	last       INTEGER NOT NULL,
	n          INTEGER NOT NULL, -- records so far
	others     INTEGER NOT NULL, -- of these, how many are no messages
	hash       BLOB NOT NULL,    -- running, over the SHA-256 of each sealed record
	generation INTEGER NOT NULL, -- in use
	shredded   INTEGER NOT NULL  -- 0 no, 1 its rows may remain, 2 all is gone
, gone INTEGER NOT NULL DEFAULT 0, cleared INTEGER NOT NULL DEFAULT 0, base BLOB NOT NULL DEFAULT x'', held INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE UNIQUE INDEX conversation_between ON conversation (nature, a, b)
WHERE shredded = 0;

CREATE TABLE generation (
	conversation INTEGER NOT NULL,
	generation   INTEGER NOT NULL,
	made         INTEGER NOT NULL,
	commitment   BLOB NOT NULL, gone INTEGER NOT NULL DEFAULT 0, records INTEGER NOT NULL DEFAULT 0, -- tells whether a secret is the one
	PRIMARY KEY (conversation, generation)
) WITHOUT ROWID, STRICT;

CREATE TABLE member (
	agent        INTEGER NOT NULL,
	conversation INTEGER NOT NULL,
	first_n      INTEGER NOT NULL,
	last_n       INTEGER NOT NULL, -- 0 is open
	hidden       INTEGER NOT NULL,
	PRIMARY KEY (agent, conversation)
) WITHOUT ROWID, STRICT;

CREATE INDEX member_conversation ON member (conversation);

CREATE TABLE agent (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	name     TEXT NOT NULL UNIQUE,
	role     TEXT NOT NULL,
	disabled INTEGER NOT NULL,
	made     INTEGER NOT NULL
) STRICT;

CREATE TABLE credential (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	agent  INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE,
	scope  TEXT NOT NULL,
	made   INTEGER NOT NULL,
	sealed BLOB NOT NULL
) STRICT;

CREATE INDEX credential_agent ON credential (agent);

CREATE TABLE delivery (
	agent  INTEGER PRIMARY KEY REFERENCES agent ON DELETE CASCADE,
	cursor INTEGER NOT NULL,
	acked  BLOB NOT NULL
) STRICT;

CREATE TABLE resume (
	id      TEXT PRIMARY KEY,
	agent   INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE,
	expires INTEGER NOT NULL,
	sealed  BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX resume_agent ON resume (agent);

CREATE TABLE secret (
	name   TEXT PRIMARY KEY,
	sealed BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE setting (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE endpoint (
	id       TEXT PRIMARY KEY,
	url      TEXT NOT NULL,
	events   TEXT NOT NULL, -- names with spaces between
	secret   BLOB NOT NULL, -- sealed in every profile
	made     INTEGER NOT NULL,
	disabled INTEGER NOT NULL,
	why      TEXT NOT NULL,
	cursor   INTEGER NOT NULL
, options BLOB NOT NULL DEFAULT x'') WITHOUT ROWID, STRICT;

CREATE TABLE retry (
	endpoint TEXT NOT NULL REFERENCES endpoint ON DELETE CASCADE,
	ordinal  INTEGER NOT NULL,
	attempt  INTEGER NOT NULL,
	next     INTEGER NOT NULL, -- 0 is given up
	first    INTEGER NOT NULL,
	PRIMARY KEY (endpoint, ordinal)
) WITHOUT ROWID, STRICT;

CREATE TABLE attempt (
	endpoint     TEXT NOT NULL REFERENCES endpoint ON DELETE CASCADE,
	seq          INTEGER NOT NULL,
	id           TEXT NOT NULL,
	ordinal      INTEGER NOT NULL,
	conversation INTEGER NOT NULL,
	event        TEXT NOT NULL,
	number       INTEGER NOT NULL,
	at           INTEGER NOT NULL,
	status       INTEGER NOT NULL,
	took         INTEGER NOT NULL, -- nanoseconds
	err          TEXT NOT NULL,
	generation   INTEGER NOT NULL, -- of the conversation's secret; 0 is not sealed
	answer       BLOB NOT NULL,
	PRIMARY KEY (endpoint, seq)
) WITHOUT ROWID, STRICT;

CREATE TABLE own (
	agent  INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE,
	part   INTEGER NOT NULL,
	slot   BLOB NOT NULL,
	sealed BLOB NOT NULL,
	PRIMARY KEY (agent, part, slot)
) WITHOUT ROWID, STRICT;

CREATE TABLE api_key (
	id     TEXT PRIMARY KEY,
	made   INTEGER NOT NULL,
	sealed BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE answer (
	key    BLOB PRIMARY KEY, -- a hash of who asked and of the key
	made   INTEGER NOT NULL,
	sealed BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX answer_made ON answer (made);

CREATE TABLE ledger (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	sealed BLOB NOT NULL
) STRICT;

CREATE TABLE contact (
	conversation INTEGER PRIMARY KEY,
	address      TEXT NOT NULL,
	version      INTEGER NOT NULL,
	state        INTEGER NOT NULL,
	live         INTEGER NOT NULL,
	owner        INTEGER NOT NULL, -- an agent; 0 is nobody
	visitor      TEXT NOT NULL,
	created      INTEGER NOT NULL,
	ended        INTEGER NOT NULL, -- 0 while it goes on
	outcome      TEXT NOT NULL,
	generation   INTEGER NOT NULL, -- of the secret; 0 is not sealed
	data         BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX contact_address ON contact (address);

CREATE INDEX contact_created ON contact (created);

CREATE INDEX contact_live ON contact (created) WHERE live = 1;

CREATE INDEX contact_state ON contact (state, created);

CREATE INDEX contact_owner ON contact (owner, created);

CREATE INDEX contact_visitor ON contact (visitor, created);

CREATE INDEX contact_outcome ON contact (outcome, created);

CREATE INDEX conversation_unfinished ON conversation (shredded) WHERE shredded IN (1, 3);

CREATE INDEX contact_ended ON contact (ended) WHERE live = 0;

CREATE TABLE file (
	id           TEXT PRIMARY KEY,
	agent        INTEGER NOT NULL, -- who sent it; 0 is a visitor
	conversation INTEGER NOT NULL, -- in which it was said; 0 is none yet
	generation   INTEGER NOT NULL, -- of the conversation's secret, or of the agent's; 0 is not sealed
	made         INTEGER NOT NULL,
	size         INTEGER NOT NULL, -- bytes
	sealed       BLOB NOT NULL     -- its key, name and type
) WITHOUT ROWID, STRICT;

CREATE INDEX file_of ON file (conversation, agent, made, size);

