-- Visitors' conversations, of nature 3: what lists ask for, and all else that is known of
-- them, sealed with the conversation's secret. In table conversation their a is 0 and their
-- b the id; shredded is 3 as long as they have no row here, and such a one goes at the next
-- start.
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

-- Lists, newest first; an index ends with the conversation by itself.
CREATE INDEX contact_created ON contact (created);
CREATE INDEX contact_live ON contact (created) WHERE live = 1;
CREATE INDEX contact_state ON contact (state, created);
CREATE INDEX contact_owner ON contact (owner, created);
CREATE INDEX contact_visitor ON contact (visitor, created);
CREATE INDEX contact_outcome ON contact (outcome, created);

-- What the next start has to end.
CREATE INDEX conversation_unfinished ON conversation (shredded) WHERE shredded IN (1, 3);

-- Retention.
CREATE INDEX contact_ended ON contact (ended) WHERE live = 0;
