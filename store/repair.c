/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair.  Each step leaves a repository that is no worse, so it may end
 * anywhere: copies of what is good first, then marks of what was copied from,
 * then indexes for what lost its own, and the points' marks last.
 */
#include <stdlib.h>
#include <string.h>

#include "store/host.h"
#include "store/repair_internal.h"

/* ---- packs ---- */

/* 1, 0, -1.  A prune may have removed it since, a listing may have missed it. */
static int
is_there(struct repair *r, const uint8_t *pack, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	return backend_has(r->verify.store->backend,
	    object_key(key, OBJECT_PACK, pack), NULL, err);
}

static int
mark_packs(
    struct repair *r, const struct idset *packs, bool there, struct err *err)
{
	const struct store *s = r->verify.store;
	size_t i;
	int rc;

	for (i = 0; i < packs->count; i++) {
		if ((rc = is_there(r, packs->ids[i], err)) == -1)
			return -1;
		if ((rc == 1) != there)
			continue;
		r->result->packs_marked++;
		if (!r->options->dry_run && damage_put_pack(s->backend, s->seal,
						packs->ids[i], err) == -1)
			return -1;
	}
	return 0;
}

/* 1, 0, -1. */
static int
is_named(struct repair *r, const uint8_t *pack, struct err *err)
{
	struct pack_table table;
	int found = verify_find_table(&r->verify, pack, &table, err);

	if (found == 1)
		pack_table_fini(&table);
	return found;
}

/*
 * Marks of packs that a prune has given back.  While points are hurt, those
 * of packs that an index still names stay: the next backup is to look at what
 * it builds on.
 */
static int
drop_pack_marks(struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;
	const struct damage_mark *mark;
	int named = 0;
	size_t i;

	for (i = 0; i < v->damage.count; i++) {
		mark = &v->damage.marks[i];
		if (mark->of_point || idset_has(&r->present, mark->subject))
			continue;
		if (r->any_hurt &&
		    (named = is_named(r, mark->subject, err)) == -1)
			return -1;
		if (named == 1)
			continue;
		if (damage_remove(v->store->backend, mark, err) == -1)
			return -1;
	}
	return 0;
}

/* An index may go on naming what a prune has removed: only those packs are
 * missing from which a point needs something. */
static int
keep_needed(struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;
	size_t i;

	idset_fini(&v->missing);
	for (i = 0; i < v->lost_count; i++)
		if (v->lost[i].told &&
		    !idset_has(&v->missing, v->lost[i].pack)) {
			if (idset_add(&v->missing, v->lost[i].pack, err) == -1)
				return -1;
			idset_sort(&v->missing);
		}
	return 0;
}

/* ---- the whole ---- */

static bool
has_work(const struct repair *r)
{
	const struct verify *v = &r->verify;

	return v->bad_packs.count > 0 || v->missing.count > 0 ||
	       v->bad_indexes.count > 0 || v->bad_points.count > 0 ||
	       v->damage.count > 0 || v->damage.bad.count > 0 || v->hurt ||
	       v->bad_small_count > 0 || v->bad_chain || v->strays.count > 0;
}

static int
act(struct repair *r, struct err *err)
{
	struct store *s = r->verify.store;

	/* From here on nothing that will be marked is found by us.  Others
	 * find it until there are copies: what is good in it is in use. */
	s->hidden = &r->verify.bad_packs;
	if (store_sync(s, SYNC_TABLES, true, err) == -1 ||
	    repair_salvage(r, err) == -1 ||
	    mark_packs(r, &r->verify.bad_packs, true, err) == -1 ||
	    mark_packs(r, &r->verify.missing, false, err) == -1 ||
	    repair_aside_indexes(r, err) == -1 ||
	    repair_aside_points(r, err) == -1 ||
	    repair_aside_marks(r, err) == -1)
		return -1;
	if (r->options->dry_run)
		return 0;
	if (store_sync(s, SYNC_TABLES, true, err) == -1 ||
	    repair_mark_points(r, err) == -1)
		return -1;
	return drop_pack_marks(r, err);
}

/* Nobody is to take the packs that are put here, nor those that were found
 * while they are copied from: a session like any other, but without a point. */
static int
begin_session(struct repair *r, struct err *err)
{
	const struct store_session_options options = { .points = 1 };

	if ((r->session = calloc(1, sizeof(*r->session))) == NULL)
		return err_no_memory(err);
	r->session->store = r->verify.store;
	return session_register(r->session, &options, err);
}

static void
end_session(struct repair *r)
{
	if (r->session == NULL)
		return;
	session_unregister(r->session);
	epoch_fini(&r->session->epoch);
	free(r->session);
}

static int
run(struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;

	if (verify_run(v, err) == -1 || keep_needed(r, err) == -1)
		return -1;
	if (v->unsupported) {
		err_set(err, ERR_UNSUPPORTED,
		    "the repository holds objects of a later version");
		return err_hint(err, "use a newer holdstill");
	}
	if (!has_work(r))
		return 0;
	if (repair_ledger(r, err) == -1 ||
	    (!r->options->dry_run && begin_session(r, err) == -1))
		return -1;
	if (idset_list(&r->present, v->store->backend, OBJECT_PACK, err) == -1)
		return -1;
	if (act(r, err) == -1)
		return -1;
	return repair_enter_strays(r, err);
}

/* What this repair has no remedy for. */
static bool
stays(const char *key)
{
	return strncmp(key, "keys/", 5) == 0 || strcmp(key, "config") == 0;
}

static void
pass_damage(void *arg, const struct store_damage *damage)
{
	struct repair *r = arg;

	r->result->objects_left += stays(damage->object);
	if (r->fn != NULL)
		r->fn(r->arg, damage);
}

static void
pass_hurt(void *arg, const struct store_hurt *hurt)
{
	struct repair *r = arg;

	if (r->options->hurt != NULL)
		r->options->hurt(r->arg, hurt);
}

int
store_repair(struct store *s, const struct store_repair_options *options,
    store_damage_fn *fn, void *arg, struct store_repair_result *result,
    struct err *err)
{
	const struct store_verify_options verify = {
		.threads = options->threads,
		.hurt = pass_hurt,
	};
	struct repair r = {
		.options = options, .result = result, .fn = fn, .arg = arg
	};
	int rc;

	*result = (struct store_repair_result){ .packs_marked = 0 };
	if (host_refuse(s, "nothing can be repaired", err) == -1 ||
	    verify_init(&r.verify, s, &verify, pass_damage, &r, &result->found,
		err) == -1)
		return -1;
	rc = run(&r, err);
	end_session(&r);
	verify_fini(&r.verify);
	/* What this host knows by heart lacks the marks that are new. */
	if (rc == 0 && !options->dry_run)
		rc = store_sync(s, SYNC_TABLES, false, err);
	idset_fini(&r.present);
	return rc;
}
