/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/prune.md against the code: two backups, two prunes, a repair and one
 * who forgets work on one repository; each is held up, or stopped for ever,
 * between any two calls of the backend, whose listings lag.  Afterwards P1 to
 * P4 of that page hold.
 *
 * HS_PRUNE_ROUNDS and HS_PRUNE_SEED: more of it, by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/log.h"
#include "store/points.h"
#include "store/sessions.h"
#include "store/walk.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define ROUNDS 10
#define DISK_BLOCKS 4
#define CONTENTS 6 /* Of which disks are made: garbage is wanted again. */
#define POINTS_MAX 32
#define REMOVED_MAX 256
#define PARTIES 6

struct done { /* A point that was reported done. */
	struct manifest *m;
	struct image im;
};

struct world {
	struct rig rig;
	struct backend *inner;
	pthread_mutex_t lock; /* Guards all below. */
	pthread_cond_t moved;
	uint64_t calls;
	struct done done[POINTS_MAX];
	size_t done_count;
	char removed[REMOVED_MAX][BACKEND_KEY_MAX + 1];
	size_t removed_count;
};

struct party {
	struct backend backend; /* First: what the store sees. */
	struct world *world;
	uint64_t random; /* Guarded by the world's lock. */
	uint64_t calls, limit;
	bool lags, loses;
	char cache[300];
};

/* ---- chance ---- */

static uint64_t
draw(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return (*state ^ *state >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 33;
}

static unsigned int
choose(struct party *p, unsigned int count)
{
	unsigned int n;

	pthread_mutex_lock(&p->world->lock);
	n = (unsigned int)(draw(&p->random) % count);
	pthread_mutex_unlock(&p->world->lock);
	return n;
}

/* ---- a backend that holds up ---- */

/* Waits until the others have made some calls, or seem to wait as well. */
static void
hold_up(struct party *p)
{
	struct world *w = p->world;
	/* Now and then through all that a prune does. */
	bool for_long = draw(&p->random) % 12 == 0;
	uint64_t until = w->calls + draw(&p->random) % (for_long ? 1000 : 40);
	struct timespec end;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += for_long ? 100000000 : 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	while (w->calls < until && rc == 0)
		rc = pthread_cond_timedwait(&w->moved, &w->lock, &end);
}

/* -1: it has been stopped for ever. */
static int
gate(struct party *p, struct err *err)
{
	struct world *w = p->world;
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	w->calls++;
	pthread_cond_broadcast(&w->moved);
	if (draw(&p->random) % 8 == 0)
		hold_up(p);
	if (p->limit != 0 && ++p->calls > p->limit)
		rc = err_set(err, ERR_IO, "stopped for ever");
	pthread_mutex_unlock(&w->lock);
	return rc;
}

static bool
happens(struct party *p, bool wanted, unsigned int one_in)
{
	return wanted && choose(p, one_in) == 0;
}

static int
party_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	struct party *p = (struct party *)b;

	if (gate(p, err) == -1 ||
	    backend_put(p->world->inner, key, buf, size, err) == -1)
		return -1;
	/* Packs and indexes are not tried again: nothing to be learned. */
	if (happens(p,
		p->loses && strncmp(key, "pack", 4) != 0 &&
		    strncmp(key, "index", 5) != 0,
		12))
		return err_set(err, ERR_IO, "the answer was lost");
	return 0;
}

static int
party_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	struct party *p = (struct party *)b;

	if (gate(p, err) == -1)
		return -1;
	return backend_get(p->world->inner, key, offset, buf, size, err);
}

static int
party_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	struct party *p = (struct party *)b;

	if (gate(p, err) == -1)
		return -1;
	return backend_stat(p->world->inner, key, out_size, err);
}

static int
party_remove(struct backend *b, const char *key, struct err *err)
{
	struct party *p = (struct party *)b;
	struct world *w = p->world;

	if (gate(p, err) == -1)
		return -1;
	pthread_mutex_lock(&w->lock);
	if (w->removed_count < REMOVED_MAX)
		strcpy(w->removed[w->removed_count++], key);
	pthread_mutex_unlock(&w->lock);
	return backend_remove(w->inner, key, err);
}

struct lagging {
	struct party *party;
	backend_visit_fn *fn;
	void *arg;
	bool ended;
};

