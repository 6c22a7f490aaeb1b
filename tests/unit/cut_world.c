/* SPDX-License-Identifier: Apache-2.0 */
/* What was promised before a cut, and whether it holds after it. */
#include "tests/unit/cut_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/cut_recorder.h"

struct cut_counts cut_world_counts;

/* ---- what was promised ---- */

static struct cut_point *
point_of(struct cut_world *w, const char *id)
{
	size_t i;

	for (i = 0; i < w->point_count; i++)
		if (strcmp(w->points[i].id, id) == 0)
			return &w->points[i];
	return NULL;
}

static void
add_point(struct cut_world *w, const char *id, uint64_t hash)
{
	struct cut_point *p = &w->points[w->point_count++];

	assert_true(w->point_count < CUT_POINTS_MAX);
	*p = (struct cut_point){ .hash = hash, .promise = CUT_KEPT };
	memcpy(p->id, id, HEXID_SIZE);
	cut_world_counts.points++;
}

static void
forgets(struct cut_world *w, const char *id, enum cut_promise promise)
{
	struct cut_point *p = point_of(w, id);

	if (p != NULL && p->promise != CUT_GONE)
		p->promise = w->pruned ? CUT_GONE : promise;
}

static void
prunes(struct cut_world *w)
{
	size_t i;

	w->pruned = true;
	for (i = 0; i < w->point_count; i++)
		if (w->points[i].promise == CUT_EITHER ||
		    w->points[i].promise == CUT_FORGOTTEN)
			w->points[i].promise = CUT_GONE;
}

static void
effects(struct cut_world *w, const struct cut_note *n)
{
	struct cut_effect *e = w->effects;

	while (e < w->effects + w->effect_count && e->number != n->number)
		e++;
	if (e == w->effects + w->effect_count) {
		assert_true(w->effect_count++ < CUT_EFFECTS_MAX);
		e->number = n->number;
	}
	e->must_be = n->kind == CUT_NOTE_EFFECT;
	e->may_be = n->kind != CUT_NOTE_STRUCK;
	e->seen = false;
}

static void
take_note(struct cut_world *w, const struct cut_note *n)
{
	switch (n->kind) {
	case CUT_NOTE_INIT:
		w->made = true;
		break;
	case CUT_NOTE_BEGIN:
		assert_true(w->begun_count < CUT_BEGUN_MAX);
		w->begun[w->begun_count++] = n->number;
		break;
	case CUT_NOTE_DONE:
		add_point(w, n->id, n->number);
		break;
	case CUT_NOTE_FORGET:
		forgets(w, n->id, CUT_EITHER);
		break;
	case CUT_NOTE_FORGOTTEN:
		forgets(w, n->id, CUT_FORGOTTEN);
		break;
	case CUT_NOTE_PRUNE:
		prunes(w);
		break;
	case CUT_NOTE_EFFECT:
	case CUT_NOTE_STRIKE:
	case CUT_NOTE_STRUCK:
		effects(w, n);
		break;
	}
}

void
cut_world_take_notes(struct cut_world *w, size_t records)
{
	const struct cut_record *r = NULL;
	struct cut_note n;
	size_t i;

	w->pruned = false;
	for (i = 0; i < records && (r = cut_recorder_next(r)) != NULL; i++) {
		if (r->op != CUT_NOTE)
			continue;
		memcpy(&n, cut_record_data(r), sizeof(n));
		take_note(w, &n);
	}
}

/* ---- whether it holds ---- */

static void
restores(struct cut_world *w, struct store *s, struct cut_point *p)
{
	struct err err = ERR_INIT;
	struct manifest *m = NULL;
	struct image got = { .bytes = NULL };
	size_t i;

	if (store_manifest_read(&m, s, p->id, &err) == -1 ||
	    rig_read(s, m, &got, &err) == -1)
		fail_msg("point %s: %s", p->id, err.text);
	if (p->hash == 0) {
		p->hash = cut_hash(&got);
		for (i = 0; i < w->begun_count && w->begun[i] != p->hash; i++)
			;
		assert_true(i < w->begun_count);
	}
	if (cut_hash(&got) != p->hash)
		fail_msg("point %s restores to other bytes", p->id);
	image_fini(&got);
	manifest_free(m);
	cut_world_counts.restores++;
}

