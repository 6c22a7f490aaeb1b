-- The effect journal, first version.  Ids are never used twice, so that a
-- late strike cannot hit a newer effect.
CREATE TABLE effect (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	run TEXT NOT NULL,
	kind INTEGER NOT NULL,
	connect_uri TEXT NOT NULL,
	domain_uuid TEXT NOT NULL,
	subject TEXT NOT NULL,
	point TEXT NOT NULL,
	boot TEXT NOT NULL,
	pid INTEGER NOT NULL,
	pid_started INTEGER NOT NULL
);
