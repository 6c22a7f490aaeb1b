/* SPDX-License-Identifier: Apache-2.0 */
/* Sync, freeze and thaw of one file system, in a thread of its own. */
#include "guest-helper/deadman_workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "guest-helper/freeze_linux.h"

/* Enough for the three calls; locked, so not the default of 8 MiB. */
#define STACK_BYTES ((size_t)128 * 1024)

/* A first sync that took longer is followed by another, for what was
 * written in the meantime. */
#define SYNC_AGAIN_NS 100000000

void
deadman_workers_signal(int fd)
{
	static const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) == -1 && errno == EINTR)
		;
}

void
deadman_workers_take(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) == -1 && errno == EINTR)
		;
}

static void
finish(struct deadman_worker *w, enum deadman_want bit)
{
	atomic_fetch_or(&w->done, (unsigned int)bit);
	deadman_workers_signal(w->progress);
}

static void
work_sync(struct deadman_worker *w)
{
	uint64_t begin = clock_monotonic_ns();

	freeze_sync(w->fd);
	if (clock_monotonic_ns() - begin > SYNC_AGAIN_NS &&
	    (atomic_load(&w->wants) & DEADMAN_WANT_THAW) == 0)
		freeze_sync(w->fd);
	finish(w, DEADMAN_WANT_SYNC);
}

static void
work_freeze(struct deadman_worker *w)
{
	marks_set(w->marks, w->place, MARKS_TRIED);
	w->freeze_errno = freeze_hold(w->fd);
	w->frozen = w->freeze_errno == 0;
	/* Even if it was thawed in our place by now: that may have been before
	 * our freeze, which nobody else would thaw then. */
	marks_set(w->marks, w->place, w->frozen ? MARKS_FROZEN : MARKS_REFUSED);
	finish(w, DEADMAN_WANT_FREEZE);
}

/* What was thawed in our place may be frozen by somebody else by now. */
static void
work_thaw(struct deadman_worker *w)
{
	w->thaw_errno =
	    marks_thawed(w->marks, w->place) ? EINVAL : freeze_thaw(w->fd);
	if (w->thaw_errno == 0 || w->thaw_errno == EINVAL)
		marks_set(w->marks, w->place, MARKS_THAWED);
}

static void *
worker_run(void *arg)
{
	struct deadman_worker *w = arg;
	unsigned int wants, done = 0;

	for (;;) {
		wants = atomic_load(&w->wants) & ~done;
		if (wants & DEADMAN_WANT_THAW)
			break;
		if (wants & DEADMAN_WANT_SYNC) {
			work_sync(w);
			done |= DEADMAN_WANT_SYNC;
		} else if (wants & DEADMAN_WANT_FREEZE) {
			work_freeze(w);
			done |= DEADMAN_WANT_FREEZE;
		} else {
			deadman_workers_take(w->wake);
		}
	}
	if (w->frozen)
		work_thaw(w);
	finish(w, DEADMAN_WANT_THAW);
	return NULL;
}

int
deadman_workers_add(struct deadman_workers *workers, int fd, unsigned int rank)
{
	struct deadman_worker *w = &workers->items[workers->count];
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	w->fd = fd;
	w->rank = rank;
	w->progress = workers->progress;
	w->marks = &workers->marks;
	w->place = MARKS_FS(workers->count);
	w->wake = eventfd(0, EFD_CLOEXEC);
	if (w->wake == -1)
		return -1;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&thread, &attr, worker_run, w);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return -1;
	workers->count++;
	return 0;
}

void
deadman_workers_want(struct deadman_worker *w, enum deadman_want bit)
{
	atomic_fetch_or(&w->wants, (unsigned int)bit);
	deadman_workers_signal(w->wake);
}

void
deadman_workers_want_all(struct deadman_workers *workers, enum deadman_want bit)
{
	size_t i;

	for (i = 0; i < workers->count; i++)
		deadman_workers_want(&workers->items[i], bit);
}

bool
deadman_workers_done(
    const struct deadman_workers *workers, enum deadman_want bit)
{
	size_t i;

	for (i = 0; i < workers->count; i++)
		if ((atomic_load(&workers->items[i].done) & bit) == 0)
			return false;
	return true;
}
