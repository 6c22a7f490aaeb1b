/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power fails while hosts back up, forget, prune and repair.  What the
 * folder backend, the local index, the catalog and the effect journal have
 * written is recorded call by call; the disk is made anew as it may be after a
 * cut somewhere in that record, and everything promised before has to hold.
 * One repository lives through several cuts, some of them while it comes up.
 *
 * HOLDSTILL_ROUNDS: cuts (default: 6).  HOLDSTILL_SEED: where the chance
 * begins, to see a failure again; threads take their own course all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "tests/unit/cut_recorder.h"
#include "tests/unit/cut_world.h"

#define ROUNDS 6
#define CUTS_OF_A_LIFE 8

/* Of a failed test, too, there is nothing to free. */
static struct cut_world the_world;
static struct { /* Of all rounds. */
	uint64_t cuts, unchecked, records, names, files, garbage;
	uint64_t jobs[CUT_JOBS], modes[CUT_MODES];
} counts;

/* ---- rounds ---- */

static void
remove_live(const struct cut_world *w)
{
	struct err err = ERR_INIT;

	assert_int_equal(io_remove_tree(w->root, &err), 0);
}

/* What goes on after the disk was made is the disk's, cut or not. */
static void
settle_clean(struct cut_world *w)
{
	cut_disk_play(w->disk, cut_recorder_count(), CUT_CLEAN, 1);
	cut_recorder_end();
	assert_int_equal(cut_disk_compare(w->disk, w->root), 0);
}

/* Spoils a pack; what it hurts is no longer promised. */
static void
damage(struct cut_world *w)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image got;
	struct cut_host h;
	struct keys *packs = calloc(1, sizeof(*packs));
	char path[600];
	size_t i;
	int fd;

	assert_non_null(packs);
	rig_keys(&w->rig, packs, "packs/");
	if (packs->count > 0) {
		snprintf(path, sizeof(path), "%s/%s", w->rig.url,
		    packs->key[cut_draw(&w->random, packs->count)]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_true(fd != -1);
		assert_int_equal(
		    pwrite(fd, "damage", 6, (off_t)cut_draw(&w->random, 4096)),
		    6);
		close(fd);
		w->damaged = true;
	}
	free(packs);
	cut_world_open_host(w, &h, "host1");
	for (i = 0; i < w->point_count; i++) {
		assert_int_equal(
		    store_manifest_read(&m, h.store, w->points[i].id, &err), 0);
		if (rig_read(h.store, m, &got, &err) == -1)
			w->points[i].promise = CUT_HURT;
		image_fini(&got);
		manifest_free(m);
	}
	cut_host_close(&h);
}

static void
plan_points(const struct cut_world *w, struct cut_plan *p)
{
	size_t i;

	p->point_count = 0;
	for (i = 0; i < w->point_count; i++)
		if (w->points[i].promise == CUT_KEPT)
			memcpy(p->points[p->point_count++], w->points[i].id,
			    HEXID_SIZE);
}

static void
plan(struct cut_world *w, struct cut_plan *p, bool init, bool checked)
{
	memset(p, 0, sizeof(*p));
	p->rig = &w->rig;
	memcpy(p->root, w->root, sizeof(p->root));
	p->init = init;
	p->job =
	    init ? CUT_BACKUPS : (enum cut_job)cut_draw(&w->random, CUT_JOBS);
	/* Who does not know what holds can damage nothing on purpose, and a
	 * point may not be forgotten twice. */
	if (!checked)
		p->job = CUT_TWO_HOSTS;
	p->seed = w->random;
	if (checked)
		plan_points(w, p);
}

static void
work(const struct cut_plan *p)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (p->job != CUT_BACKUPS && p->job != CUT_FORGETS &&
		    p->job != CUT_REPAIR)
			cut_recorder_stall(p->seed | 1);
		_exit(cut_work(p));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A number of records; every other time right behind a promise. */
static size_t
choose_cut(struct cut_world *w)
{
	size_t i, count = cut_recorder_count();
	size_t n = 1 + (size_t)cut_draw(&w->random, count);
	const struct cut_record *r = NULL;

	if (cut_draw(&w->random, 2) == 0)
		return n;
	for (i = 1; (r = cut_recorder_next(r)) != NULL; i++)
		if (i >= n && r->op == CUT_NOTE)
			return i;
	return count;
}

