-- What people have sent. The bytes are beside this file, sealed, in files/.
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
