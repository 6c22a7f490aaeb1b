/* SPDX-License-Identifier: Apache-2.0 */
/* Making the catalog's rows equal to the repository's manifests. */
#include "catalog/catalog_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/err.h"
#include "common/log.h"
#include "store/store.h"

struct ids {
	char (*id)[HEXID_SIZE];
	size_t count, room;
	uint64_t strange; /* Names in the repository that are no ids. */
	bool failed;      /* Out of memory. */
};

static int
ids_add(struct ids *ids, const char *id)
{
	void *grown;

	if (ids->count == ids->room) {
		size_t room = ids->room == 0 ? 256 : ids->room * 2;

		grown = reallocarray(ids->id, room, sizeof(*ids->id));
		if (grown == NULL)
			return -1;
		ids->id = grown;
		ids->room = room;
	}
	memcpy(ids->id[ids->count++], id, HEXID_SIZE);
	return 0;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, HEXID_SIZE);
}

static bool
ids_have(const struct ids *ids, const char *id)
{
	return ids->count > 0 && bsearch(id, ids->id, ids->count, HEXID_SIZE,
				     compare_ids) != NULL;
}

static int
visit_point(void *arg, const char *id)
{
	struct ids *ids = arg;

	if (!hexid_valid(id)) {
		log_line(LOG_WARNING, "'%.64s' is no point's name", id);
		ids->strange++;
		return 0;
	}
	if (ids_add(ids, id) == -1)
		ids->failed = true;
	return ids->failed;
}

static int
read_stored(struct ids *out, struct store *s, struct err *err)
{
	if (store_points(s, visit_point, out, err) == -1)
		return -1;
	if (out->failed)
		return err_no_memory(err);
	if (out->count > 0)
		qsort(out->id, out->count, HEXID_SIZE, compare_ids);
	return 0;
}

/* Ids of the catalog's rows, sorted. */
static int
read_known(struct ids *out, struct catalog *c, const char *repository_id,
    struct err *err)
{
	sqlite3_stmt *rows = db_statement(c->db, CATALOG_SQL_IDS, err);
	char id[HEXID_SIZE];
	int more;

	if (rows == NULL ||
	    db_bind_text(c->db, rows, 1, repository_id, err) == -1)
		return -1;
	while ((more = db_next(c->db, rows, err)) == 1) {
		if (!hexid_valid(db_text(rows, 0)))
			continue;
		memcpy(id, db_text(rows, 0), HEXID_SIZE);
		if (ids_add(out, id) == -1) {
			sqlite3_reset(rows);
			return err_no_memory(err);
		}
	}
	return more;
}

/* A damaged manifest is the repository's trouble, not the catalog's. */
static bool hurts_one_point_only(enum err_class class)
{
	return class == ERR_CORRUPT || class == ERR_IO || class == ERR_AUTH ||
	       class == ERR_UNSUPPORTED || class == ERR_ARG;
}

/* A host that may only add knows its own points. */
static bool
is_others(const struct store *s, const struct err *err)
{
	return err->class == ERR_AUTH && store_is_host(s);
}

static void
note_unreadable(
    struct catalog_sync_result *result, const char *id, enum err_class why)
{
	result->newer = result->newer || why == ERR_UNSUPPORTED;
	result->out_of_reach =
	    result->out_of_reach || why == ERR_IO || why == ERR_AUTH;
	if (result->unreadable < CATALOG_UNREADABLE_MAX)
		memcpy(
		    result->unreadable_id[result->unreadable], id, HEXID_SIZE);
	result->unreadable++;
	result->damaged++;
}

static int
add_stored(struct catalog *c, struct store *s, const char *id,
    struct catalog_sync_result *result, struct err *err)
{
	struct manifest *m = NULL;
	int rc;

