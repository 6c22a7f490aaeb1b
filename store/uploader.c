/* SPDX-License-Identifier: Apache-2.0 */
/* Packs to the backend, then their index. */
#include "store/uploader.h"

#include <stdlib.h>

#include "common/cancel.h"
#include "common/err.h"
#include "store/pending.h"

#define PIECE_BYTES (4u << 20)

struct uploader {
	struct store *store;
	struct claims *claims;
	struct usable *usable;
	uploader_failed_fn *failed_fn;
	void *arg;
	pthread_t thread;
	bool started;
	struct index_set pending; /* Durable, in no index; thread's own. */
	struct pending *noted;    /* The same, of a host, on disk; or NULL. */

	pthread_mutex_t lock; /* Guards all below. */
	pthread_cond_t changed;
	struct pack *waiting; /* One; another may be under way. */
	bool busy;
	bool flush; /* Write an index as soon as nothing waits. */
	bool stop;
	bool failed;
	struct err failure;
};

static int
write_index(struct uploader *u, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	unsigned int i;

	if (u->pending.count == 0)
		return 0;
	if (index_put(u->store->backend, u->store->seal, &u->pending, id,
		err) == -1 ||
	    usable_put(u->usable, u->pending.packs, u->pending.count, err) ==
		-1 ||
	    localindex_add(u->store->index, id, u->pending.packs,
		u->pending.count, err) == -1)
		return -1;
	for (i = 0; i < u->pending.count; i++)
		claims_drop(u->claims, &u->pending.packs[i].table);
	index_set_fini(&u->pending);
	pending_clear(u->noted);
	return 0;
}

static int
go_on(void *arg, size_t bytes, struct err *err)
{
	(void)arg;
	(void)bytes;
	return cancel_check(err);
}

static int
put_pack(struct uploader *u, struct pack *p, struct err *err)
{
	/* A pack takes minutes on a slow line: Ctrl-C does not wait for it. */
	const struct backend_pace pace = { .fn = go_on,
		.piece_bytes = PIECE_BYTES };
	char key[OBJECT_KEY_SIZE];

	object_key(key, OBJECT_PACK, p->id);
	if (pack_finish(p, err) == -1 ||
	    backend_put_paced(
		u->store->backend, key, p->data, p->size, &pace, err) == -1)
		return -1;
	index_set_add(&u->pending, p->id, p->size, &p->table);
	pending_add(u->noted, &u->pending.packs[u->pending.count - 1]);
	return index_set_full(&u->pending) ? write_index(u, err) : 0;
}

/* Called with the lock held; drops it while it works. */
static void
work_once(struct uploader *u)
{
	struct pack *p = u->waiting;
	struct err err = ERR_INIT;
	int rc;

	u->waiting = NULL;
	u->busy = true;
	pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->lock);
	rc = p != NULL ? put_pack(u, p, &err) : write_index(u, &err);
	pack_free(p);
	if (rc == -1)
		u->failed_fn(u->arg, &err);
	pthread_mutex_lock(&u->lock);
	u->busy = false;
	if (rc == -1) {
		u->failed = true;
		u->failure = err;
	} else if (p == NULL) {
		u->flush = false;
	}
	pthread_cond_broadcast(&u->changed);
}

static void *
run(void *arg)
{
	struct uploader *u = arg;

	pthread_mutex_lock(&u->lock);
	while (!u->stop) {
		if (!u->failed && (u->waiting != NULL || u->flush))
			work_once(u);
		else
			pthread_cond_wait(&u->changed, &u->lock);
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

int
uploader_new(struct uploader **out, struct store *s, struct claims *claims,
    struct usable *usable, uint64_t epoch, uploader_failed_fn *failed,
    void *arg, struct err *err)
{
	struct uploader *u = calloc(1, sizeof(*u));
	int code;

	if (u == NULL)
		return err_no_memory(err);
	u->store = s;
	u->claims = claims;
	u->usable = usable;
	u->failed_fn = failed;
	u->arg = arg;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->changed, NULL);
	if (pending_new(&u->noted, s, epoch, err) == -1) {
		uploader_free(u);
		return -1;
	}
	if ((code = pthread_create(&u->thread, NULL, run, u)) != 0) {
		uploader_free(u);
		return err_errno(err, code, "cannot start a thread");
	}
	u->started = true;
	*out = u;
	return 0;
}

void
uploader_free(struct uploader *u)
{
	if (u == NULL)
		return;
	pthread_mutex_lock(&u->lock);
	u->stop = true;
	pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->lock);
	if (u->started)
		pthread_join(u->thread, NULL);
	pack_free(u->waiting);
	index_set_fini(&u->pending);
	pending_free(u->noted);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->changed);
	free(u);
}

int
uploader_put(struct uploader *u, struct pack *pack, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&u->lock);
	while (u->waiting != NULL && !u->failed)
		pthread_cond_wait(&u->changed, &u->lock);
	if (u->failed) {
		*err = u->failure;
		rc = -1;
	} else {
		u->waiting = pack;
		pack = NULL;
		pthread_cond_broadcast(&u->changed);
	}
	pthread_mutex_unlock(&u->lock);
	pack_free(pack);
	return rc;
}

unsigned int
uploader_queued(struct uploader *u)
{
	unsigned int queued;

	pthread_mutex_lock(&u->lock);
	queued = (u->busy ? 1 : 0) + (u->waiting != NULL ? 1 : 0);
	pthread_mutex_unlock(&u->lock);
	return queued;
}

int
uploader_flush(struct uploader *u, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&u->lock);
	u->flush = true;
	pthread_cond_broadcast(&u->changed);
	while (!u->failed && (u->waiting != NULL || u->busy || u->flush))
		pthread_cond_wait(&u->changed, &u->lock);
	if (u->failed) {
		*err = u->failure;
		rc = -1;
	}
	pthread_mutex_unlock(&u->lock);
	return rc;
}
