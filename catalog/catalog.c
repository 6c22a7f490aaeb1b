/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog file: opening, setting a damaged one aside, single rows. */
#include "catalog/catalog_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "catalog/schema.h"
#include "common/err.h"
#include "common/io.h"
#include "common/json/json.h"
#include "common/log.h"

static const char *const statements[] = {
	[CATALOG_SQL_ADD] =
	    "INSERT OR REPLACE INTO point (repository, id, parent, domain,"
	    " uuid, time_ms, kind, consistency, stored_bytes, manifest)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[CATALOG_SQL_REMOVE] =
	    "DELETE FROM point WHERE repository = ?1 AND id = ?2",
	[CATALOG_SQL_FORGET_ALL] = "DELETE FROM point WHERE repository = ?1",
	[CATALOG_SQL_IDS] =
	    "SELECT id FROM point WHERE repository = ?1 ORDER BY id",
	[CATALOG_SQL_POINTS] =
	    "SELECT id, parent, domain, time_ms FROM point"
	    " WHERE repository = ?1 AND (?2 IS NULL OR domain = ?2)",
	[CATALOG_SQL_MANIFEST] =
	    "SELECT manifest FROM point WHERE repository = ?1 AND id = ?2",
	/* 'g' follows the last hex digit. */
	[CATALOG_SQL_PREFIX] =
	    "SELECT id, domain, time_ms FROM point WHERE repository = ?1"
	    " AND id >= ?2 AND id < ?2 || 'g' ORDER BY id LIMIT 5",
	[CATALOG_SQL_DOMAINS] =
	    "SELECT domain, count(*) FROM point WHERE repository = ?1"
	    " GROUP BY domain ORDER BY domain LIMIT 6",
	[CATALOG_SQL_RUN_BEGIN] =
	    "INSERT INTO run (id, repository, domain, job, started_ms, boot,"
	    " pid, pid_started) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[CATALOG_SQL_RUN_END] =
	    "UPDATE run SET ended_ms = ?2, outcome = ?3, point = ?4,"
	    " message = ?5 WHERE id = ?1 AND outcome IS NULL",
	[CATALOG_SQL_RUN_OPEN] = "SELECT id, boot, pid, pid_started FROM run"
				 " WHERE outcome IS NULL",
	[CATALOG_SQL_RUN_AUDIT] =
	    "UPDATE run SET audited_blocks = audited_blocks + ?2,"
	    " missed_blocks = missed_blocks + ?3 WHERE id = ?1",
	[CATALOG_SQL_AUDITS] = "SELECT coalesce(sum(audited_blocks), 0),"
			       " coalesce(sum(missed_blocks), 0) FROM run"
			       " WHERE repository = ?1 AND domain = ?2",
	[CATALOG_SQL_PACKS] = "SELECT id, seen_ms, checked_ms FROM pack"
			      " WHERE repository = ?1 ORDER BY id",
	[CATALOG_SQL_PACK_SAVE] =
	    "INSERT OR REPLACE INTO pack (repository, id, seen_ms,"
	    " checked_ms) VALUES (?1, ?2, ?3, ?4)",
	[CATALOG_SQL_PACK_REMOVE] =
	    "DELETE FROM pack WHERE repository = ?1 AND id = ?2",
};

static const char *const migrations[] = { schema_catalog_0001,
	schema_catalog_0002 };

static const struct db_schema schema = {
	.name = "catalog",
	.migrations = migrations,
	.version = 2,
	.statements = statements,
	.statement_count = CATALOG_SQL_COUNT,
	.durable = false,
};

/* Renames one of the file's parts; an absent one is fine. */
static int
move_part(const char *path, const char *part, struct err *err)
{
	char *from = NULL, *to = NULL;
	int rc = -1;

	if (asprintf(&from, "%s%s", path, part) == -1)
		from = NULL;
	if (asprintf(&to, "%s.damaged%s", path, part) == -1)
		to = NULL;
	if (from == NULL || to == NULL)
		err_no_memory(err);
	else if (rename(from, to) == -1 && errno != ENOENT)
		err_errno(err, errno, "cannot rename '%s'", from);
	else
		rc = 0;
	free(from);
	free(to);
	return rc;
}

