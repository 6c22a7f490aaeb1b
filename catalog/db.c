/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite with our settings, migrations and errors. */
#include "catalog/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "catalog/owner.h"
#include "common/err.h"
#include "common/io.h"

static enum err_class
class_of_sqlite(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_MISMATCH:
		return ERR_CORRUPT;
	case SQLITE_FULL:
		return ERR_NO_SPACE;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return ERR_AUTH;
	case SQLITE_NOMEM:
		return ERR_NO_MEMORY;
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
	case SQLITE_ERROR:
		return ERR_BUG;
	default:
		return ERR_IO;
	}
}

static int
err_sqlite(struct err *err, const struct db *db, const char *what)
{
	int code = sqlite3_extended_errcode(db->sqlite);
	const char *name = sqlite3_db_filename(db->sqlite, "main");

	return err_set(err, class_of_sqlite(code), "cannot %s %s '%s': %s",
	    what, db->schema->name, name == NULL ? "" : name,
	    sqlite3_errmsg(db->sqlite));
}

static int
execute(struct db *db, const char *sql, const char *what, struct err *err)
{
	if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
		return err_sqlite(err, db, what);
	return 0;
}

/* Runs a query and takes column 0 of its first row as a number and text. */
static int
query_first(struct db *db, const char *sql, int *number, char *text,
    size_t text_size, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL) !=
		SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW) {
		err_sqlite(err, db, "read");
		goto out;
	}
	if (number != NULL)
		*number = sqlite3_column_int(statement, 0);
	if (text != NULL)
		snprintf(text, text_size, "%s", db_text(statement, 0));
	rc = 0;
out:
	sqlite3_finalize(statement);
	return rc;
}

/* Settings of the handle; the first that touches the file finds out whether
 * it is one of SQLite's at all. */
static int
configure(struct db *db, struct err *err)
{
	const char *name = db->schema->name;
	char text[128];

	sqlite3_busy_timeout(db->sqlite, DB_BUSY_TIMEOUT_MS);
	/* A damaged or planted schema must not run functions of ours. */
	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(db->sqlite, SQLITE_LIMIT_ATTACHED, 0);
	if (query_first(db, "PRAGMA journal_mode = WAL", NULL, text,
		sizeof(text), err) == -1)
		return -1;
	if (strcmp(text, "wal") != 0) {
		err_set(err, ERR_UNSUPPORTED,
		    "the %s cannot use a write-ahead log here", name);
		return err_hint(
		    err, "put the state directory on a local file system");
	}
	if (execute(db,
		db->schema->durable ? "PRAGMA synchronous = FULL"
				    : "PRAGMA synchronous = NORMAL",
		"configure", err) == -1)
		return -1;
	if (query_first(db, "PRAGMA quick_check(1)", NULL, text, sizeof(text),
		err) == -1)
		return -1;
	if (strcmp(text, "ok") != 0)
		return err_set(
		    err, ERR_CORRUPT, "the %s is damaged: %s", name, text);
	return 0;
}

int
db_begin(struct db *db, struct err *err)
{
	return execute(db, "BEGIN IMMEDIATE", "change", err);
}

int
db_end(struct db *db, int rc, struct err *err)
{
	if (rc == 0)
		rc = execute(db, "COMMIT", "change", err);
	if (rc == -1)
		sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int
migrate_one(struct db *db, int version, struct err *err)
{
	char pragma[64];
	int rc;

	snprintf(
	    pragma, sizeof(pragma), "PRAGMA user_version = %d", version + 1);
	if (db_begin(db, err) == -1)
		return -1;
	rc = execute(db, db->schema->migrations[version], "change", err);
	if (rc == 0)
		rc = execute(db, pragma, "change", err);
	return db_end(db, rc, err);
}

static int
migrate(struct db *db, struct err *err)
{
	int version;

	if (query_first(db, "PRAGMA user_version", &version, NULL, 0, err) ==
	    -1)
		return -1;
	if (version < 0)
		return err_set(err, ERR_CORRUPT,
		    "the %s has the impossible version %d", db->schema->name,
		    version);
	if (version > db->schema->version) {
		err_set(err, ERR_UNSUPPORTED,
		    "the %s has version %d, this holdstill knows %d",
		    db->schema->name, version, db->schema->version);
		return err_hint(
		    err, "use the newer holdstill, or another --state-dir");
	}
	for (; version < db->schema->version; version++)
		if (migrate_one(db, version, err) == -1)
			return -1;
	return 0;
}

static int
prepare_all(struct db *db, struct err *err)
{
	int i;

	for (i = 0; i < db->schema->statement_count; i++) {
		if (sqlite3_prepare_v3(db->sqlite, db->schema->statements[i],
			-1, SQLITE_PREPARE_PERSISTENT, &db->statements[i],
			NULL) == SQLITE_OK)
			continue;
		err_sqlite(err, db, "use");
		/* Tables of the right version that are not ours. */
		if (err->class == ERR_BUG)
			err->class = ERR_CORRUPT;
		return -1;
	}
	return 0;
}

/*
 * SQLite would make it readable to everybody; it takes an empty file for a new
 * one, and the log's mode from it.  A file that exists is not even opened:
 * closing it would drop the locks of this process's other handles on it.
 */
static int
make_private(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd == -1 && errno == EEXIST)
		return 0;
	if (fd == -1)
		return err_errno(err, errno, "cannot make '%s'", path);
	close(fd);
	return 0;
}

