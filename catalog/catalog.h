/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog: a SQLite cache of the manifests, and the history of jobs.
 * Deleting it costs nothing but the history (R6): every command that reads
 * it syncs it from the repository first.
 *
 * One process opens it many times at once; one thread a handle.
 */
#ifndef HOLDSTILL_CATALOG_CATALOG_H
#define HOLDSTILL_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hexid.h"
#include "store/manifest.h"

struct catalog;
struct err;
struct store;

/*
 * Opens STATE_DIR/catalog.db, making it if absent.  A damaged file is set
 * aside (catalog.db.damaged) and a new one made, with a warning: it is a
 * cache.  A newer schema is ERR_UNSUPPORTED.
 */
int catalog_open(struct catalog **out, const char *state_dir, struct err *err);
void catalog_close(struct catalog *c); /* NULL is allowed. */

/*
 * Makes the catalog's rows of this repository equal to the repository's
 * manifests: reads those it lacks, drops those that are gone.  A manifest
 * that cannot be read is counted and named in a warning, no failure.
 *
 * The catalog remembers what the repository had.  Where the newest point of a
 * domain is gone, and no word says that it was forgotten, a warning names it:
 * the repository may have been set back to an older state.
 */
#define CATALOG_UNREADABLE_MAX 8
struct catalog_sync_result {
	uint64_t added, removed, damaged;
	/* Of damaged: points of which nobody can say whose they are; the
	 * first of them. */
	uint64_t unreadable;
	char unreadable_id[CATALOG_UNREADABLE_MAX][HEXID_SIZE];
	bool newer;        /* A later version has made one of these. */
	bool out_of_reach; /* One may be whole, and was refused or not had. */
	uint64_t newest_gone; /* Domains; their points are in removed. */
};
int catalog_sync(struct catalog *c, struct store *s,
    struct catalog_sync_result *result, struct err *err);

/* Forgets this repository's rows and reads every manifest again. */
int catalog_rebuild(struct catalog *c, struct store *s,
    struct catalog_sync_result *result, struct err *err);

/* After a commit: adds one point without reading the repository. */
int catalog_add(struct catalog *c, const char *repository_id,
    const struct manifest *m, struct err *err);
int catalog_remove(struct catalog *c, const char *repository_id,
    const char *point_id, struct err *err);

/*
 * Points of a repository, ordered by domain, then time; a child stands after
 * its parent even if the clock was set back between them.  domain NULL: of
 * all.  A visit may add and remove points; non-zero from fn ends it, with 0.
 * Manifests come with an empty definition and belong to the catalog.
 */
typedef int catalog_point_fn(void *arg, const struct manifest *m);
int catalog_points(struct catalog *c, const char *repository_id,
    const char *domain, catalog_point_fn *fn, void *arg, struct err *err);

/* One of them; the caller frees *out, NULL: there is none of that id. */
int catalog_point(struct manifest **out, struct catalog *c,
    const char *repository_id, const char *point_id, struct err *err);

/*
 * Resolves a POINT as a person writes it (cli.md): DOMAIN@latest,
 * DOMAIN@TIME, DOMAIN@-N, or the start of an id.  The last '@' counts.  A TIME
 * stands for all of the second, minute or day that it names.  ERR_NOT_FOUND
 * says what is there instead; an ambiguous start is ERR_ARG and lists
 * candidates.
 */
int catalog_resolve(char out_id[HEXID_SIZE], struct catalog *c,
    const char *repository_id, const char *point, struct err *err);

/* ---- history of runs, kept while the catalog lives ---- */

struct catalog_run {
	char id[HEXID_SIZE];
	const char *repository_id;
	const char *domain;
	const char *job; /* The configuration's name, or "". */
	int64_t started_ms;
};
/* The run belongs to the calling process. */
int catalog_run_begin(
    struct catalog *c, const struct catalog_run *run, struct err *err);
/* outcome: "done", "demoted", "failed", "cancelled"; point "" if none. */
int catalog_run_end(struct catalog *c, const char *run_id, const char *outcome,
    const char *point_id, const char *message, struct err *err);
/* Notes how many blocks an audit of the run read, and how many of them had
 * changed though they were not said to; adds to what is there. */
int catalog_run_audit(struct catalog *c, const char *run_id, uint64_t audited,
    uint64_t missed, struct err *err);
/* The sums over all runs of a domain. */
int catalog_audits(uint64_t *audited, uint64_t *missed, struct catalog *c,
    const char *repository_id, const char *domain, struct err *err);
/* Closes runs of dead processes as "interrupted"; recovery calls it. */
int catalog_runs_close_dead(
    struct catalog *c, uint64_t *closed, struct err *err);

/* ---- when packs were checked, kept while the catalog lives ---- */

struct catalog_pack {
	char id[HEXID_SIZE];
	/* When a verify of this host first met it, and when it was last found
	 * whole (0: never). */
	int64_t seen_ms, checked_ms;
};
/* In the order of the ids.  Non-zero from fn ends it and is returned. */
typedef int catalog_pack_fn(
    void *arg, const struct catalog_pack *pack, struct err *err);
int catalog_packs(struct catalog *c, const char *repository_id,
    catalog_pack_fn *fn, void *arg, struct err *err);
/* Writes all of them, or none; those with seen_ms 0 are forgotten. */
int catalog_packs_save(struct catalog *c, const char *repository_id,
    const struct catalog_pack *packs, size_t count, struct err *err);

#endif
