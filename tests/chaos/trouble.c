/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that makes trouble. */
#include "tests/chaos/trouble.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/backend.h"
#include "common/err.h"
#include "common/io.h"
#include "common/procid.h"
#include "tests/chaos/disk.h"

enum fate {
	WELL,
	NOT_DONE, /* It fails, and nothing was done. */
	DONE,     /* It was done, and is said to have failed. */
	HALF,     /* Some of it was done. */
};

struct trouble {
	struct backend backend;
	struct backend *inner;
	char *folder;
	struct trouble_plan plan;
	pthread_mutex_t lock; /* Guards all below. */
	uint64_t state;
	uint64_t calls;
	uint64_t serial;
};

static const struct backend_ops trouble_ops;

static struct trouble *
of(struct backend *b)
{
	return (struct trouble *)b;
}

static uint32_t
draw(struct trouble *t, uint32_t n)
{
	uint32_t v;

	pthread_mutex_lock(&t->lock);
	v = chance_below(&t->state, n);
	pthread_mutex_unlock(&t->lock);
	return v;
}

static void
delay(struct trouble *t)
{
	const struct timespec time = { .tv_nsec = draw(t, 5000) * 1000 };

	if (draw(t, 1000) < t->plan.slow_permille)
		nanosleep(&time, NULL);
}

/* Stops for ever, unless somebody else has it go on. */
static void
maybe_stop(struct trouble *t, bool after)
{
	bool now;

	pthread_mutex_lock(&t->lock);
	now = t->plan.stop_at != 0 && t->calls == t->plan.stop_at &&
	      after == (t->plan.seed % 2 == 0);
	if (now)
		t->plan.stop_at = 0;
	pthread_mutex_unlock(&t->lock);
	if (now)
		raise(SIGSTOP);
}

static enum fate
begin(struct trouble *t, const char *op, const char *key, struct err *err)
{
	static const enum err_class classes[] = { ERR_IO, ERR_NO_SPACE,
		ERR_TIMEOUT, ERR_IO };
	static const char *const words[] = { "", "not done",
		"done, but no answer", "half done" };
	enum fate fate;

	pthread_mutex_lock(&t->lock);
	t->calls++;
	pthread_mutex_unlock(&t->lock);
	maybe_stop(t, false);
	delay(t);
	if (draw(t, 1000) >= t->plan.fail_permille ||
	    (t->plan.only_writes && strcmp(op, "put") != 0 &&
		strcmp(op, "remove") != 0))
		return WELL;
	fate = (enum fate)(1 + draw(t, 3));
	fprintf(stderr, "fault: %s '%s': %s\n", op, key, words[fate]);
	err_set(
	    err, classes[draw(t, 4)], "injected: %s of '%s' failed", op, key);
	return fate;
}

static int
end(struct trouble *t, enum fate fate, int rc)
{
	maybe_stop(t, true);
	return fate == WELL ? rc : -1;
}

/* What a put leaves that ends in the middle. */
static void
put_half(struct trouble *t, const void *buf, size_t size)
{
	struct err ignored = ERR_INIT;
	struct procid self;
	char *path;
	int fd;

	if (procid_self(&self, &ignored) == -1 ||
	    asprintf(&path,
		"%s/tmp/%s.%" PRIu64 ".%" PRId64 ".%" PRIu64 ".half.%" PRIu64,
		t->folder, self.boot_id, self.pid_namespace, self.pid,
		self.start_ticks, chance(&t->serial)) == -1)
		abort();
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	/* The file system may be full in earnest. */
	if (fd != -1 && io_write_full(fd, buf, size / 2) == -1)
		fprintf(stderr, "half a put: %s\n", strerror(errno));
	if (fd != -1)
		close(fd);
	free(path);
}

static int
trouble_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	struct trouble *t = of(b);
	struct err own = ERR_INIT;
	enum fate fate = begin(t, "put", key, &own);
	int rc = 0;

	if (fate == WELL || fate == DONE)
		rc = backend_put(t->inner, key, buf, size, err);
	else if (fate == HALF)
		put_half(t, buf, size);
	if (fate != WELL && rc == 0)
		*err = own;
	return end(t, fate, rc);
}

