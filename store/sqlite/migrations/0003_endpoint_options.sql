-- What an endpoint wants otherwise: JSON, sealed in every profile. Empty is nothing.
ALTER TABLE endpoint ADD COLUMN options BLOB NOT NULL DEFAULT x'';