static int
show_some(void *arg, const char *key, uint64_t size_bytes)
{
	struct lagging *l = arg;

	if (happens(l->party, l->party->lags, 6))
		return 0;
	l->ended = l->fn(l->arg, key, size_bytes) != 0;
	return l->ended;
}

static int
party_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	struct lagging l = { .party = (struct party *)b, .fn = fn, .arg = arg };
	struct world *w = l.party->world;
	char key[BACKEND_KEY_MAX + 1];
	uint64_t size;
	size_t i;

	if (gate(l.party, err) == -1 ||
	    backend_list(w->inner, prefix, show_some, &l, err) == -1)
		return -1;
	for (i = 0; !l.ended && l.party->lags; i++) {
		pthread_mutex_lock(&w->lock);
		key[0] = '\0';
		if (i < w->removed_count)
			strcpy(key, w->removed[i]);
		pthread_mutex_unlock(&w->lock);
		if (key[0] == '\0')
			break;
		/* Once only, and not what is there. */
		if (strncmp(key, prefix, strlen(prefix)) == 0 &&
		    happens(l.party, true, 3) &&
		    backend_stat(w->inner, key, &size, err) == -1)
			l.ended = fn(arg, key, 100) != 0;
		err_clear(err);
	}
	return 0;
}

static void
party_close(struct backend *b)
{
	(void)b; /* The test's. */
}

static const struct backend_ops party_ops = {
	.scheme = "party",
	.close = party_close,
	.put = party_put,
	.get = party_get,
	.stat = party_stat,
	.remove = party_remove,
	.list = party_list,
};

/* ---- the parties ---- */

static struct store *
open_store(struct party *p)
{
	const struct store_open_options options = {
		.secret = rig_sealed() ? &rig_key : NULL,
	};
	struct err err = ERR_INIT;
	struct store *s;

	return store_open(&s, &p->backend, p->cache, &options, &err) == 0
		   ? s
		   : NULL;
}

static void
make_image(struct party *p, struct image *im)
{
	unsigned int i, content;

	image_init(im, DISK_BLOCKS * BLOCK);
	for (i = 0; i < DISK_BLOCKS; i++) {
		content = choose(p, CONTENTS);
		if (content > 0)
			image_fill(im, i * BLOCK, BLOCK, content, true);
	}
}

/* A manifest may be freed by nobody before the end. */
static struct done *
some_point(struct party *p)
{
	struct world *w = p->world;
	struct done *d = NULL;

	pthread_mutex_lock(&w->lock);
	if (w->done_count > 0)
		d = &w->done[draw(&p->random) % w->done_count];
	pthread_mutex_unlock(&w->lock);
	return d;
}

static void
back_up(struct party *p, struct store *s)
{
	struct done *base = choose(p, 2) == 0 ? some_point(p) : NULL;
	struct world *w = p->world;
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image im;

	make_image(p, &im);
	if (rig_backup(&w->rig, s, &m, &im, base == NULL ? NULL : base->m,
		base == NULL ? NULL : &base->im, &err) == -1) {
		image_fini(&im);
		return;
	}
	pthread_mutex_lock(&w->lock);
	assert_true(w->done_count < POINTS_MAX);
	w->done[w->done_count].m = m;
	w->done[w->done_count++].im = im;
	pthread_mutex_unlock(&w->lock);
}

static void *
run_backup(void *arg)
{
	struct party *p = arg;
	struct store *s = open_store(p);
	unsigned int i, count = 1 + choose(p, 3);

	for (i = 0; s != NULL && i < count; i++)
		back_up(p, s);
	store_close(s);
	return NULL;
}

static void *
run_prune(void *arg)
{
	struct party *p = arg;
	struct store *s = open_store(p);
	unsigned int i, count = 1 + choose(p, 3);
	struct store_prune_result result;
	struct err err = ERR_INIT;

	for (i = 0; s != NULL && i < count; i++) {
		const struct store_prune_options options = {
			.silence_ms = choose(p, 3) == 0 ? 1 : 150,
			.undelete_ms = choose(p, 4) == 0 ? 1000000 : 0,
			.live_percent = choose(p, 2) == 0 ? 1 : 90,
		};

		store_prune(s, &options, &result, &err);
		err_clear(&err);
	}
	store_close(s);
	return NULL;
}

