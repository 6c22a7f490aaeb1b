/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite as the catalog and the journal use it: WAL, a busy timeout, numbered
 * migrations, statements prepared once, errors as struct err.  Internal to
 * catalog/.  One thread a handle; any number of processes a file.
 */
#ifndef HOLDSTILL_CATALOG_DB_H
#define HOLDSTILL_CATALOG_DB_H

#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>

struct err;
struct owner;

/* How long a statement waits for another process. */
#define DB_BUSY_TIMEOUT_MS 20000
#define DB_STATEMENTS_MAX 24

/* What a file holds; constant data of its module. */
struct db_schema {
	const char *name;              /* Of the file, for people: "catalog". */
	const char *const *migrations; /* [i] leads from version i to i + 1. */
	int version;
	const char *const *statements; /* At most DB_STATEMENTS_MAX. */
	int statement_count;
	bool durable; /* Each commit is on the disk when it returns. */
};

struct db {
	const struct db_schema *schema;
	sqlite3 *sqlite;
	sqlite3_stmt *statements[DB_STATEMENTS_MAX];
};

/*
 * Opens path, makes it if absent, migrates it.  The caller excludes other
 * openers meanwhile (db_lock).  ERR_CORRUPT: damaged; ERR_UNSUPPORTED: made
 * by a newer holdstill.
 */
int db_open(struct db **out, const char *path, const struct db_schema *schema,
    struct err *err);
void db_close(struct db *db); /* NULL is allowed. */

/*
 * Takes STATE_DIR/NAME.lock, making the folder if absent, and waits for it.
 * Returns the descriptor to close, or -1.
 */
int db_lock(const char *state_dir, const char *name, struct err *err);

/* The statement with that number, reset and without bindings; NULL with
 * *err.  Owned by db. */
sqlite3_stmt *db_statement(struct db *db, int number, struct err *err);

/* Binds the next values of a statement from index; NULL text is NULL. */
int db_bind_text(struct db *db, sqlite3_stmt *statement, int index,
    const char *text, struct err *err);
int db_bind_i64(struct db *db, sqlite3_stmt *statement, int index,
    int64_t value, struct err *err);
/* Three columns from index: boot, pid, start. */
int db_bind_owner(struct db *db, sqlite3_stmt *statement, int index,
    const struct owner *owner, struct err *err);

/* Runs a statement that returns no row, and resets it. */
int db_run(struct db *db, sqlite3_stmt *statement, struct err *err);

/* What is run between the two is done whole or not at all: rc of the work
 * decides, and is what db_end() returns, or -1 if it fails itself. */
int db_begin(struct db *db, struct err *err);
int db_end(struct db *db, int rc, struct err *err);

/* 1: a row is there; 0: no more, the statement is reset; -1: failed, reset.
 */
int db_next(struct db *db, sqlite3_stmt *statement, struct err *err);

/* A column's text, never NULL; "" for NULL, numbers and without memory. */
const char *db_text(sqlite3_stmt *statement, int column);
void db_owner(struct owner *out, sqlite3_stmt *statement, int column);

#endif