static void
cut(struct cut_world *w, enum cut_job job)
{
	static const char *const names[CUT_MODES] = { "", "bare", "in order",
		"any" };
	size_t at = choose_cut(w);
	enum cut_mode mode = (enum cut_mode)(
	    CUT_BARE + (int)cut_draw(&w->random, CUT_MODES - CUT_BARE));
	struct cut_loss loss;

	print_message("cut in %s, %zu of %zu calls, %s\n", cut_job_name[job],
	    at, cut_recorder_count(), names[mode]);
	cut_world_take_notes(w, at);
	cut_disk_play(w->disk, at, mode, w->random);
	cut_recorder_end();
	remove_live(w);
	cut_disk_write(w->disk, w->root);
	loss = cut_disk_loss(w->disk);
	counts.cuts++;
	counts.records += at;
	counts.names += loss.names;
	counts.files += loss.files;
	counts.garbage += loss.garbage;
	counts.modes[mode]++;
}

static void
life_begin(struct cut_world *w, uint64_t seed)
{
	struct rig *rig = &w->rig;

	memset(w, 0, sizeof(*w));
	w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	snprintf(w->root, sizeof(w->root), "%s/holdstill-test-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->root));
	snprintf(rig->root, sizeof(rig->root), "%s", w->root);
	snprintf(rig->url, sizeof(rig->url), "%.200s/repo", w->root);
	wrap_fault_init(&rig->fault);
	w->disk = cut_disk_new();
	if (cut_draw(&w->random, 3) == 0)
		setenv(RIG_SEAL, "aes-256-gcm", 1);
	else
		unsetenv(RIG_SEAL);
}

static void
life_end(struct cut_world *w)
{
	remove_live(w);
	cut_disk_free(w->disk);
	wrap_fault_fini(&w->rig.fault);
}

/* Returns whether all was checked after the cut. */
static bool
one_round(struct cut_world *w, bool init, bool checked, bool last)
{
	struct cut_plan p;

	plan(w, &p, init, checked);
	counts.jobs[p.job]++;
	if (p.job == CUT_REPAIR) {
		cut_recorder_begin(w->root);
		damage(w);
		settle_clean(w);
		plan_points(w, &p);
		w->repairing = true;
	}
	cut_recorder_begin(w->root);
	work(&p);
	cut(w, p.job);
	/* Now and then it fails again before anybody has looked. */
	if (!last && w->made && p.job != CUT_REPAIR &&
	    cut_draw(&w->random, 5) == 0) {
		counts.unchecked++;
		return false;
	}
	cut_recorder_begin(w->root);
	cut_world_check(w);
	settle_clean(w);
	return true;
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
print_counts(void)
{
	int i;

	print_message("count: cuts %llu, of them %llu before a look at the "
		      "last one's\n",
	    (unsigned long long)counts.cuts,
	    (unsigned long long)counts.unchecked);
	for (i = 0; i < CUT_JOBS; i++)
		print_message("count: cuts in %s: %llu\n", cut_job_name[i],
		    (unsigned long long)counts.jobs[i]);
	print_message("count: system calls played %llu\n",
	    (unsigned long long)counts.records);
	print_message("count: lost at the cuts: names %llu, bytes of files "
		      "%llu, of them with garbage %llu\n",
	    (unsigned long long)counts.names, (unsigned long long)counts.files,
	    (unsigned long long)counts.garbage);
	print_message("count: points promised %llu, there though not yet "
		      "promised %llu, restored %llu times, lost 0\n",
	    (unsigned long long)cut_world_counts.points,
	    (unsigned long long)cut_world_counts.late,
	    (unsigned long long)cut_world_counts.restores);
	print_message("count: effects journalled %llu, lost 0\n",
	    (unsigned long long)cut_world_counts.effects);
}

static void
test_power_cut_loses_no_promise(void **state)
{
	uint64_t rounds = number_of("HOLDSTILL_ROUNDS", ROUNDS), n;
	uint64_t seed = number_of("HOLDSTILL_SEED", (uint64_t)time(NULL));
	bool checked = false, init;
	struct cut_world *w = &the_world;

	(void)state;
	print_message("count: seed %llu\n", (unsigned long long)seed);
	for (n = 0; n < rounds; n++) {
		init = n % CUTS_OF_A_LIFE == 0;
		if (init && n > 0)
			life_end(w);
		if (init) {
			life_begin(w, seed + n);
			print_message("a repository of seed %llu\n",
			    (unsigned long long)(seed + n));
		}
		checked = one_round(w, init, init || checked,
		    n + 1 == rounds || (n + 1) % CUTS_OF_A_LIFE == 0);
	}
	life_end(w);
	print_counts();
}

/* ---- what is seen, and not yet durable ---- */

struct slow { /* A host that is held up. */
	struct cut_host host;
	void *(*run)(void *host);
};

static void *
put_point(void *host)
{
	struct manifest *m = NULL;
	struct err err = ERR_INIT;
	uint64_t random = 1;

	if (cut_backup(host, &m, NULL, &random, &err) == -1)
		abort();
	manifest_free(m);
	return NULL;
}

static void *
put_epoch(void *host)
{
	struct store_prune_result pruned;
	struct cut_host *h = host;
	struct err err = ERR_INIT;

	if (rig_prune(h->store, &pruned, &err) == -1)
		abort();
	return NULL;
}

/*
 * The slow host has given something its name, and is held up before the folder
 * is synced; another makes a point meanwhile.  Then the power fails.
 */
static void
cut_while_held(struct cut_world *w, struct slow *slow, const char *folder,
    const char *name)
{
	const struct timespec step = { .tv_nsec = 1000000 };
	struct cut_host quick;
	pthread_t thread;

	cut_world_open_host(w, &quick, "host2");
	cut_recorder_hold(folder, name);
	assert_int_equal(
	    pthread_create(&thread, NULL, slow->run, &slow->host), 0);
	while (!cut_recorder_holds())
		nanosleep(&step, NULL);
	put_point(&quick);
	cut_world_take_notes(w, cut_recorder_count());
	cut_disk_play(w->disk, cut_recorder_count(), CUT_BARE, 1);
	cut_recorder_hold(NULL, NULL);
	pthread_join(thread, NULL);
	cut_host_close(&slow->host);
	cut_host_close(&quick);
	cut_recorder_end();
	remove_live(w);
	cut_disk_write(w->disk, w->root);
	cut_recorder_begin(w->root);
	/* The journals are of a process that lives. */
	w->effect_count = 0;
}

static void
begin_held(struct cut_world *w, struct slow *slow)
{
	struct err err = ERR_INIT;

	life_begin(w, 1);
	cut_recorder_begin(w->root);
	assert_int_equal(cut_init(&w->rig, &err), 0);
	cut_world_open_host(w, &slow->host, "host1");
}

static void
end_held(struct cut_world *w)
{
	cut_world_check(w);
	settle_clean(w);
	life_end(w);
}

static void
test_power_cut_keeps_the_pack_that_a_point_found(void **state)
{
	struct slow slow = { .run = put_point };
	struct cut_world *w = &the_world;

	(void)state;
	begin_held(w, &slow);
	cut_while_held(w, &slow, "repo/packs", "repo/packs");
	end_held(w);
}

static void
test_power_cut_keeps_the_epoch_of_a_session(void **state)
{
	struct slow slow = { .run = put_epoch };
	struct cut_world *w = &the_world;
	struct err err = ERR_INIT;
	struct keys *epochs = calloc(1, sizeof(*epochs));

	(void)state;
	assert_non_null(epochs);
	begin_held(w, &slow);
	put_point(&slow.host);
	cut_world_take_notes(w, cut_recorder_count());
	assert_int_equal(
	    store_point_forget(slow.host.store, w->points[0].id, &err), 0);
	w->point_count = 0;
	cut_host_close(&slow.host);
	/* The notes so far are taken. */
	settle_clean(w);
	cut_recorder_begin(w->root);
	cut_world_open_host(w, &slow.host, "host1");
	cut_while_held(w, &slow, "repo/epochs", "repo/epochs/1");
	rig_keys(&w->rig, epochs, "epochs/");
	assert_int_equal(epochs->count, 2);
	free(epochs);
	end_held(w);
}

/* Also of a test that has failed, unless somebody wants to look. */
static int
tidy(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	if (the_world.root[0] == '\0' || getenv("HOLDSTILL_TEST_KEEP") != NULL)
		return 0;
	return io_remove_tree(the_world.root, &err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_power_cut_keeps_the_pack_that_a_point_found),
		cmocka_unit_test(test_power_cut_keeps_the_epoch_of_a_session),
		cmocka_unit_test(test_power_cut_loses_no_promise),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, tidy);
}
