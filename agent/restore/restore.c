/* SPDX-License-Identifier: Apache-2.0 */
/* One disk from the repository to a target. */
#include "agent/restore/restore.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/restore/target.h"
#include "agent/restore/written.h"
#include "common/cancel.h"
#include "common/ckd.h"
#include "common/err.h"
#include "store/manifest.h"
#include "store/store.h"

#define TICK_MS 100

typedef int open_fn(
    struct target **out, const struct target_request *request, struct err *err);

struct kind {
	open_fn *open;
	target_check_fn *check;
};

/*
 * The work runs in a thread of its own, so that the caller's can tick
 * whatever the work waits for.
 */
struct restore {
	struct store *store;
	const struct manifest_disk *disk;
	const struct restore_options *options;
	struct target *target;
	struct written *written; /* NULL: the target needs no zeroing. */
	atomic_bool stop;
	_Atomic uint64_t done_bytes;
	_Atomic uint64_t total_bytes;

	pthread_mutex_t lock;
	pthread_cond_t over_cond;
	bool over; /* Under the lock; what follows is set before it. */
	int rc;
	struct err err;
};

/* ---- which target ---- */

static bool
starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int
refuse_url(const char *target, struct err *err)
{
	if (starts_with(target, "rbd:")) {
		err_set(err, ERR_UNSUPPORTED,
		    "this build cannot write Ceph RBD images ('%s')", target);
		return err_hint(err, "map the image with 'rbd map' and "
				     "restore to its device");
	}
	err_set(err, ERR_ARG, "'%s' is of no known kind", target);
	return err_hint(err, "name a file, a block device, or "
			     "nbd+unix:///NAME?socket=PATH");
}

static int
choose_target(
    struct kind *out, const struct restore_options *options, struct err *err)
{
	const char *target = options->target;
	struct stat st;

	out->check = target_file_check;
	out->open = options->format == RESTORE_RAW ? target_file_open
						   : target_qcow2_open;
	if (target == NULL || *target == '\0')
		return err_set(err, ERR_ARG, "the target's name is empty");
	if (starts_with(target, "nbd+unix:")) {
		*out = (struct kind){ target_nbd_open, target_nbd_check };
		return 0;
	}
	if (starts_with(target, "rbd:") || strstr(target, "://") != NULL)
		return refuse_url(target, err);
	if (stat(target, &st) == 0) {
		if (S_ISBLK(st.st_mode))
			*out = (struct kind){ target_device_open,
				target_device_check };
		else if (!S_ISREG(st.st_mode))
			return err_set(err, ERR_ARG,
			    "'%s' is neither a file nor a block device",
			    target);
		return 0;
	}
	/* A mistyped device must not become a file in memory. */
	if (starts_with(target, "/dev/") && !starts_with(target, "/dev/shm/"))
		return err_errno(err, errno, "cannot use device '%s'", target);
	return 0;
}

/* ---- the work ---- */

static int
check_stop(const struct restore *r, struct err *err)
{
	if (atomic_load(&r->stop))
		return err_set(err, ERR_CANCELLED, "stopped");
	return 0;
}

/* Called by the reader's threads. */
static int
write_data(
    void *arg, uint64_t offset, const void *buf, size_t size, struct err *err)
{
	struct restore *r = arg;
	uint64_t end;

	if (check_stop(r, err) == -1)
		return -1;
	if (ckd_add(&end, offset, size) || end > r->disk->size_bytes)
		return err_set(
		    err, ERR_CORRUPT, "the map has data behind the disk's end");
	if (r->written != NULL)
		written_mark(r->written, offset, size);
	if (r->target->ops->write(r->target, offset, buf, size, err) == -1)
		return -1;
	atomic_fetch_add(&r->done_bytes, size);
	return 0;
}

/* The reader does not report zeros, so they are what it did not write. */
static int
zero_rest(struct restore *r, struct err *err)
{
	uint64_t offset = 0, bytes;

	if (r->written == NULL)
		return 0;
	while (written_gap(r->written, &offset, &bytes, TARGET_ZERO_BYTES)) {
		if (check_stop(r, err) == -1 ||
		    r->target->ops->zero(r->target, offset, bytes, err) == -1)
			return -1;
		offset += bytes;
	}
	return 0;
}

static int
open_target(
    struct restore *r, open_fn *open, uint64_t data_bytes, struct err *err)
{
	struct target_request request = {
		.path = r->options->target,
		.size_bytes = r->disk->size_bytes,
		.data_bytes = data_bytes,
		.overwrite = r->options->overwrite,
		.stop = &r->stop,
	};

