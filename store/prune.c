/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A prune beside backups and other prunes: rounds, until one has nothing to
 * do.  All that a round decides is void unless it puts the next epoch, so one
 * that dies needs no care (docs/prune.md).
 */
#include "store/host.h"
#include "store/prune.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* Of rounds in which others were faster, or took away what was walked. */
#define ROUNDS_MAX 200
#define MISSES_MAX 4

void
prune_tell(struct prune *p, const char *what, uint64_t done, uint64_t total)
{
	if (p->options->progress != NULL)
		p->options->progress(p->options->arg, what, done, total);
}

static void
round_fini(struct prune *p)
{
	prune_load_fini(p);
	prune_look_fini(p);
	damage_fini(&p->damage);
	epoch_fini(&p->epoch);
	epoch_fini(&p->next);
	ownpacks_fini(&p->own);
}

enum outcome { ROUND_DONE, ROUND_AGAIN, ROUND_MISSED };

static int
begin_round(struct prune *p, struct err *err)
{
	bool dry_run = p->options->dry_run;

	/* What is noted of its own packs is dated by an epoch that stays. */
	if (epochs_newest(&p->epoch, p->store, err) == -1 ||
	    (!dry_run && epochs_settle(p->store, &p->epoch, err) == -1) ||
	    prune_find_own(p, err) == -1)
		return -1;
	if (dry_run)
		return 0;
	/* First of all: whoever put the epoch may have died before this. */
	if (p->epoch.number > 0 &&
	    sessions_seal(p->store, p->epoch.number - 1, err) == -1)
		return -1;
	return prune_remove_doomed(p, err);
}

/* Points are read before packs and indexes are listed: those that a point
 * needs were put before it. */
static int
learn(struct prune *p, struct err *err)
{
	if (damage_load_sure(
		&p->damage, p->store->backend, p->store->seal, err) == -1 ||
	    prune_look(p, err) == -1 || prune_load(p, err) == -1)
		return -1;
	return prune_walk(p, err);
}

/* A pack that was there when it was loaded, and is not: an epoch that another
 * prune has put since has doomed it, and all that was seen is void. */
static int
overtaken(enum outcome *out, struct err *err)
{
	if (err->class != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	*out = ROUND_AGAIN;
	return 0;
}

static int
conclude(struct prune *p, enum outcome *out, struct err *err)
{
	int rc;

	if (prune_marked_sift(p, err) == -1 || prune_adopt(p, err) == -1 ||
	    prune_judge(p, err) == -1 || prune_rewrite(p, err) == -1)
		return overtaken(out, err);
	if ((rc = prune_decide(p, err)) == -1)
		return -1;
	*out = ROUND_DONE;
	if (rc == 0 || p->options->dry_run)
		return 0;
	*out = ROUND_AGAIN;
	if (epochs_put(p->store, &p->next, err) == 0)
		return 0;
	/* Another was faster: all that was seen is void. */
	if (err->class != ERR_EXISTS)
		return -1;
	err_clear(err);
	return 0;
}

static int
run_round(struct prune *p, enum outcome *out, struct err *err)
{
	int rc = -1;

	if (begin_round(p, err) == 0 && learn(p, err) == 0) {
		*out = ROUND_MISSED;
		rc = p->missing ? 0 : conclude(p, out, err);
	}
	round_fini(p);
	return rc;
}

static int
run_rounds(struct prune *p, struct err *err)
{
	enum outcome outcome = ROUND_AGAIN;
	int rounds, misses = 0;

	for (rounds = 0; outcome != ROUND_DONE && rounds < ROUNDS_MAX;
	     rounds++) {
		if (run_round(p, &outcome, err) == -1)
			return -1;
		if (outcome == ROUND_MISSED && ++misses == MISSES_MAX) {
			err_set(err, ERR_CORRUPT,
			    "a point needs a block that is in no pack");
			return err_hint(err,
			    "nothing more was removed; run 'holdstill "
			    "repair', which marks the points that lack it");
		}
	}
	if (outcome == ROUND_DONE)
		return 0;
	err_set(err, ERR_BUSY, "other prunes were always faster");
	return err_hint(err, "they do the work; try again when they are done");
}

static void
tidy(struct prune *p)
{
	struct err ignored = ERR_INIT;
	struct epoch e;

	if (p->options->dry_run || epochs_newest(&e, p->store, &ignored) == -1)
		return;
	epochs_tidy(p->store, e.number);
	sessions_tidy(p->store, e.decided);
	epoch_fini(&e);
}

int
store_prune(struct store *s, const struct store_prune_options *options,
    struct store_prune_result *out, struct err *err)
{
	struct prune p = { .store = s,
		.options = options,
		.result = out,
		.unknown_epoch = PRUNE_DECIDED };
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (host_refuse(s, "nothing can be pruned", err) == -1 ||
	    view_open(&p.view, s, err) == -1)
		return -1;
	if (prune_window(&p, err) == 0 && run_rounds(&p, err) == 0) {
		tidy(&p);
		out->bytes_freed -= out->bytes_freed < p.new_bytes
					? out->bytes_freed
					: p.new_bytes;
		rc = 0;
	}
	view_close(&p.view);
	idset_fini(&p.gone);
	idset_fini(&p.buried);
	return rc;
}
