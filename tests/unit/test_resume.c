/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R8: a first full of a large disk that is killed, again and again, goes on
 * where its last pack ended: by the same host, by another one, and without a
 * local index.
 *
 * HOLDSTILL_ROUNDS: fulls, each killed several times (default: 3).
 * HOLDSTILL_SEED: where the chance begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "store/pack.h"
#include "tests/unit/store_rig.h"

#define MIB ((uint64_t)1 << 20)
#define ROUNDS 3
#define DISK_BYTES (288 * MIB)
#define PACKS (DISK_BYTES / PACK_TARGET_BYTES)
#define KILLS_MAX 3
/* A pack's own part: what is not blocks. */
#define PACK_OWN_BYTES (256u << 10)
#define DEADLINE_NS (UINT64_C(120) * 1000000000)

enum next { /* Who goes on. */
	SAME_HOST,
	OTHER_HOST, /* That has met the repository before, or not. */
	LOST_INDEX,
	NEXT_KINDS
};

static struct {
	uint64_t fulls, kills, packs, bytes_after, bytes_whole, most_packs;
	uint64_t by[NEXT_KINDS];
} counts;
static uint64_t chance;

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static uint64_t
draw(uint64_t below)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return chance % below;
}

/* No two blocks alike, none to be compressed. */
static void
fill(struct image *im)
{
	uint64_t *word = (uint64_t *)(void *)im->bytes;
	uint64_t i, v = chance;

	for (i = 0; i < im->size / sizeof(*word); i++) {
		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		word[i] = v;
	}
}

static void
packs(struct rig *rig, uint64_t *count, uint64_t *bytes)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	assert_non_null(keys);
	rig_keys(rig, keys, "packs/");
	*count = keys->count;
	*bytes = keys->bytes;
	free(keys);
}

static pid_t
start(struct rig *rig, const struct image *im)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct store *s;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	s = rig_open_store(rig, rig->cache);
	_exit(rig_backup(rig, s, &m, im, NULL, NULL, &err) == 0 ? 0 : 1);
}

/* Kills it when so many packs are there, or a little later. */
static void
kill_at(struct rig *rig, pid_t pid, uint64_t wanted)
{
	const struct timespec step = { .tv_nsec = 1000000 };
	uint64_t until = clock_monotonic_ns() + DEADLINE_NS;
	uint64_t later = draw(30), count, bytes;

	for (;;) {
		packs(rig, &count, &bytes);
		if (count >= wanted && later-- == 0)
			break;
		assert_true(clock_monotonic_ns() < until);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		nanosleep(&step, NULL);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
go_on_as(struct rig *rig, enum next next)
{
	struct err err = ERR_INIT;
	size_t length = strlen(rig->cache);

	counts.by[next]++;
	if (next == LOST_INDEX)
		assert_int_equal(io_remove_tree(rig->cache, &err), 0);
	if (next == OTHER_HOST)
		rig->cache[length - 1] =
		    rig->cache[length - 1] == 'e' ? '2' : 'e';
}

/* Only the rest is stored; all of it is read back, by anybody. */
static void
finish(struct rig *rig, const struct image *im, uint64_t count, uint64_t bytes)
{
	struct err err = ERR_INIT;
	uint64_t after_count, after_bytes;
	struct store_prune_result pruned;
	struct manifest *m = NULL;
	char elsewhere[300];
	struct store *s;

	rig->store = rig_open_store(rig, rig->cache);
	if (rig_backup(rig, rig->store, &m, im, NULL, NULL, &err) == -1)
		fail_msg("the last run: %s", err.text);
	packs(rig, &after_count, &after_bytes);
	/* Whole blocks: what the packs that were there hold is not new. */
	assert_true(
	    m->disks[0].new_bytes <= im->size - bytes + count * PACK_OWN_BYTES);
	/* And nothing was stored twice, the maps' packs aside. */
	assert_true(after_bytes - bytes <=
		    im->size - bytes + (after_count + 1) * PACK_OWN_BYTES);
	counts.bytes_after += after_bytes - bytes;
	counts.bytes_whole += im->size;
	snprintf(elsewhere, sizeof(elsewhere), "%s-elsewhere", rig->cache);
	s = rig_open_store(rig, elsewhere);
	rig_expect(s, m, im);
	assert_int_equal(rig_prune(s, &pruned, &err), 0);
	assert_int_equal(rig_verify(s, NULL), 0);
	store_close(s);
	rig_expect(rig->store, m, im);
	manifest_free(m);
}

static void
one_full(enum next next, const struct image *im)
{
	uint64_t kills = 1 + draw(KILLS_MAX), i, before = 0, count, bytes;
	char folder[64];
	struct rig rig;

	snprintf(folder, sizeof(folder), "%s/holdstill-test-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(folder));
	rig_init_in(&rig, folder);
	store_close(rig.store);
	rig.store = NULL;
	for (i = 0; i < kills && before + 3 < PACKS; i++) {
		kill_at(&rig, start(&rig, im),
		    before + 1 + draw((PACKS - before - 2) / (kills - i)));
		packs(&rig, &count, &bytes);
		/* The one before is not lost. */
		assert_true(count > before);
		before = count;
		counts.kills++;
		go_on_as(
		    &rig, i + 1 == kills ? next : (enum next)draw(NEXT_KINDS));
	}
	counts.packs += before;
	if (before > counts.most_packs)
		counts.most_packs = before;
	counts.fulls++;
	finish(&rig, im, before, bytes);
	rig_fini(&rig);
}

static void
test_resume_goes_on_where_the_last_pack_ended(void **state)
{
	uint64_t rounds = number_of("HOLDSTILL_ROUNDS", ROUNDS), n;
	uint64_t seed = number_of("HOLDSTILL_SEED", (uint64_t)time(NULL));
	struct image im;

	(void)state;
	print_message("count: seed %llu\n", (unsigned long long)seed);
	chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	image_init(&im, DISK_BYTES);
	for (n = 0; n < rounds; n++) {
		fill(&im);
		one_full((enum next)(n % NEXT_KINDS), &im);
	}
	image_fini(&im);
	print_message("count: fulls of %llu MiB: %llu, killed %llu times\n",
	    (unsigned long long)(DISK_BYTES / MIB),
	    (unsigned long long)counts.fulls, (unsigned long long)counts.kills);
	print_message("count: gone on by the same host %llu times, by another "
		      "%llu, without a local index %llu\n",
	    (unsigned long long)counts.by[SAME_HOST],
	    (unsigned long long)counts.by[OTHER_HOST],
	    (unsigned long long)counts.by[LOST_INDEX]);
	print_message("count: packs there at the last kill: %llu, at most "
		      "%llu of %llu\n",
	    (unsigned long long)counts.packs,
	    (unsigned long long)counts.most_packs, (unsigned long long)(PACKS));
	print_message("count: stored by the last runs: %llu MiB of %llu MiB\n",
	    (unsigned long long)(counts.bytes_after / MIB),
	    (unsigned long long)(counts.bytes_whole / MIB));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resume_goes_on_where_the_last_pack_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