int
db_open(struct db **out, const char *path, const struct db_schema *schema,
    struct err *err)
{
	struct db *db = calloc(1, sizeof(*db));
	int rc = -1;

	if (db == NULL)
		return err_no_memory(err);
	db->schema = schema;
	if (make_private(path, err) == -1)
		goto out;
	if (sqlite3_open_v2(path, &db->sqlite,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
		NULL) != SQLITE_OK) {
		if (db->sqlite == NULL)
			err_no_memory(err);
		else
			err_sqlite(err, db, "open");
		goto out;
	}
	if (configure(db, err) == -1 || migrate(db, err) == -1 ||
	    prepare_all(db, err) == -1)
		goto out;
	*out = db;
	db = NULL;
	rc = 0;
out:
	db_close(db);
	return rc;
}

void
db_close(struct db *db)
{
	int i;

	if (db == NULL)
		return;
	for (i = 0; i < DB_STATEMENTS_MAX; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sqlite);
	free(db);
}

int
db_lock(const char *state_dir, const char *name, struct err *err)
{
	char *path = NULL;
	int fd = -1;

	/* QEMU reaches sockets and scratch files below it. */
	if (io_make_dirs(state_dir, 0711, err) == -1)
		return -1;
	if (asprintf(&path, "%s/%s.lock", state_dir, name) == -1) {
		err_no_memory(err);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1) {
		err_errno(err, errno, "cannot open '%s'", path);
		goto out;
	}
	while (flock(fd, LOCK_EX) == -1) {
		if (errno == EINTR)
			continue;
		err_errno(err, errno, "cannot lock '%s'", path);
		close(fd);
		fd = -1;
		break;
	}
out:
	free(path);
	return fd;
}

sqlite3_stmt *
db_statement(struct db *db, int number, struct err *err)
{
	if (number < 0 || number >= db->schema->statement_count) {
		err_set(err, ERR_BUG, "no statement %d", number);
		return NULL;
	}
	sqlite3_reset(db->statements[number]);
	sqlite3_clear_bindings(db->statements[number]);
	return db->statements[number];
}

int
db_bind_text(struct db *db, sqlite3_stmt *statement, int index,
    const char *text, struct err *err)
{
	if (sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT) !=
	    SQLITE_OK)
		return err_sqlite(err, db, "use");
	return 0;
}

int
db_bind_i64(struct db *db, sqlite3_stmt *statement, int index, int64_t value,
    struct err *err)
{
	if (sqlite3_bind_int64(statement, index, value) != SQLITE_OK)
		return err_sqlite(err, db, "use");
	return 0;
}

int
db_bind_owner(struct db *db, sqlite3_stmt *statement, int index,
    const struct owner *owner, struct err *err)
{
	if (db_bind_text(db, statement, index, owner->boot, err) == -1 ||
	    db_bind_i64(db, statement, index + 1, owner->pid, err) == -1)
		return -1;
	return db_bind_i64(db, statement, index + 2, owner->started, err);
}

int
db_run(struct db *db, sqlite3_stmt *statement, struct err *err)
{
	int code = sqlite3_step(statement);

	if (code != SQLITE_DONE && code != SQLITE_ROW)
		err_sqlite(err, db, "write");
	sqlite3_reset(statement);
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : -1;
}

int
db_next(struct db *db, sqlite3_stmt *statement, struct err *err)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		err_sqlite(err, db, "read");
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? 0 : -1;
}

const char *
db_text(sqlite3_stmt *statement, int column)
{
	const unsigned char *text;

	if (sqlite3_column_type(statement, column) != SQLITE_TEXT)
		return "";
	text = sqlite3_column_text(statement, column);
	return text == NULL ? "" : (const char *)text;
}

void
db_owner(struct owner *out, sqlite3_stmt *statement, int column)
{
	snprintf(
	    out->boot, sizeof(out->boot), "%s", db_text(statement, column));
	out->pid = sqlite3_column_int64(statement, column + 1);
	out->started = sqlite3_column_int64(statement, column + 2);
}