/* It finds no damage, but may take for it what others do meanwhile. */
static void *
run_repair(void *arg)
{
	const struct store_repair_options options = { .threads = 1 };
	struct party *p = arg;
	struct store *s = open_store(p);
	struct store_repair_result result;
	struct err err = ERR_INIT;
	unsigned int i;

	for (i = 0; s != NULL && i < 2; i++) {
		store_repair(s, &options, NULL, NULL, &result, &err);
		err_clear(&err);
	}
	store_close(s);
	return NULL;
}

static void *
run_forget(void *arg)
{
	struct party *p = arg;
	struct store *s = open_store(p);
	struct err err = ERR_INIT;
	struct done *d;
	unsigned int i;

	for (i = 0; s != NULL && i < 6; i++) {
		if ((d = some_point(p)) == NULL)
			continue;
		if (choose(p, 3) == 0)
			store_point_unforget(s, d->m->id, &err);
		else
			store_point_forget(s, d->m->id, &err);
		err_clear(&err);
	}
	store_close(s);
	return NULL;
}

/* ---- what holds ---- */

static struct store *
plain_store(struct world *w, struct party *p, const char *cache)
{
	struct store *s;

	*p = (struct party){ .backend.ops = &party_ops, .world = w };
	snprintf(p->cache, sizeof(p->cache), "%.200s/%s", w->rig.root, cache);
	s = open_store(p);
	assert_non_null(s);
	return s;
}

static int
need_blob(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	(void)arg;
	(void)type;
	(void)hash;
	if (why != NULL)
		return err_set(err, ERR_CORRUPT, "%s", why->text);
	return place != NULL ? 0
			     : err_set(err, ERR_CORRUPT, "a blob is missing");
}

/* P1: by what indexes name and a listing shows, and nothing else. */
static void
check_point_whole(
    struct store *s, const struct manifest *m, struct marks *marks)
{
	struct walk walk = { .store = s, .fn = need_blob, .marks = marks };
	struct err err = ERR_INIT;

	if (walk_disk(&walk, &m->disks[0], &err) == -1)
		fail_msg("P1: point %s: %s", m->id, err.text);
}

static void
check_whole(struct world *w, struct store *s, struct marks *marks)
{
	struct err err = ERR_INIT;
	enum point_state state;
	struct idset points;
	struct manifest *m;
	size_t i;

	assert_int_equal(
	    idset_list(&points, w->inner, OBJECT_MANIFEST, &err), 0);
	for (i = 0; i < points.count; i++) {
		assert_int_equal(
		    points_look(&state, &m, s, points.ids[i], &err), 0);
		if (state != POINT_MANIFEST)
			continue;
		check_point_whole(s, m, marks);
		manifest_free(m);
	}
	idset_fini(&points);
}

static void
check_done(struct world *w, struct store *s)
{
	uint8_t id[OBJECT_ID_BYTES];
	struct err err = ERR_INIT;
	enum point_state state;
	struct forgotten f;
	size_t i;

	for (i = 0; i < w->done_count; i++) {
		hex_decode(id, sizeof(id), w->done[i].m->id);
		assert_int_equal(points_look(&state, NULL, s, id, &err), 0);
		assert_int_equal(forgotten_get(&f, s, id, &err), 0);
		if (f.word == FORGOTTEN_GONE)
			continue;
		if (state == POINT_TOMBSTONE)
			fail_msg(
			    "P3: %s is done and given up", w->done[i].m->id);
		if (state != POINT_MANIFEST)
			fail_msg("P2: %s has no manifest", w->done[i].m->id);
		rig_expect(s, w->done[i].m, &w->done[i].im);
	}
}

static void
check(struct world *w, const char *cache)
{
	struct err err = ERR_INIT;
	struct party plain;
	struct store *s = plain_store(w, &plain, cache);

	assert_int_equal(store_sync(s, SYNC_INDEXES, true, &err), 0);
	check_whole(w, s, NULL);
	check_done(w, s);
	store_close(s);
}

/* Some point needs a blob of the pack, there or as a copy elsewhere. */
static void
check_needed(struct store *s, const struct marks *marks, const uint8_t *id)
{
	struct err err = ERR_INIT;
	struct pack_table table;
	struct blob_place place;
	uint64_t size;
	uint32_t i;
	int64_t pack;

	assert_int_equal(
	    pack_read_table(&table, &size, s->backend, s->seal, id, &err), 0);
	for (i = 0; i < table.blob_count; i++) {
		if (localindex_find(s->index, table.blobs[i].type,
			table.blobs[i].hash, &place, &err) != 1)
			continue;
		pack = idset_find(marks->packs, place.pack);
		if (pack >= 0 && marks_has(marks, (size_t)pack, place.ordinal))
			break;
	}
	if (i == table.blob_count)
		fail_msg("P4: a pack stays that no point needs");
	pack_table_fini(&table);
}