	if (cancel_check(err) == -1)
		return -1;
	if (store_manifest_read(&m, s, id, err) == -1) {
		/* Forgotten by another process since it was listed. */
		if (err->class == ERR_NOT_FOUND || is_others(s, err)) {
			err_clear(err);
			return 0;
		}
		if (!hurts_one_point_only(err->class))
			return -1;
		log_line(
		    LOG_WARNING, "point %s cannot be read: %s", id, err->text);
		note_unreadable(result, id, err->class);
		err_clear(err);
		return 0;
	}
	if (strcmp(m->id, id) != 0) {
		log_line(LOG_WARNING,
		    "point %s calls itself %s; it is left out", id, m->id);
		note_unreadable(result, id, ERR_CORRUPT);
		rc = 0;
	} else if ((rc = catalog_add(c, store_id(s), m, err)) == 0) {
		result->added++;
	}
	manifest_free(m);
	return rc;
}

static bool
any_gone(const struct ids *known, const struct ids *stored)
{
	size_t i;

	for (i = 0; i < known->count; i++) {
		if (!ids_have(stored, known->id[i]))
			return true;
	}
	return false;
}

/* Who forgets a point leaves a word on it (docs/prune.md). */
static int
warn_if_unsaid(struct store *s, const struct catalog_node *node,
    struct catalog_sync_result *result, struct err *err)
{
	int rc = store_point_was_forgotten(s, node->id, err);

	if (rc != 0 && (rc == 1 || !hurts_one_point_only(err->class)))
		return rc == 1 ? 0 : -1;
	err_clear(err);
	log_line(LOG_WARNING,
	    "the newest point of '%s' that this host knows, %s, is gone, and "
	    "nobody has forgotten it: the repository was set back to an older "
	    "state, or somebody removes objects from it",
	    node->domain, node->id);
	result->newest_gone++;
	return 0;
}

/* Who sets a repository back takes the newest away. */
static int
warn_of_newest(struct catalog *c, struct store *s, const struct ids *stored,
    struct catalog_sync_result *result, struct err *err)
{
	const struct catalog_node *node;
	struct catalog_nodes nodes;
	size_t i;
	int rc = 0;

	if (catalog_nodes_read(&nodes, c, store_id(s), NULL, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < nodes.count; i++) {
		node = &nodes.node[i];
		if ((i + 1 == nodes.count ||
			strcmp(node->domain, nodes.node[i + 1].domain) != 0) &&
		    !ids_have(stored, node->id))
			rc = warn_if_unsaid(s, node, result, err);
	}
	catalog_nodes_fini(&nodes);
	return rc;
}

static int
apply(struct catalog *c, struct store *s, const struct ids *known,
    const struct ids *stored, struct catalog_sync_result *result,
    struct err *err)
{
	size_t i;

	if (any_gone(known, stored) &&
	    warn_of_newest(c, s, stored, result, err) == -1)
		return -1;
	for (i = 0; i < known->count; i++) {
		if (ids_have(stored, known->id[i]))
			continue;
		if (catalog_remove(c, store_id(s), known->id[i], err) == -1)
			return -1;
		result->removed++;
	}
	for (i = 0; i < stored->count; i++)
		if (!ids_have(known, stored->id[i]) &&
		    add_stored(c, s, stored->id[i], result, err) == -1)
			return -1;
	return 0;
}

int
catalog_sync(struct catalog *c, struct store *s,
    struct catalog_sync_result *result, struct err *err)
{
	struct ids known = { 0 }, stored = { 0 };
	int rc = -1;

	memset(result, 0, sizeof(*result));
	/*
	 * Known first: a point that another process commits meanwhile is then
	 * at worst read twice; the other way round its row would be dropped.
	 */
	if (read_known(&known, c, store_id(s), err) == 0 &&
	    read_stored(&stored, s, err) == 0)
		rc = apply(c, s, &known, &stored, result, err);
	result->damaged += stored.strange;
	free(known.id);
	free(stored.id);
	return rc;
}

int
catalog_rebuild(struct catalog *c, struct store *s,
    struct catalog_sync_result *result, struct err *err)
{
	sqlite3_stmt *all = db_statement(c->db, CATALOG_SQL_FORGET_ALL, err);

	if (all == NULL ||
	    db_bind_text(c->db, all, 1, store_id(s), err) == -1 ||
	    db_run(c->db, all, err) == -1)
		return -1;
	return catalog_sync(c, s, result, err);
}
