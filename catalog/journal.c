/* SPDX-License-Identifier: Apache-2.0 */
/* The effect journal: a SQLite file whose every commit is durable. */
#include "catalog/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/db.h"
#include "catalog/owner.h"
#include "catalog/schema.h"
#include "common/err.h"
#include "common/io.h"

struct journal {
	struct db *db;
};

enum { SQL_ADD, SQL_STRIKE, SQL_LIST };

static const char *const statements[] = {
	[SQL_ADD] = "INSERT INTO effect (run, kind, connect_uri, domain_uuid,"
		    " subject, point, boot, pid, pid_started)"
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[SQL_STRIKE] = "DELETE FROM effect WHERE id = ?1",
	[SQL_LIST] = "SELECT id, run, kind, connect_uri, domain_uuid, subject,"
		     " point, boot, pid, pid_started FROM effect"
		     " WHERE ?1 IS NULL OR domain_uuid = ?1"
		     " ORDER BY kind, id DESC",
};

static const char *const migrations[] = { schema_journal_0001 };

static const struct db_schema schema = {
	.name = "effect journal",
	.migrations = migrations,
	.version = 1,
	.statements = statements,
	.statement_count = 3,
	.durable = true,
};

static int
open_file(
    struct journal *j, const char *path, const char *state_dir, struct err *err)
{
	bool fresh = access(path, F_OK) == -1;

	if (db_open(&j->db, path, &schema, err) == -1) {
		if (err->class == ERR_CORRUPT)
			err_hint(err,
			    "look for leftovers by hand (virsh domjobinfo, "
			    "checkpoint-list), then move '%s' away",
			    path);
		return -1;
	}
	return fresh ? io_sync_dir(state_dir, err) : 0;
}

int
journal_open(struct journal **out, const char *state_dir, struct err *err)
{
	struct journal *j = NULL;
	char *path = NULL;
	int lock = -1, rc = -1;

	if ((lock = db_lock(state_dir, "journal", err)) == -1)
		goto out;
	if ((j = calloc(1, sizeof(*j))) == NULL ||
	    (path = io_path(state_dir, "journal.db")) == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (open_file(j, path, state_dir, err) == -1)
		goto out;
	*out = j;
	j = NULL;
	rc = 0;
out:
	journal_close(j);
	free(path);
	if (lock != -1)
		close(lock);
	return rc;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	db_close(j->db);
	free(j);
}

int
journal_add(struct journal *j, struct journal_effect *effect, struct err *err)
{
	struct db *db = j->db;
	struct owner owner;
	sqlite3_stmt *add;

	if (owner_self(&owner, err) == -1 ||
	    (add = db_statement(db, SQL_ADD, err)) == NULL ||
	    db_bind_text(db, add, 1, effect->run, err) == -1 ||
	    db_bind_i64(db, add, 2, (int64_t)effect->kind, err) == -1 ||
	    db_bind_text(db, add, 3, effect->connect_uri, err) == -1 ||
	    db_bind_text(db, add, 4, effect->domain_uuid, err) == -1 ||
	    db_bind_text(db, add, 5, effect->subject, err) == -1 ||
	    db_bind_text(db, add, 6, effect->point_id, err) == -1 ||
	    db_bind_owner(db, add, 7, &owner, err) == -1 ||
	    db_run(db, add, err) == -1)
		return -1;
	effect->id = sqlite3_last_insert_rowid(db->sqlite);
	effect->pid = owner.pid;
	effect->owner_alive = true;
	return 0;
}

int
journal_strike(struct journal *j, int64_t id, struct err *err)
{
	sqlite3_stmt *strike = db_statement(j->db, SQL_STRIKE, err);

	if (strike == NULL || db_bind_i64(j->db, strike, 1, id, err) == -1)
		return -1;
	return db_run(j->db, strike, err);
}

/* ---- leftovers: copied first, so that a visit may strike ---- */

struct leftovers {
	struct journal_effect *effects;
	size_t count, room;
};

static void
leftovers_fini(struct leftovers *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		free((char *)list->effects[i].connect_uri);
		free((char *)list->effects[i].domain_uuid);
		free((char *)list->effects[i].subject);
		free((char *)list->effects[i].point_id);
	}
	free(list->effects);
}

static int
leftovers_add(struct leftovers *list, sqlite3_stmt *row, struct err *err)
{
	struct journal_effect *grown, *effect;
	int kind = sqlite3_column_int(row, 2);

	if (kind < JOURNAL_FREEZE || kind > JOURNAL_COMMITTED)
		return err_set(
		    err, ERR_CORRUPT, "effect journal: unknown kind %d", kind);
	if (list->count == list->room) {
		list->room = list->room == 0 ? 16 : list->room * 2;
		grown = reallocarray(list->effects, list->room, sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		list->effects = grown;
	}
	effect = &list->effects[list->count++];
	memset(effect, 0, sizeof(*effect));
	effect->id = sqlite3_column_int64(row, 0);
	snprintf(effect->run, sizeof(effect->run), "%s", db_text(row, 1));
	effect->kind = (enum journal_kind)kind;
	effect->connect_uri = strdup(db_text(row, 3));
	effect->domain_uuid = strdup(db_text(row, 4));
	effect->subject = strdup(db_text(row, 5));
	effect->point_id = strdup(db_text(row, 6));
	effect->pid = sqlite3_column_int64(row, 8);
	if (effect->connect_uri == NULL || effect->domain_uuid == NULL ||
	    effect->subject == NULL || effect->point_id == NULL)
		return err_no_memory(err);
	return 0;
}

static int
leftovers_read(
    struct leftovers *list, struct db *db, sqlite3_stmt *rows, struct err *err)
{
	struct owner owner;
	int more;

	while ((more = db_next(db, rows, err)) == 1) {
		db_owner(&owner, rows, 7);
		if (owner_alive(&owner))
			continue;
		if (leftovers_add(list, rows, err) == -1) {
			sqlite3_reset(rows);
			return -1;
		}
	}
	return more;
}

int
journal_leftovers(struct journal *j, const char *domain_uuid, journal_fn *fn,
    void *arg, struct err *err)
{
	struct leftovers list = { 0 };
	sqlite3_stmt *rows = db_statement(j->db, SQL_LIST, err);
	size_t i;
	int rc = -1;

	if (rows == NULL ||
	    db_bind_text(j->db, rows, 1, domain_uuid, err) == -1 ||
	    leftovers_read(&list, j->db, rows, err) == -1)
		goto out;
	for (i = 0; i < list.count; i++)
		if (fn(arg, &list.effects[i]) != 0)
			break;
	rc = 0;
out:
	leftovers_fini(&list);
	return rc;
}
