/* SPDX-License-Identifier: Apache-2.0 */
/* A working thread and one that ticks. */
#include "agent/source/worker.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"

int
worker_init(struct worker *w, struct err *err)
{
	pthread_condattr_t attr;

	*w = (struct worker){ .stop_fd =
				  eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (w->stop_fd == -1)
		return err_errno(err, errno, "cannot make an event descriptor");
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void
worker_fini(struct worker *w)
{
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	close(w->stop_fd);
}

int
worker_check_stop(struct worker *w, struct err *err)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop ? err_set(err, ERR_CANCELLED, "stopped") : 0;
}

void
worker_progress(struct worker *w, uint64_t done, uint64_t total)
{
	pthread_mutex_lock(&w->lock);
	w->done_bytes = done;
	w->total_bytes = total;
	pthread_mutex_unlock(&w->lock);
}

static void
ask_stop(struct worker *w)
{
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	if (write(w->stop_fd, &one, sizeof(one)) == -1) {
		/* Cannot be: the counter is 0. */
	}
}

/* The calling thread's part. */
static int
tick_until_finished(
    struct worker *w, source_tick_fn *tick, void *arg, struct err *err)
{
	uint64_t done, total;
	struct timespec until;
	bool finished = false;
	int rc = 0;

	while (!finished) {
		pthread_mutex_lock(&w->lock);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += WORKER_TICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		while (!w->finished && pthread_cond_timedwait(&w->changed,
					   &w->lock, &until) != ETIMEDOUT)
			;
		finished = w->finished;
		done = w->done_bytes;
		total = w->total_bytes;
		pthread_mutex_unlock(&w->lock);
		if (rc == 0 && tick != NULL &&
		    (rc = tick(arg, done, total, err)) == -1)
			ask_stop(w);
	}
	return rc;
}

struct start {
	struct worker *worker;
	void (*work)(void *arg);
	void *arg;
};

static void *
run(void *arg)
{
	const struct start *start = arg;
	struct worker *w = start->worker;

	start->work(start->arg);
	pthread_mutex_lock(&w->lock);
	w->finished = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int
worker_run(struct worker *w, void (*work)(void *arg), void *arg,
    source_tick_fn *tick, void *tick_arg, struct err *err)
{
	struct start start = { .worker = w, .work = work, .arg = arg };
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, run, &start);

	if (rc != 0)
		return err_errno(err, rc, "cannot start a thread");
	rc = tick_until_finished(w, tick, tick_arg, err);
	pthread_join(thread, NULL);
	return rc;
}
