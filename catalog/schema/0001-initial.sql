-- The catalog, first version.  docs/catalog.md says what each column means.
CREATE TABLE point (
	repository TEXT NOT NULL,
	id TEXT NOT NULL,
	parent TEXT NOT NULL,
	domain TEXT NOT NULL,
	uuid TEXT NOT NULL,
	time_ms INTEGER NOT NULL,
	kind TEXT NOT NULL,
	consistency TEXT NOT NULL,
	stored_bytes INTEGER NOT NULL,
	manifest TEXT NOT NULL,
	PRIMARY KEY (repository, id)
) WITHOUT ROWID;

CREATE INDEX point_by_domain ON point (repository, domain, time_ms);

CREATE TABLE run (
	id TEXT NOT NULL PRIMARY KEY,
	repository TEXT NOT NULL,
	domain TEXT NOT NULL,
	job TEXT NOT NULL,
	started_ms INTEGER NOT NULL,
	ended_ms INTEGER,
	outcome TEXT,
	point TEXT NOT NULL DEFAULT '',
	message TEXT NOT NULL DEFAULT '',
	boot TEXT NOT NULL,
	pid INTEGER NOT NULL,
	pid_started INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX run_by_domain ON run (repository, domain, started_ms);
