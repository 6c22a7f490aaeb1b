/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the catalog share.  Internal to catalog/. */
#ifndef HOLDSTILL_CATALOG_CATALOG_INTERNAL_H
#define HOLDSTILL_CATALOG_CATALOG_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "catalog/db.h"

struct catalog {
	struct db *db;
};

enum catalog_sql {
	CATALOG_SQL_ADD,
	CATALOG_SQL_REMOVE,
	CATALOG_SQL_FORGET_ALL,
	CATALOG_SQL_IDS,
	CATALOG_SQL_POINTS,
	CATALOG_SQL_MANIFEST,
	CATALOG_SQL_PREFIX,
	CATALOG_SQL_DOMAINS,
	CATALOG_SQL_RUN_BEGIN,
	CATALOG_SQL_RUN_END,
	CATALOG_SQL_RUN_OPEN,
	CATALOG_SQL_RUN_AUDIT,
	CATALOG_SQL_AUDITS,
	CATALOG_SQL_PACKS,
	CATALOG_SQL_PACK_SAVE,
	CATALOG_SQL_PACK_REMOVE,
	CATALOG_SQL_COUNT,
};

/* What ordering points needs of each. */
struct catalog_node {
	char id[HEXID_SIZE];
	char parent[HEXID_SIZE];
	char *domain;
	int64_t time_ms;
	/* Time and depth that no child has less of than its parent. */
	int64_t order_ms;
	uint64_t depth;
	int state; /* Of the walk that computes the two. */
};

struct catalog_nodes {
	struct catalog_node *node;
	size_t count, room;
};

/* Points of a domain (NULL: of all) in catalog order; free with _fini. */
int catalog_nodes_read(struct catalog_nodes *out, struct catalog *c,
    const char *repository_id, const char *domain, struct err *err);
void catalog_nodes_fini(struct catalog_nodes *nodes);

#endif
