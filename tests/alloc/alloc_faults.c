/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fails allocations in turn, in each scene: the first of each place that
 * allocates, with all its callers; alone, and with all that follow.  What has to come of it: an error that says so, or the work done all
 * the same; nothing leaked; a repository that is whole and in which the same
 * succeeds next time.
 *
 *	alloc_faults [--all | --rounds N] [--only SCENE]
 *	alloc_faults --only SCENE --at N[+] [--threads N]
 *
 * HOLDSTILL_ROUNDS is the default of --rounds: how many are failed in each
 * scene, spread over all places; and a quarter as many with several threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "store/seal/seal.h"
#include "tests/alloc/alloc_fail.h"
#include "tests/alloc/alloc_scene.h"

#define ROUNDS_DEFAULT 3
#define RANDOM_THREADS 3
#define DEADLINE_SECONDS 300
#define CIPHER "aes-256-gcm"

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* How a child ends, beside all that is a failure. */
enum outcome { REFUSED = 0, DONE_ANYWAY = 10, NOT_REACHED = 11 };

struct round {
	uint64_t nth;
	bool onwards, trace, survey;
	unsigned int threads;
};

struct tally {
	uint64_t allocations, rounds, refused, done, failed;
	uint64_t places[ALLOC_FAIL_PLACES_MAX];
	uint64_t place_count;
};

static char root[64];
static const char *only;
static uint64_t rounds = ROUNDS_DEFAULT; /* UINT64_MAX: all. */

/* ---- one round, in a child ---- */

static void
judge(int rc, const struct err *err)
{
	if (rc == 0)
		return;
	if (rc != -1)
		fail_msg("it returned %d", rc);
	if (err->text[0] == '\0')
		fail_msg("a failure without a word");
	if (alloc_fail_failed() == 0)
		fail_msg("failed by itself: %s", err->text);
	if (err->class != ERR_NO_MEMORY &&
	    !(err->class == ERR_BUSY && alloc_fail_thread()))
		fail_msg(
		    "of class '%s': %s", err_class_name(err->class), err->text);
}

static int
perform(struct world *w, const struct round *r, struct tally *t)
{
	struct err err = ERR_INIT;
	const uint64_t *places;
	int rc;

	if (w->scene->begin != NULL)
		w->scene->begin(w);
	if (r->survey)
		alloc_fail_survey();
	else
		alloc_fail_arm(r->nth, r->onwards, r->trace);
	rc = w->scene->run(w, &err);
	t->allocations = alloc_fail_disarm();
	if (r->survey) {
		t->place_count = alloc_fail_places(&places);
		memcpy(t->places, places, t->place_count * sizeof(*places));
	}
	judge(rc, &err);
	if (w->scene->end != NULL)
		w->scene->end(w, rc == 0);
	return rc;
}

static enum outcome
play(struct world *w, const struct round *r, struct tally *t)
{
	const struct round once_more = { .threads = r->threads };
	static struct tally ignored;
	enum outcome outcome;
	int rc;

	alarm(DEADLINE_SECONDS);
	w->threads = r->threads;
	world_open(w, root);
	rc = perform(w, r, t);
	outcome = alloc_fail_failed() == 0 ? NOT_REACHED
		  : rc == 0                ? DONE_ANYWAY
					   : REFUSED;
	w->again = true;
	if (perform(w, &once_more, &ignored) == -1)
		fail_msg("it fails once more");
	world_check(w);
	world_close(w);
	if (__lsan_do_recoverable_leak_check != NULL &&
	    __lsan_do_recoverable_leak_check() != 0)
		fail_msg("leaked");
	return outcome;
}

/* ---- the rounds of a scene ---- */

static const char *copy_from; /* What copy_one() takes off a path. */

static int
copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char to[512];
	int in, out;

	(void)ftw;
	snprintf(
	    to, sizeof(to), "%.200s%.300s", root, path + strlen(copy_from));
	if (type == FTW_D)
		return mkdir(to, 0700);
	in = open(path, O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (in == -1 || out == -1 ||
	    sendfile(out, in, NULL, (size_t)st->st_size) != st->st_size)
		return -1;
	close(in);
	return close(out);
}

static void
copy_folder(const char *from)
{
	struct err err = ERR_INIT;

	io_remove_tree(root, &err);
	copy_from = from;
	if (nftw(from, copy_one, 8, FTW_PHYS) != 0)
		abort();
}

/* The child's status; a survey is in *t. */
static int
run_child(const struct world *w, const char *folder, const struct round *r,
    struct tally *t)
{
	struct world own = *w;
	int fds[2], status;
	pid_t pid;