	if (open(&r->target, &request, err) == -1)
		return -1;
	if (r->target->ops->zero == NULL)
		return 0;
	if ((r->written = written_new(r->disk->size_bytes)) == NULL)
		return err_no_memory(err);
	return 0;
}

static int
work(struct restore *r, struct err *err)
{
	struct store_reader *reader = NULL;
	struct kind kind;
	uint64_t data_bytes;
	int rc = -1;

	if (choose_target(&kind, r->options, err) == -1 ||
	    store_reader_open(&reader, r->store, r->disk, err) == -1)
		goto out;
	if (r->options->lost != NULL)
		store_reader_salvage(reader, r->options->lost, r->options->arg);
	if (store_reader_data_bytes(reader, &data_bytes, err) == -1)
		goto out;
	atomic_store(&r->total_bytes, data_bytes);
	if (open_target(r, kind.open, data_bytes, err) == -1 ||
	    store_reader_stream(
		reader, r->options->threads, write_data, r, err) == -1 ||
	    zero_rest(r, err) == -1 || check_stop(r, err) == -1)
		goto out;
	rc = r->target->ops->finish(r->target, err);
out:
	if (r->target != NULL)
		r->target->ops->close(r->target);
	written_free(r->written);
	store_reader_close(reader);
	return rc;
}

static void *
work_thread(void *arg)
{
	struct restore *r = arg;
	int rc = work(r, &r->err);

	pthread_mutex_lock(&r->lock);
	r->rc = rc;
	r->over = true;
	pthread_cond_signal(&r->over_cond);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- the caller's thread ---- */

static bool
wait_over(struct restore *r)
{
	struct timespec until;
	bool over;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += TICK_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&r->lock);
	while (!r->over && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&r->over_cond, &r->lock, &until);
	over = r->over;
	pthread_mutex_unlock(&r->lock);
	return over;
}

/* Asks whether to go on; sets stop and *wish when not. */
static void
tick(struct restore *r, struct err *wish)
{
	const struct restore_options *o = r->options;
	int rc;

	if (atomic_load(&r->stop))
		return;
	rc = cancel_check(wish);
	if (rc == 0 && o->tick != NULL)
		rc = o->tick(o->arg, atomic_load(&r->done_bytes),
		    atomic_load(&r->total_bytes), wish);
	if (rc != 0)
		atomic_store(&r->stop, true);
}

static int
run(struct restore *r, struct err *err)
{
	struct err wish = ERR_INIT;
	pthread_t thread;
	int rc;

	rc = pthread_create(&thread, NULL, work_thread, r);
	if (rc != 0)
		return err_errno(err, rc, "cannot start a thread");
	do
		tick(r, &wish);
	while (!wait_over(r));
	pthread_join(thread, NULL);
	/* The last word of a display: all of it. */
	if (r->rc == 0 && !atomic_load(&r->stop))
		tick(r, &wish);
	if (r->rc == -1)
		*err = atomic_load(&r->stop) ? wish : r->err;
	return r->rc;
}

int
restore_disk(struct store *s, const struct manifest_disk *disk,
    const struct restore_options *options, struct err *err)
{
	struct restore r = { .store = s, .disk = disk, .options = options };
	pthread_condattr_t attributes;
	int rc;

	pthread_mutex_init(&r.lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r.over_cond, &attributes);
	pthread_condattr_destroy(&attributes);
	rc = run(&r, err);
	pthread_cond_destroy(&r.over_cond);
	pthread_mutex_destroy(&r.lock);
	return rc;
}

int
restore_check(const struct manifest_disk *disk,
    const struct restore_options *options, struct err *err)
{
	const struct target_request request = {
		.path = options->target,
		.size_bytes = disk->size_bytes,
		.overwrite = options->overwrite,
	};
	struct kind kind;

	if (choose_target(&kind, options, err) == -1)
		return -1;
	return kind.check(&request, err);
}

/* ---- formats ---- */

static const char *const format_names[] = {
	[RESTORE_QCOW2] = "qcow2",
	[RESTORE_RAW] = "raw",
};

const char *
restore_format_name(enum restore_format format)
{
	return format_names[format];
}

int
restore_format_parse(enum restore_format *out, const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++) {
		if (strcmp(word, format_names[i]) == 0) {
			*out = (enum restore_format)i;
			return 0;
		}
	}
	return -1;
}
