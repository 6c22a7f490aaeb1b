/* SPDX-License-Identifier: Apache-2.0 */
/* When packs were checked. */
#include "catalog/catalog_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

int
catalog_packs(struct catalog *c, const char *repository_id, catalog_pack_fn *fn,
    void *arg, struct err *err)
{
	sqlite3_stmt *rows = db_statement(c->db, CATALOG_SQL_PACKS, err);
	struct catalog_pack pack;
	int more, rc = 0;

	if (rows == NULL ||
	    db_bind_text(c->db, rows, 1, repository_id, err) == -1)
		return -1;
	while (rc == 0 && (more = db_next(c->db, rows, err)) != 0) {
		if (more == -1)
			return -1;
		if (!hexid_valid(db_text(rows, 0)))
			continue;
		memcpy(pack.id, db_text(rows, 0), sizeof(pack.id));
		pack.seen_ms = sqlite3_column_int64(rows, 1);
		pack.checked_ms = sqlite3_column_int64(rows, 2);
		rc = fn(arg, &pack, err);
	}
	sqlite3_reset(rows);
	return rc;
}

static int
save_one(struct db *db, const char *repository_id,
    const struct catalog_pack *pack, struct err *err)
{
	bool gone = pack->seen_ms == 0;
	sqlite3_stmt *save = db_statement(
	    db, gone ? CATALOG_SQL_PACK_REMOVE : CATALOG_SQL_PACK_SAVE, err);

	if (save == NULL ||
	    db_bind_text(db, save, 1, repository_id, err) == -1 ||
	    db_bind_text(db, save, 2, pack->id, err) == -1 ||
	    (!gone &&
		(db_bind_i64(db, save, 3, pack->seen_ms, err) == -1 ||
		    db_bind_i64(db, save, 4, pack->checked_ms, err) == -1)))
		return -1;
	return db_run(db, save, err);
}

int
catalog_packs_save(struct catalog *c, const char *repository_id,
    const struct catalog_pack *packs, size_t count, struct err *err)
{
	size_t i;
	int rc = 0;

	if (count == 0)
		return 0;
	if (db_begin(c->db, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++)
		rc = save_one(c->db, repository_id, &packs[i], err);
	return db_end(c->db, rc, err);
}
