/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference backend: objects in memory.  Stores are named and live until
 * the process ends, so that closing and opening again finds them.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backends/registry.h"
#include "common/err.h"

struct object {
	struct object *next; /* Sorted by key. */
	char *key;
	void *data;
	size_t size;
};

struct mem_store {
	struct mem_store *next;
	struct object *objects; /* Guarded by lock. */
	pthread_mutex_t lock;
	char name[];
};

struct mem_backend {
	struct backend backend;
	struct mem_store *store;
};

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mem_store *stores; /* Guarded by stores_lock; never freed. */

static struct mem_store *
store_of(struct backend *b)
{
	return ((struct mem_backend *)b)->store;
}

static struct mem_store *
find_store(const char *name, bool create)
{
	struct mem_store *s;

	pthread_mutex_lock(&stores_lock);
	for (s = stores; s != NULL && strcmp(s->name, name) != 0; s = s->next)
		;
	if (s == NULL && create &&
	    (s = calloc(1, sizeof(*s) + strlen(name) + 1)) != NULL) {
		memcpy(s->name, name, strlen(name) + 1);
		pthread_mutex_init(&s->lock, NULL);
		s->next = stores;
		stores = s;
	}
	pthread_mutex_unlock(&stores_lock);
	return s;
}

static int
mem_open(struct backend **out, const char *url, enum backend_open_mode mode,
    struct err *err)
{
	const char *name = strchr(url, ':') + 1;
	struct mem_backend *m;
	struct mem_store *s;

	if ((s = find_store(name, mode == BACKEND_CREATE)) == NULL) {
		return mode == BACKEND_CREATE ? err_no_memory(err)
					      : err_set(err, ERR_NOT_FOUND,
						    "'%s' does not exist", url);
	}
	if ((m = calloc(1, sizeof(*m))) == NULL)
		return err_no_memory(err);
	m->backend.ops = &mem_backend_ops;
	m->store = s;
	*out = &m->backend;
	return 0;
}

static void
mem_close(struct backend *b)
{
	free(b);
}

/* The link that points at key, or at where it would be. */
static struct object **
find_link(struct mem_store *s, const char *key)
{
	struct object **link = &s->objects;

	while (*link != NULL && strcmp((*link)->key, key) < 0)
		link = &(*link)->next;
	return link;
}

static struct object *
find_object(struct mem_store *s, const char *key)
{
	struct object *o = *find_link(s, key);

	return o != NULL && strcmp(o->key, key) == 0 ? o : NULL;
}

static void
object_free(struct object *o)
{
	if (o == NULL)
		return;
	free(o->key);
	free(o->data);
	free(o);
}

static struct object *
object_new(const char *key, const void *buf, size_t size)
{
	struct object *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->key = strdup(key);
	o->data = malloc(size > 0 ? size : 1);
	o->size = size;
	if (o->key == NULL || o->data == NULL) {
		object_free(o);
		return NULL;
	}
	if (size > 0)
		memcpy(o->data, buf, size);
	return o;
}

static int
mem_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	struct mem_store *s = store_of(b);
	struct object *o = object_new(key, buf, size);
	struct object **link;
	int rc = 0;

	if (o == NULL)
		return err_no_memory(err);
	pthread_mutex_lock(&s->lock);
	link = find_link(s, key);
	if (*link != NULL && strcmp((*link)->key, key) == 0) {
		rc =
		    err_set(err, ERR_EXISTS, "object '%s' exists already", key);
	} else {
		o->next = *link;
		*link = o;
		o = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	object_free(o);
	return rc;
}

static int
mem_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	struct mem_store *s = store_of(b);
	struct object *o;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if ((o = find_object(s, key)) == NULL)
		rc = err_set(
		    err, ERR_NOT_FOUND, "object '%s' does not exist", key);
	else if (offset > o->size || size > o->size - offset)
		rc = err_set(err, ERR_CORRUPT, "object '%s' is too short", key);
	else if (size > 0)
		memcpy(buf, (const char *)o->data + offset, size);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int
mem_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	struct mem_store *s = store_of(b);
	struct object *o;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if ((o = find_object(s, key)) == NULL)
		rc = err_set(
		    err, ERR_NOT_FOUND, "object '%s' does not exist", key);
	else
		*out_size = o->size;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int
mem_remove(struct backend *b, const char *key, struct err *err)
{
	struct mem_store *s = store_of(b);
	struct object **link, *o = NULL;

	(void)err;
	pthread_mutex_lock(&s->lock);
	link = find_link(s, key);
	if (*link != NULL && strcmp((*link)->key, key) == 0) {
		o = *link;
		*link = o->next;
	}
	pthread_mutex_unlock(&s->lock);
	object_free(o);
	return 0;
}

/* Copies the first object after `after`, so that visits run unlocked. */
static bool
next_object(struct mem_store *s, const char *prefix,
    char key[BACKEND_KEY_MAX + 1], uint64_t *size, bool first)
{
	struct object *o;
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (o = s->objects; o != NULL && !found; o = o->next) {
		if (strncmp(o->key, prefix, strlen(prefix)) != 0 ||
		    (!first && strcmp(o->key, key) <= 0))
			continue;
		memcpy(key, o->key, strlen(o->key) + 1);
		*size = o->size;
		found = true;
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

static int
mem_list(struct backend *b, const char *prefix, backend_visit_fn *fn, void *arg,
    struct err *err)
{
	char key[BACKEND_KEY_MAX + 1] = "";
	uint64_t size;
	bool first = true;

	(void)err;
	while (next_object(store_of(b), prefix, key, &size, first)) {
		first = false;
		if (fn(arg, key, size) != 0)
			break;
	}
	return 0;
}

const struct backend_ops mem_backend_ops = {
	.scheme = "mem",
	.open = mem_open,
	.close = mem_close,
	.put = mem_put,
	.get = mem_get,
	.stat = mem_stat,
	.remove = mem_remove,
	.list = mem_list,
};