	copy_folder(folder);
	fflush(NULL);
	if (pipe(fds) == -1 || (pid = fork()) == -1)
		abort();
	if (pid == 0) {
		close(fds[0]);
		status = (int)play(&own, r, t);
		if (r->survey)
			io_write_full(fds[1], t, sizeof(*t));
		fflush(NULL);
		_exit(status);
	}
	close(fds[1]);
	if (r->survey && io_read_full(fds[0], t, sizeof(*t)) != sizeof(*t))
		memset(t, 0, sizeof(*t));
	close(fds[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return status;
}

static bool
is_well(int status)
{
	return WIFEXITED(status) && (WEXITSTATUS(status) == REFUSED ||
					WEXITSTATUS(status) == DONE_ANYWAY ||
					WEXITSTATUS(status) == NOT_REACHED);
}

static void
play_round(struct tally *t, const struct world *w, const char *folder,
    const struct round *r)
{
	struct round again = *r;
	static struct tally ignored;
	int status = run_child(w, folder, r, &ignored);

	if (is_well(status)) {
		t->rounds += WEXITSTATUS(status) != NOT_REACHED;
		t->refused += WEXITSTATUS(status) == REFUSED;
		t->done += WEXITSTATUS(status) == DONE_ANYWAY;
		return;
	}
	t->failed++;
	printf("FAILED: %s%s --at %" PRIu64 "%s --threads %u: %s %d\n",
	    w->scene->name, rig_sealed() ? ", sealed," : "", r->nth,
	    r->onwards ? "+" : "", r->threads,
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	/* And where it was; with one thread it is the same place. */
	again.trace = true;
	run_child(w, folder, &again, &ignored);
}

/* Spread over all places, by turns alone and with all that follow. */
static void
play_turns(struct tally *t, const struct world *w, const char *folder)
{
	uint64_t many =
	    w->scene->big && rounds != UINT64_MAX ? rounds / 4 + 1 : rounds;
	uint64_t i, all = 2 * t->place_count, count = all < many ? all : many;
	struct round r = { .threads = 1 };

	for (i = 0; i < count; i++) {
		r.nth = t->places[count == all ? i / 2
					       : (2 * i + 1) * t->place_count /
						     (2 * count)];
		r.onwards = i % 2 == 1;
		play_round(t, w, folder, &r);
	}
}

/* What several threads want first is not the same each time. */
static void
play_random(struct tally *t, const struct world *w, const char *folder)
{
	uint64_t i,
	    count = (rounds < t->place_count ? rounds : t->place_count) / 4 + 1;
	struct round r = { .threads = RANDOM_THREADS };

	for (i = 0; i < count; i++) {
		r.nth = (uint64_t)rand() % t->allocations + 1;
		r.onwards = i % 2 == 1;
		play_round(t, w, folder, &r);
	}
}

static uint64_t
play_scene(const struct world *w, const char *folder)
{
	const struct round whole = { .threads = 1, .survey = true };
	static struct tally t;
	int status;

	memset(&t, 0, sizeof(t));
	status = run_child(w, folder, &whole, &t);

	if (!is_well(status) || t.allocations == 0) {
		printf("FAILED: %s: even with all memory: %#x\n",
		    w->scene->name, (unsigned int)status);
		return 1;
	}
	play_turns(&t, w, folder);
	play_random(&t, w, folder);
	printf("count: %s%s: %" PRIu64 " allocations at %" PRIu64
	       " places; %" PRIu64 " rounds: %" PRIu64 " clean errors, %" PRIu64
	       " done all the same, %" PRIu64 " FAILED\n",
	    w->scene->name, rig_sealed() ? " (sealed)" : "", t.allocations,
	    t.place_count, t.rounds, t.refused, t.done, t.failed);
	fflush(stdout);
	return t.failed;
}

/* ---- all scenes ---- */

static bool
is_wanted(const struct scene *s)
{
	if (rig_sealed() && !s->sealed && !s->sealed_too)
		return false;
	if (!rig_sealed() && s->sealed)
		return false;
	return only == NULL || strcmp(only, s->name) == 0;
}

static void
make_world(const char *folder)
{
	struct world w = { .threads = 1 };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		world_make(&w, folder);
		_exit(0);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid || status != 0)
		abort();
}

static uint64_t
play_all(const char *folder, const struct round *one)
{
	struct world *w = calloc(1, sizeof(*w));
	static struct tally t;
	uint64_t failed = 0;
	size_t i;

	make_world(folder);
	world_load(w, folder);
	for (i = 0; i < alloc_scene_count; i++) {
		w->scene = &alloc_scenes[i];
		if (!is_wanted(w->scene))
			continue;
		if (one == NULL)
			failed += play_scene(w, folder);
		else
			failed += !is_well(run_child(w, folder, one, &t));
	}
	world_free(w);
	return failed;
}

static int
usage(void)
{
	fprintf(stderr, "alloc_faults [--all | --rounds N] [--only SCENE] "
			"[--at N[+]] [--threads N]\n");
	return 2;
}

static int
parse(int argc, char **argv, struct round *one)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "only", required_argument, NULL, 'o' },
		{ "at", required_argument, NULL, 'n' },
		{ "threads", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	const char *told = getenv("HOLDSTILL_ROUNDS");
	char *end;
	int c;

	if (told != NULL)
		rounds = strtoull(told, NULL, 10);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'a')
			rounds = UINT64_MAX;
		else if (c == 'r')
			rounds = strtoull(optarg, NULL, 10);
		else if (c == 'o')
			only = optarg;
		else if (c == 't')
			one->threads = (unsigned int)atoi(optarg);
		else if (c != 'n')
			return -1;
		if (c == 'n') {
			one->nth = strtoull(optarg, &end, 10);
			one->onwards = *end == '+';
			one->trace = true;
		}
	}
	return optind == argc ? 0 : -1;
}

int
main(int argc, char **argv)
{
	char base[] = "/dev/shm/holdstill-alloc-XXXXXX", folder[64];
	struct round one = { .threads = 1 };
	struct err err = ERR_INIT;
	uint64_t failed;

	if (parse(argc, argv, &one) == -1)
		return usage();
	/* What an assertion says is lost outside of cmocka else. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	alloc_fail_hooks();
	srand(1);
	if (mkdtemp(base) == NULL)
		return 1;
	snprintf(root, sizeof(root), "%s/now", base);
	snprintf(folder, sizeof(folder), "%s/plain", base);
	unsetenv(RIG_SEAL);
	failed = play_all(folder, one.nth > 0 ? &one : NULL);
	snprintf(folder, sizeof(folder), "%s/sealed", base);
	setenv(RIG_SEAL, CIPHER, 1);
	failed += play_all(folder, one.nth > 0 ? &one : NULL);
	io_remove_tree(base, &err);
	return failed == 0 ? 0 : 1;
}
