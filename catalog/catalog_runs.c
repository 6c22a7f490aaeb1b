/* SPDX-License-Identifier: Apache-2.0 */
/* The history of runs. */
#include "catalog/catalog_internal.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/owner.h"
#include "common/clock.h"
#include "common/err.h"

int
catalog_run_begin(
    struct catalog *c, const struct catalog_run *run, struct err *err)
{
	struct db *db = c->db;
	struct owner owner;
	sqlite3_stmt *begin;

	if (owner_self(&owner, err) == -1 ||
	    (begin = db_statement(db, CATALOG_SQL_RUN_BEGIN, err)) == NULL ||
	    db_bind_text(db, begin, 1, run->id, err) == -1 ||
	    db_bind_text(db, begin, 2, run->repository_id, err) == -1 ||
	    db_bind_text(db, begin, 3, run->domain, err) == -1 ||
	    db_bind_text(db, begin, 4, run->job, err) == -1 ||
	    db_bind_i64(db, begin, 5, run->started_ms, err) == -1 ||
	    db_bind_owner(db, begin, 6, &owner, err) == -1)
		return -1;
	return db_run(db, begin, err);
}

int
catalog_run_end(struct catalog *c, const char *run_id, const char *outcome,
    const char *point_id, const char *message, struct err *err)
{
	struct db *db = c->db;
	sqlite3_stmt *end = db_statement(db, CATALOG_SQL_RUN_END, err);

	if (end == NULL || db_bind_text(db, end, 1, run_id, err) == -1 ||
	    db_bind_i64(db, end, 2, clock_wall_ms(), err) == -1 ||
	    db_bind_text(db, end, 3, outcome, err) == -1 ||
	    db_bind_text(db, end, 4, point_id, err) == -1 ||
	    db_bind_text(db, end, 5, message, err) == -1)
		return -1;
	return db_run(db, end, err);
}

int
catalog_run_audit(struct catalog *c, const char *run_id, uint64_t audited,
    uint64_t missed, struct err *err)
{
	struct db *db = c->db;
	sqlite3_stmt *note = db_statement(db, CATALOG_SQL_RUN_AUDIT, err);

	if (note == NULL || db_bind_text(db, note, 1, run_id, err) == -1 ||
	    db_bind_i64(db, note, 2, (int64_t)audited, err) == -1 ||
	    db_bind_i64(db, note, 3, (int64_t)missed, err) == -1)
		return -1;
	return db_run(db, note, err);
}

int
catalog_audits(uint64_t *audited, uint64_t *missed, struct catalog *c,
    const char *repository_id, const char *domain, struct err *err)
{
	sqlite3_stmt *sum = db_statement(c->db, CATALOG_SQL_AUDITS, err);

	if (sum == NULL ||
	    db_bind_text(c->db, sum, 1, repository_id, err) == -1 ||
	    db_bind_text(c->db, sum, 2, domain, err) == -1 ||
	    db_next(c->db, sum, err) != 1)
		return -1;
	*audited = (uint64_t)sqlite3_column_int64(sum, 0);
	*missed = (uint64_t)sqlite3_column_int64(sum, 1);
	sqlite3_reset(sum);
	return 0;
}

/* Finds one unended run of a dead process: 1, 0, or -1. */
static int
find_dead(char out[HEXID_SIZE], struct catalog *c, struct err *err)
{
	sqlite3_stmt *rows = db_statement(c->db, CATALOG_SQL_RUN_OPEN, err);
	struct owner owner;
	int more;

	if (rows == NULL)
		return -1;
	while ((more = db_next(c->db, rows, err)) == 1) {
		db_owner(&owner, rows, 1);
		if (!hexid_valid(db_text(rows, 0)) || owner_alive(&owner))
			continue;
		memcpy(out, db_text(rows, 0), HEXID_SIZE);
		sqlite3_reset(rows);
		return 1;
	}
	return more;
}

int
catalog_runs_close_dead(struct catalog *c, uint64_t *closed, struct err *err)
{
	char id[HEXID_SIZE];
	int found;

	*closed = 0;
	while ((found = find_dead(id, c, err)) == 1) {
		if (catalog_run_end(c, id, "interrupted", "",
			"the process died", err) == -1)
			return -1;
		++*closed;
	}
	return found;
}