static void
restore_all(struct cut_world *w, struct store *s)
{
	size_t i;

	for (i = 0; i < w->point_count; i++)
		if (w->points[i].promise == CUT_KEPT)
			restores(w, s, &w->points[i]);
}

static int
list_one(void *arg, const char *id)
{
	struct cut_world *w = arg;
	struct cut_point *p = point_of(w, id);

	if (p == NULL) {
		/* Not reported before the cut, and there all the same. */
		add_point(w, id, 0);
		cut_world_counts.late++;
		p = point_of(w, id);
	}
	p->listed = true;
	return 0;
}

/* A manifest that says that the point was given up is listed, too. */
static bool
was_given_up(struct store *s, const char *id)
{
	struct err err = ERR_INIT;
	struct manifest *m = NULL;

	if (store_manifest_read(&m, s, id, &err) == 0) {
		manifest_free(m);
		return false;
	}
	return err.class == ERR_NOT_FOUND;
}

static void
judge_point(struct cut_world *w, struct store *s, struct cut_point *p)
{
	struct err err = ERR_INIT;

	if (p->promise == CUT_KEPT && p->hash == 0 && was_given_up(s, p->id)) {
		p->promise = CUT_GONE;
		p->listed = false;
	}
	if (p->promise == CUT_KEPT && !p->listed)
		fail_msg("point %s was reported done and is gone", p->id);
	if (p->promise == CUT_FORGOTTEN && p->listed)
		fail_msg("point %s was forgotten and is back", p->id);
	if (p->promise == CUT_HURT)
		return;
	if (!p->listed && store_point_unforget(s, p->id, &err) == -1) {
		if (p->promise != CUT_GONE)
			fail_msg("point %s: %s", p->id, err.text);
		return;
	}
	p->promise = CUT_KEPT;
	p->listed = true;
	restores(w, s, p);
}

static void
check_points(struct cut_world *w, struct store *s)
{
	struct err err = ERR_INIT;
	size_t i, kept = 0;

	for (i = 0; i < w->point_count; i++)
		w->points[i].listed = false;
	if (store_points(s, list_one, w, &err) == -1)
		fail_msg("list: %s", err.text);
	for (i = 0; i < w->point_count; i++)
		judge_point(w, s, &w->points[i]);
	for (i = 0; i < w->point_count; i++)
		if (w->points[i].promise != CUT_GONE)
			w->points[kept++] = w->points[i];
	w->point_count = kept;
	w->begun_count = 0;
}

static int
see_effect(void *arg, const struct journal_effect *effect)
{
	struct cut_world *w = arg;
	uint64_t number = strtoull(effect->subject, NULL, 10);
	size_t i;

	for (i = 0; i < w->effect_count; i++)
		if (w->effects[i].number == number)
			w->effects[i].seen = true;
	return 0;
}

static int
strike_effect(void *arg, const struct journal_effect *effect)
{
	struct err err = ERR_INIT;

	assert_int_equal(journal_strike(arg, effect->id, &err), 0);
	return 0;
}

static void
check_journal(struct cut_world *w, struct journal *j)
{
	struct err err = ERR_INIT;

	if (journal_leftovers(j, NULL, see_effect, w, &err) == -1 ||
	    journal_leftovers(j, NULL, strike_effect, j, &err) == -1)
		fail_msg("journal: %s", err.text);
}

static void
judge_effects(struct cut_world *w)
{
	const struct cut_effect *e;

	for (e = w->effects; e < w->effects + w->effect_count; e++) {
		if (e->must_be && !e->seen)
			fail_msg("an effect was journalled and is gone");
		if (!e->may_be && e->seen)
			fail_msg("an effect was struck and is back");
		cut_world_counts.effects++;
	}
	w->effect_count = 0;
}

