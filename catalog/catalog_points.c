/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points in their order.  A clock may have been set back between two backups,
 * so a child's place is never before its parent's: points are ordered by the
 * latest time among themselves and their ancestors, then by depth, then id.
 */
#include "catalog/catalog_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"

enum { STATE_UNKNOWN, STATE_WALKED, STATE_KNOWN };

static int
compare_id(const void *a, const void *b)
{
	const struct catalog_node *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static int
compare_order(const void *a, const void *b)
{
	const struct catalog_node *x = a, *y = b;
	int d = strcmp(x->domain, y->domain);

	if (d != 0)
		return d;
	if (x->order_ms != y->order_ms)
		return x->order_ms < y->order_ms ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return strcmp(x->id, y->id);
}

static struct catalog_node *
find_parent(const struct catalog_nodes *nodes, const struct catalog_node *of)
{
	struct catalog_node key, *parent;

	if (of->parent[0] == '\0')
		return NULL;
	memcpy(key.id, of->parent, HEXID_SIZE);
	parent =
	    bsearch(&key, nodes->node, nodes->count, sizeof(key), compare_id);
	if (parent == NULL || strcmp(parent->domain, of->domain) != 0)
		return NULL;
	return parent;
}

static void
place(struct catalog_node *node, const struct catalog_node *parent)
{
	node->order_ms = node->time_ms;
	node->depth = 0;
	/* A parent that is still walked is a circle, which only a forged
	 * manifest can make. */
	if (parent != NULL && parent->state == STATE_KNOWN &&
	    parent->order_ms >= node->time_ms) {
		node->order_ms = parent->order_ms;
		node->depth = parent->depth + 1;
	}
	node->state = STATE_KNOWN;
}

/* Places node after its ancestors; way has room for all nodes. */
static void
place_with_ancestors(struct catalog_nodes *nodes, struct catalog_node *node,
    struct catalog_node **way)
{
	size_t n = 0;

	while (node != NULL && node->state == STATE_UNKNOWN) {
		node->state = STATE_WALKED;
		way[n++] = node;
		node = find_parent(nodes, node);
	}
	while (n > 0) {
		n--;
		place(way[n], find_parent(nodes, way[n]));
	}
}

static int
sort_nodes(struct catalog_nodes *nodes, struct err *err)
{
	struct catalog_node **way;
	size_t i;

	if (nodes->count == 0)
		return 0;
	way = calloc(nodes->count, sizeof(struct catalog_node *));
	if (way == NULL)
		return err_no_memory(err);
	qsort(nodes->node, nodes->count, sizeof(*nodes->node), compare_id);
	for (i = 0; i < nodes->count; i++)
		place_with_ancestors(nodes, &nodes->node[i], way);
	qsort(nodes->node, nodes->count, sizeof(*nodes->node), compare_order);
	free(way);
	return 0;
}

static int
add_node(struct catalog_nodes *nodes, sqlite3_stmt *row, struct err *err)
{
	struct catalog_node *grown, *node;
	const char *parent = db_text(row, 1);
	size_t room;

	if (nodes->count == nodes->room) {
		room = nodes->room == 0 ? 64 : nodes->room * 2;
		grown = reallocarray(nodes->node, room, sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		nodes->node = grown;
		nodes->room = room;
	}
	if (!hexid_valid(db_text(row, 0)))
		return err_set(err, ERR_CORRUPT,
		    "the catalog is damaged: "
		    "'%.64s' is no point's id",
		    db_text(row, 0));
	node = &nodes->node[nodes->count];
	memset(node, 0, sizeof(*node));
	memcpy(node->id, db_text(row, 0), HEXID_SIZE);
	if (hexid_valid(parent))
		memcpy(node->parent, parent, HEXID_SIZE);
	node->time_ms = sqlite3_column_int64(row, 3);
	if ((node->domain = strdup(db_text(row, 2))) == NULL)
		return err_no_memory(err);
	nodes->count++;
	return 0;
}

int
catalog_nodes_read(struct catalog_nodes *out, struct catalog *c,
    const char *repository_id, const char *domain, struct err *err)
{
	sqlite3_stmt *rows = db_statement(c->db, CATALOG_SQL_POINTS, err);
	int more;

	memset(out, 0, sizeof(*out));
	if (rows == NULL ||
	    db_bind_text(c->db, rows, 1, repository_id, err) == -1 ||
	    db_bind_text(c->db, rows, 2, domain, err) == -1)
		return -1;
	while ((more = db_next(c->db, rows, err)) == 1) {
		if (add_node(out, rows, err) == 0)
			continue;
		sqlite3_reset(rows);
		more = -1;
		break;
	}
	if (more == 0 && sort_nodes(out, err) == 0)
		return 0;
	catalog_nodes_fini(out);
	return err->class == ERR_CORRUPT
		   ? err_hint(err, "run 'holdstill catalog rebuild'")
		   : -1;
}

void
catalog_nodes_fini(struct catalog_nodes *nodes)
{
	size_t i;

	for (i = 0; i < nodes->count; i++)
		free(nodes->node[i].domain);
	free(nodes->node);
	memset(nodes, 0, sizeof(*nodes));
}

int
catalog_point(struct manifest **out, struct catalog *c,
    const char *repository_id, const char *id, struct err *err)
{
	struct db *db = c->db;
	sqlite3_stmt *row = db_statement(db, CATALOG_SQL_MANIFEST, err);
	json_t *json = NULL;
	int more, rc = -1;

	*out = NULL;
	if (row == NULL || db_bind_text(db, row, 1, repository_id, err) == -1 ||
	    db_bind_text(db, row, 2, id, err) == -1 ||
	    (more = db_next(db, row, err)) == -1)
		return -1;
	if (more == 0)
		return 0;
	if (json_parse(&json, db_text(row, 0), strlen(db_text(row, 0)), err) ==
	    0)
		rc = manifest_from_json(out, json, err);
	json_decref(json);
	sqlite3_reset(row);
	if (rc == -1 && err->class == ERR_CORRUPT) {
		err_prefix(err, "the catalog's row of point %s", id);
		err_hint(err, "run 'holdstill catalog rebuild'");
	}
	return rc;
}

int
catalog_points(struct catalog *c, const char *repository_id, const char *domain,
    catalog_point_fn *fn, void *arg, struct err *err)
{
	struct catalog_nodes nodes;
	struct manifest *m;
	size_t i;
	int rc = 0, stop = 0;

	if (catalog_nodes_read(&nodes, c, repository_id, domain, err) == -1)
		return -1;
	for (i = 0; i < nodes.count && rc == 0 && stop == 0; i++) {
		rc = catalog_point(&m, c, repository_id, nodes.node[i].id, err);
		if (rc == -1 || m == NULL)
			continue;
		stop = fn(arg, m);
		manifest_free(m);
	}
	catalog_nodes_fini(&nodes);
	return rc;
}
