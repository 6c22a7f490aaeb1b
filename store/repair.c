/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair.  Each step leaves a repository that is no worse, so it may end
 * anywhere: marks first, then copies of what is good, then indexes for what
 * lost its own, and the points' marks last.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "store/repair_internal.h"

/* ---- packs ---- */

static int
mark_packs(struct repair *r, const struct idset *packs, struct err *err)
{
	size_t i;

	for (i = 0; i < packs->count; i++) {
		r->result->packs_marked++;
		if (!r->options->dry_run &&
		    damage_put_pack(
			r->verify.store->backend, packs->ids[i], err) == -1)
			return -1;
	}
	return 0;
}

static bool
is_named(struct repair *r, const uint8_t *pack, struct err *err)
{
	struct pack_table table;
	int found = verify_find_table(&r->verify, pack, &table, err);

	if (found == 1)
		pack_table_fini(&table);
	return found != 0;
}

/* Marks of packs that a prune has given back, and that nobody names. */
static int
drop_pack_marks(struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;
	const struct damage_mark *mark;
	size_t i;

	for (i = 0; i < v->damage.count; i++) {
		mark = &v->damage.marks[i];
		if (mark->of_point || idset_has(&r->present, mark->subject) ||
		    is_named(r, mark->subject, err))
			continue;
		if (damage_remove(v->store->backend, mark, err) == -1)
			return -1;
	}
	return 0;
}

/* ---- small objects ---- */

/* Under another name, byte for byte: nobody reads it there. */
static int
set_aside(
    struct repair *r, enum object_type type, const uint8_t *id, struct err *err)
{
	struct backend *b = r->verify.store->backend;
	char key[OBJECT_KEY_SIZE], aside[OBJECT_KEY_SIZE + 8];
	void *bytes = NULL;
	size_t size;
	int rc;

	object_key(key, type, id);
	if (backend_get_all(b, key, BACKEND_OBJECT_MAX, &bytes, &size, err) ==
	    -1) {
		if (err->class != ERR_NOT_FOUND && err->sys_errno != EIO)
			return -1;
		log_line(LOG_WARNING, "left where it is: %s", err->text);
		err_clear(err);
		return 0;
	}
	snprintf(aside, sizeof(aside), "aside/%s", key);
	rc = backend_put(b, aside, bytes, size, err);
	if (rc == -1 && err->class == ERR_EXISTS) {
		err_clear(err); /* A repair was killed after it. */
		rc = 0;
	}
	if (rc == 0)
		rc = backend_remove(b, key, err);
	r->result->objects_aside += rc == 0;
	free(bytes);
	return rc;
}

static int
set_all_aside(struct repair *r, enum object_type type, const struct idset *ids,
    struct err *err)
{
	size_t i;

	if (r->options->dry_run) {
		r->result->objects_aside += ids->count;
		return 0;
	}
	for (i = 0; i < ids->count; i++)
		if (set_aside(r, type, ids->ids[i], err) == -1)
			return -1;
	return 0;
}

/* Whatever packs the unreadable indexes named get new ones first. */
static int
replace_indexes(struct repair *r, struct err *err)
{
	if (r->verify.bad_indexes.count == 0)
		return 0;
	if (!r->options->dry_run &&
	    store_sync(r->verify.store, SYNC_ADOPT, true, err) == -1)
		return -1;
	return set_all_aside(r, OBJECT_INDEX, &r->verify.bad_indexes, err);
}

/* ---- the whole ---- */

static bool
has_work(const struct repair *r)
{
	const struct verify *v = &r->verify;

	return v->bad_packs.count > 0 || v->missing.count > 0 ||
	       v->bad_indexes.count > 0 || v->bad_points.count > 0 ||
	       v->damage.count > 0 || v->hurt;
}

static int
act(struct repair *r, struct err *err)
{
	struct store *s = r->verify.store;

	if (mark_packs(r, &r->verify.bad_packs, err) == -1 ||
	    mark_packs(r, &r->verify.missing, err) == -1)
		return -1;
	/* From here on nothing that is marked is found. */
	if (!r->options->dry_run && store_sync(s, SYNC_TABLES, true, err) == -1)
		return -1;
	if (repair_salvage(r, err) == -1 || replace_indexes(r, err) == -1 ||
	    set_all_aside(r, OBJECT_MANIFEST, &r->verify.bad_points, err) == -1)
		return -1;
	if (r->options->dry_run)
		return 0;
	if (store_sync(s, SYNC_TABLES, true, err) == -1 ||
	    repair_mark_points(r, err) == -1)
		return -1;
	return drop_pack_marks(r, err);
}

static int
run(struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;

	if (verify_run(v, err) == -1)
		return -1;
	if (v->unsupported) {
		err_set(err, ERR_UNSUPPORTED,
		    "the repository holds objects of a later version");
		return err_hint(err, "use a newer holdstill");
	}
	if (!has_work(r))
		return 0;
	if (idset_list(&r->present, v->store->backend, OBJECT_PACK, err) == -1)
		return -1;
	return act(r, err);
}

int
store_repair(struct store *s, const struct store_repair_options *options,
    store_damage_fn *fn, void *arg, struct store_repair_result *result,
    struct err *err)
{
	const struct store_verify_options verify = {
		.threads = options->threads,
		.hurt = options->hurt,
	};
	struct repair r = { .options = options, .result = result };
	int rc;

	*result = (struct store_repair_result){ .packs_marked = 0 };
	if (verify_init(&r.verify, s, &verify, fn, arg, &result->found, err) ==
	    -1)
		return -1;
	rc = run(&r, err);
	verify_fini(&r.verify);
	idset_fini(&r.present);
	return rc;
}
