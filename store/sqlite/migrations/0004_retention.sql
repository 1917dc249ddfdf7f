-- What goes of a conversation that goes on: its oldest records, with the generations of
-- the secret that sealed them.
ALTER TABLE conversation ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;    -- records up to this n are destroyed, or will be
ALTER TABLE conversation ADD COLUMN cleared INTEGER NOT NULL DEFAULT 0; -- and up to this one their rows are deleted
ALTER TABLE conversation ADD COLUMN base BLOB NOT NULL DEFAULT x'';     -- the running hash at gone; empty while that is 0
ALTER TABLE conversation ADD COLUMN held INTEGER NOT NULL DEFAULT 0;    -- until then nothing of it is destroyed
ALTER TABLE generation ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;      -- 0 no, 1 its secret is to be destroyed, 2 all is done
ALTER TABLE generation ADD COLUMN records INTEGER NOT NULL DEFAULT 0;   -- how many went with it

-- Every ordinal is a row of the log or counted here.
INSERT INTO meta (name, value)
SELECT 'destroyed', max(coalesce((SELECT max(ordinal) FROM log), 0),
	coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'newest'), 0)) - (SELECT count(*) FROM log);
