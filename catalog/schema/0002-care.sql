-- When each pack of a repository was last found whole, and what audits found.
CREATE TABLE pack (
	repository TEXT NOT NULL,
	id TEXT NOT NULL,
	seen_ms INTEGER NOT NULL,
	checked_ms INTEGER NOT NULL,
	PRIMARY KEY (repository, id)
) WITHOUT ROWID;

ALTER TABLE run ADD COLUMN audited_blocks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN missed_blocks INTEGER NOT NULL DEFAULT 0;