static void
flip(struct trouble *t, const char *key, uint8_t *buf, size_t size)
{
	unsigned int permille = t->plan.flip_permille;
	size_t at;

	/* Most in packs: what else is wrong ends the work before it is begun. */
	if (strncmp(key, "packs/", 6) != 0)
		permille /= 8;
	if (size == 0 || draw(t, 1000) >= permille)
		return;
	at = draw(t, (uint32_t)size);
	fprintf(stderr, "fault: get '%s': wrong at %zu\n", key, at);
	if (draw(t, 2) == 0)
		buf[at] ^= (uint8_t)(1u << draw(t, 8));
	else
		memset(buf + at, 0xa5, size - at);
}

static int
trouble_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	struct trouble *t = of(b);
	enum fate fate = begin(t, "get", key, err);
	int rc = 0;

	if (fate == WELL)
		rc = backend_get(t->inner, key, offset, buf, size, err);
	if (fate == WELL && rc == 0)
		flip(t, key, buf, size);
	return end(t, fate, rc);
}

static int
trouble_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	struct trouble *t = of(b);
	enum fate fate = begin(t, "stat", key, err);
	int rc = 0;

	if (fate == WELL)
		rc = backend_stat(t->inner, key, out_size, err);
	return end(t, fate, rc);
}

static int
trouble_settle(struct backend *b, const char *key, struct err *err)
{
	struct trouble *t = of(b);
	enum fate fate = begin(t, "settle", key, err);
	int rc = 0;

	if (fate == WELL)
		rc = backend_settle(t->inner, key, err);
	return end(t, fate, rc);
}

static int
trouble_remove(struct backend *b, const char *key, struct err *err)
{
	struct trouble *t = of(b);
	struct err own = ERR_INIT;
	enum fate fate = begin(t, "remove", key, &own);
	int rc = 0;

	if (fate == WELL || fate == DONE)
		rc = backend_remove(t->inner, key, err);
	if (fate != WELL && rc == 0)
		*err = own;
	return end(t, fate, rc);
}

struct listing {
	struct trouble *t;
	backend_visit_fn *fn;
	void *arg;
	bool half; /* It breaks off. */
	bool lags;
};

static int
visit(void *arg, const char *key, uint64_t size_bytes)
{
	struct listing *l = arg;

	if (l->half && draw(l->t, 4) == 0)
		return 1;
	if (l->lags && draw(l->t, 1000) < l->t->plan.lag_permille)
		return 0;
	return l->fn(l->arg, key, size_bytes);
}

static int
trouble_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	struct trouble *t = of(b);
	struct err own = ERR_INIT;
	enum fate fate = begin(t, "list", prefix, &own);
	struct listing l = { .t = t, .fn = fn, .arg = arg };
	int rc = 0;

	l.half = fate == HALF;
	/* Keys are no part of the protocol that allows for it. */
	l.lags = strncmp(prefix, "keys/", 5) != 0;
	if (fate != NOT_DONE)
		rc = backend_list(t->inner, prefix, visit, &l, err);
	if (fate != WELL && rc == 0)
		*err = own;
	return end(t, fate, rc);
}

static int
trouble_open_url(struct backend **out, const char *url,
    enum backend_open_mode mode, struct err *err)
{
	(void)out;
	(void)mode;
	return err_set(err, ERR_ARG, "'%s': trouble_open() makes this", url);
}

static void
trouble_close(struct backend *b)
{
	struct trouble *t = of(b);

	backend_close(t->inner);
	pthread_mutex_destroy(&t->lock);
	free(t->folder);
	free(t);
}

static const struct backend_ops trouble_ops = {
	.scheme = "trouble",
	.open = trouble_open_url,
	.close = trouble_close,
	.put = trouble_put,
	.get = trouble_get,
	.stat = trouble_stat,
	.remove = trouble_remove,
	.list = trouble_list,
	.settle = trouble_settle,
};

int
trouble_open(struct backend **out, const char *folder,
    const struct trouble_plan *plan, struct err *err)
{
	struct trouble *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_no_memory(err);
	if (backend_open(&t->inner, folder, BACKEND_OPEN, err) == -1) {
		free(t);
		return -1;
	}
	t->backend.ops = &trouble_ops;
	t->folder = strdup(folder);
	t->plan = *plan;
	t->state = plan->seed;
	t->serial = plan->seed;
	pthread_mutex_init(&t->lock, NULL);
	*out = &t->backend;
	return t->folder == NULL ? err_no_memory(err) : 0;
}