static int
set_aside(const char *path, struct err *err)
{
	log_line(LOG_WARNING,
	    "%s; set aside as '%s.damaged', a new catalog "
	    "is made from the repository",
	    err->text, path);
	err_clear(err);
	if (move_part(path, "", err) == -1 ||
	    move_part(path, "-wal", err) == -1 ||
	    move_part(path, "-shm", err) == -1)
		return -1;
	return 0;
}

static int
open_file(struct catalog *c, const char *path, struct err *err)
{
	if (db_open(&c->db, path, &schema, err) == 0)
		return 0;
	if (err->class != ERR_CORRUPT || set_aside(path, err) == -1)
		return -1;
	return db_open(&c->db, path, &schema, err);
}

int
catalog_open(struct catalog **out, const char *state_dir, struct err *err)
{
	struct catalog *c = NULL;
	char *path = NULL;
	int lock = -1, rc = -1;

	/* The lock keeps a second process from setting aside the new file
	 * that the first has just made. */
	if ((lock = db_lock(state_dir, "catalog", err)) == -1)
		goto out;
	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (path = io_path(state_dir, "catalog.db")) == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (open_file(c, path, err) == -1)
		goto out;
	*out = c;
	c = NULL;
	rc = 0;
out:
	catalog_close(c);
	free(path);
	if (lock != -1)
		close(lock);
	return rc;
}

void
catalog_close(struct catalog *c)
{
	if (c == NULL)
		return;
	db_close(c->db);
	free(c);
}

/* The row's text: the stored form, so that manifest_from_json() checks it, but
 * without the definition, the largest part, which only restore needs. */
static char *
row_text(const struct manifest *m)
{
	json_t *json = manifest_to_json(m, true);
	char *text = NULL;

	if (json != NULL &&
	    json_object_set_new(json, "definition", json_string("")) == 0)
		text = json_text(json, false);
	json_decref(json);
	return text;
}

static int64_t
stored_bytes(const struct manifest *m)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < m->disk_count; i++)
		sum += m->disks[i].stored_bytes;
	return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

static int
bind_point(struct db *db, sqlite3_stmt *add, const char *repository_id,
    const struct manifest *m, struct err *err)
{
	if (db_bind_text(db, add, 1, repository_id, err) == -1 ||
	    db_bind_text(db, add, 2, m->id, err) == -1 ||
	    db_bind_text(db, add, 3, m->parent, err) == -1 ||
	    db_bind_text(db, add, 4, m->domain, err) == -1 ||
	    db_bind_text(db, add, 5, m->uuid, err) == -1 ||
	    db_bind_i64(db, add, 6, m->time_ms, err) == -1 ||
	    db_bind_text(db, add, 7, manifest_kind_name(m->kind), err) == -1 ||
	    db_bind_text(db, add, 8, manifest_consistency_name(m->consistency),
		err) == -1 ||
	    db_bind_i64(db, add, 9, stored_bytes(m), err) == -1)
		return -1;
	return 0;
}

int
catalog_add(struct catalog *c, const char *repository_id,
    const struct manifest *m, struct err *err)
{
	char *text = row_text(m);
	sqlite3_stmt *add;
	int rc = -1;

	if (text == NULL)
		return err_no_memory(err);
	if ((add = db_statement(c->db, CATALOG_SQL_ADD, err)) != NULL &&
	    bind_point(c->db, add, repository_id, m, err) == 0 &&
	    db_bind_text(c->db, add, 10, text, err) == 0)
		rc = db_run(c->db, add, err);
	free(text);
	return rc;
}

int
catalog_remove(struct catalog *c, const char *repository_id,
    const char *point_id, struct err *err)
{
	sqlite3_stmt *remove = db_statement(c->db, CATALOG_SQL_REMOVE, err);

	if (remove == NULL ||
	    db_bind_text(c->db, remove, 1, repository_id, err) == -1 ||
	    db_bind_text(c->db, remove, 2, point_id, err) == -1)
		return -1;
	return db_run(c->db, remove, err);
}