static int
count_row(void *arg, const struct manifest *m)
{
	(void)m;
	++*(size_t *)arg;
	return 0;
}

static void
check_catalog(struct cut_world *w, struct cut_host *h)
{
	struct catalog_sync_result result;
	struct err err = ERR_INIT;
	size_t i, rows = 0, listed = 0;

	if (catalog_sync(h->catalog, h->store, &result, &err) == -1 ||
	    catalog_points(h->catalog, store_id(h->store), NULL, count_row,
		&rows, &err) == -1)
		fail_msg("catalog: %s", err.text);
	for (i = 0; i < w->point_count; i++)
		listed += w->points[i].listed;
	assert_int_equal(rows, listed);
	assert_int_equal(result.damaged, 0);
	/* No false alarm that somebody has set the repository back. */
	assert_int_equal(result.newest_gone, 0);
}

static void
see_damage(void *arg, const struct store_damage *damage)
{
	struct cut_world *w = arg;
	const struct cut_point *p = point_of(w, damage->point);

	if (!w->damaged || (p != NULL && p->promise == CUT_KEPT))
		fail_msg("%s: %s, hurts '%s'", damage->object, damage->what,
		    damage->point);
}

static void
check_whole(struct cut_world *w, struct store *s)
{
	const struct store_verify_options options = { .threads = 2 };
	struct store_verify_result result;
	struct err err = ERR_INIT;

	if (store_verify(s, &options, see_damage, w, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
}

/* One that was cut may have copied and not yet marked: to a prune a pack that
 * nobody has marked is as good as its copy. */
static void
repair(struct store *s)
{
	const struct store_repair_options options = { .threads = 2 };
	struct store_repair_result result;
	struct err err = ERR_INIT;

	if (store_repair(s, &options, NULL, NULL, &result, &err) == -1)
		fail_msg("repair: %s", err.text);
}

/* The next ones work, and harm nothing. */
static void
go_on(struct cut_world *w, struct cut_host *h)
{
	struct store_prune_result pruned;
	struct err err = ERR_INIT;
	struct manifest *m = NULL;
	const char *base = NULL;
	size_t i;

	for (i = 0; i < w->point_count; i++)
		if (w->points[i].promise == CUT_KEPT)
			base = w->points[i].id;
	if (cut_backup(h, &m, cut_draw(&w->random, 2) ? base : NULL, &w->random,
		&err) == -1)
		fail_msg("the next backup: %s", err.text);
	manifest_free(m);
	cut_world_take_notes(w, cut_recorder_count());
	if (rig_prune(h->store, &pruned, &err) == -1)
		fail_msg("the next prune: %s", err.text);
}

void
cut_world_open_host(struct cut_world *w, struct cut_host *h, const char *name)
{
	struct err err = ERR_INIT;

	if (cut_host_open(h, &w->rig, w->root, name, &err) == -1)
		fail_msg("%s: %s", name, err.text);
	check_journal(w, h->journal);
}

/* The machine comes up again: nobody has run since the cut. */
void
cut_world_check(struct cut_world *w)
{
	struct err err = ERR_INIT;
	struct cut_host a, b;

	if (!w->made && cut_init(&w->rig, &err) == -1 &&
	    err.class != ERR_EXISTS)
		fail_msg("init: %s", err.text);
	w->made = true;
	cut_world_open_host(w, &a, "host1");
	cut_world_open_host(w, &b, "host2");
	judge_effects(w);
	check_points(w, a.store);
	if (w->repairing)
		repair(a.store);
	w->repairing = false;
	check_catalog(w, &a);
	check_catalog(w, &b);
	check_whole(w, b.store);
	go_on(w, &a);
	restore_all(w, b.store);
	check_whole(w, a.store);
	cut_host_close(&a);
	cut_host_close(&b);
}