/* P4: one prune, all others dead, leaves nothing that no point needs. */
static void
check_tidy(struct world *w)
{
	const struct store_prune_options options = {
		.silence_ms = 1, .live_percent = 1, .undelete_ms = 1000000
	};
	struct store_prune_result result;
	struct err err = ERR_INIT;
	struct idset packs;
	struct marks marks;
	struct party plain;
	struct epoch e;
	struct store *s = plain_store(w, &plain, "last");
	size_t i;

	if (store_prune(s, &options, &result, &err) == -1)
		fail_msg("P4: prune: %s", err.text);
	assert_int_equal(epochs_newest(&e, s, &err), 0);
	if (e.list_count != 0)
		fail_msg("P4: %zu entries stay on the list", e.list_count);
	epoch_fini(&e);
	assert_int_equal(idset_list(&packs, w->inner, OBJECT_PACK, &err), 0);
	assert_int_equal(marks_init(&marks, &packs, &err), 0);
	assert_int_equal(store_sync(s, SYNC_INDEXES, true, &err), 0);
	check_whole(w, s, &marks);
	for (i = 0; i < packs.count; i++)
		check_needed(s, &marks, packs.ids[i]);
	marks_fini(&marks);
	idset_fini(&packs);
	store_close(s);
}

/* ---- a round ---- */

static void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	rig_init(&w->rig, "mem");
	w->inner = rig_backend(&w->rig);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->moved, NULL);
}

static void
world_fini(struct world *w)
{
	size_t i;

	for (i = 0; i < w->done_count; i++) {
		manifest_free(w->done[i].m);
		image_fini(&w->done[i].im);
	}
	pthread_cond_destroy(&w->moved);
	pthread_mutex_destroy(&w->lock);
	backend_close(w->inner);
	rig_fini(&w->rig);
}

/* Something to begin with, some of it garbage soon. */
static void
begin(struct world *w, uint64_t random)
{
	struct party plain = {
		.backend.ops = &party_ops, .world = w, .random = random
	};

	snprintf(plain.cache, sizeof(plain.cache), "%.200s/host0", w->rig.root);
	run_backup(&plain);
	run_forget(&plain);
}

static void
run_round(uint64_t seed)
{
	static void *(*const roles[PARTIES])(void *) = { run_backup, run_backup,
		run_prune, run_prune, run_forget, run_repair };
	static struct world w;
	struct party party[PARTIES];
	pthread_t thread[PARTIES];
	uint64_t random = seed;
	unsigned int i;

	world_init(&w);
	for (i = 0; i < PARTIES; i++) {
		party[i] = (struct party){ .backend.ops = &party_ops,
			.world = &w,
			.random = draw(&random),
			.lags = draw(&random) % 2 == 0,
			.loses = draw(&random) % 3 == 0,
			.limit =
			    draw(&random) % 2 == 0 ? draw(&random) % 250 : 0 };
		/* Hosts of their own, or two processes of one. */
		snprintf(party[i].cache, sizeof(party[i].cache),
		    "%.200s/host%u", w.rig.root,
		    draw(&random) % 3 == 0 ? 0 : i);
	}
	begin(&w, draw(&random));
	for (i = 0; i < PARTIES; i++)
		assert_int_equal(
		    pthread_create(&thread[i], NULL, roles[i], &party[i]), 0);
	for (i = 0; i < PARTIES; i++)
		pthread_join(thread[i], NULL);
	check(&w, "check");
	check_tidy(&w);
	check(&w, "check");
	world_fini(&w);
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void
test_prune_beside_all_others(void **state)
{
	uint64_t seed = setting("HS_PRUNE_SEED", (uint64_t)time(NULL));
	uint64_t rounds = setting("HS_PRUNE_ROUNDS", ROUNDS), i;

	(void)state;
	log_set_level(LOG_ERROR);
	print_message("HS_PRUNE_SEED=%llu\n", (unsigned long long)seed);
	for (i = 0; i < rounds; i++) {
		if (getenv("HS_PRUNE_SEED") != NULL)
			print_message("round %llu\n", (unsigned long long)i);
		run_round(seed + i * 1000003);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prune_beside_all_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
