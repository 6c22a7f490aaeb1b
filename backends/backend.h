/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place that keeps objects: dumb, durable, each object written once.
 * Contract in words, and the cases every backend has to pass:
 * docs/backend-api.md and tests/conformance/.
 *
 * Callers use the backend_*() functions only; they check keys, sizes and
 * ranges once, so that backends need not.  All functions may be called from
 * several threads at once on one handle.
 *
 * A key is 1 to 200 characters of [a-z0-9._-] in parts joined by single
 * slashes, no part "." or ".." or empty, for example "packs/0f/0f12ab...".
 */
#ifndef HOLDSTILL_BACKENDS_BACKEND_H
#define HOLDSTILL_BACKENDS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct backend_ops;

#define BACKEND_KEY_MAX 200
/* The largest object: a pack and its margin. */
#define BACKEND_OBJECT_MAX (256u << 20)

struct backend { /* First member of each backend's own struct. */
	const struct backend_ops *ops;
};

enum backend_open_mode {
	BACKEND_OPEN,   /* The place must exist: else ERR_NOT_FOUND. */
	BACKEND_CREATE, /* Made if absent (a folder, a prefix). */
};

/* What a put asks before each of its pieces moves; see backend_put_paced(). */
struct backend_pace {
	/* -1 with err ends the put. */
	int (*fn)(void *arg, size_t bytes, struct err *err);
	void *arg;
	size_t piece_bytes; /* The largest piece; not 0. */
};

/* Called once for each object.  Non-zero ends the listing early. */
typedef int backend_visit_fn(void *arg, const char *key, uint64_t size_bytes);

/* Each int call returns 0, or -1 with *err set.  Arguments are borrowed. */
struct backend_ops {
	/* The URL's scheme: "dir", "s3".  "dir" also serves plain paths. */
	const char *scheme;
	/* On success the caller owns *out and gives it to close(). */
	int (*open)(struct backend **out, const char *url,
	    enum backend_open_mode mode, struct err *err);
	void (*close)(struct backend *b); /* Never NULL here. */
	/*
	 * 0: the object is durable under key.  -1: key is as it was, and
	 * nothing of this put is ever listed - or, if only the last step or
	 * its answer failed (never with ERR_EXISTS), the whole object is there:
	 * it is not taken away again, for others may have seen it, and
	 * settle() tells whether it is durable.  A present key is ERR_EXISTS;
	 * of two concurrent puts at most one succeeds.
	 */
	int (*put)(struct backend *b, const char *key, const void *buf,
	    size_t size, struct err *err);
	/*
	 * Fills all size bytes from offset.  ERR_NOT_FOUND without the
	 * object; an object that ends earlier is ERR_CORRUPT.
	 */
	int (*get)(struct backend *b, const char *key, uint64_t offset,
	    void *buf, size_t size, struct err *err);
	/* The object's size, or ERR_NOT_FOUND. */
	int (*stat)(struct backend *b, const char *key, uint64_t *out_size,
	    struct err *err);
	/* Removing an absent key succeeds, so a retry is harmless. */
	int (*remove)(struct backend *b, const char *key, struct err *err);
	/*
	 * Visits each complete object whose key starts with prefix ("" is
	 * all), once, in any order.  A visit may call the backend.  Stops
	 * early, with 0, when fn returns non-zero.  It may lag behind puts
	 * and removes; but what a listing has shown all later ones show, as
	 * long as it is there.
	 */
	int (*list)(struct backend *b, const char *prefix, backend_visit_fn *fn,
	    void *arg, struct err *err);
	/*
	 * As put, at the pace that is asked for.  NULL: the backend moves an
	 * object in one go, and is given it once all of it may move.
	 */
	int (*put_paced)(struct backend *b, const char *key, const void *buf,
	    size_t size, const struct backend_pace *pace, struct err *err);
	/*
	 * 0: the object is durable, also if the put that made it has not
	 * returned.  ERR_NOT_FOUND without the object; after another failure
	 * get() asks the disk, where the system can be made to.  NULL: what
	 * stat sees is durable.
	 */
	int (*settle)(struct backend *b, const char *key, struct err *err);
};

/*
 * Opens a repository URL or path ("/srv/backup", "file:///srv/backup",
 * "mem:NAME").  An unknown scheme is ERR_ARG, one that this build lacks is
 * ERR_UNSUPPORTED with a hint.
 */
int backend_open(struct backend **out, const char *url,
    enum backend_open_mode mode, struct err *err);

/* As backend_open() judges the URL, without a look at what is there. */
int backend_check_url(const char *url, struct err *err);

/* NULL is allowed. */
void backend_close(struct backend *b);

int backend_put(struct backend *b, const char *key, const void *buf,
    size_t size, struct err *err);
/* As backend_put(); pace->fn is asked for each piece, in order, before it
 * moves. */
int backend_put_paced(struct backend *b, const char *key, const void *buf,
    size_t size, const struct backend_pace *pace, struct err *err);
int backend_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err);
int backend_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err);
/* 1: it is there, of that size (out_size may be NULL); 0: it is not; -1. */
int backend_has(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err);
int backend_remove(struct backend *b, const char *key, struct err *err);
/* Makes sure of an object that another may be about to put.  For whoever makes
 * something durable that is worth nothing without it. */
int backend_settle(struct backend *b, const char *key, struct err *err);
int backend_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err);
/* 1: some key starts with prefix; 0: none does; -1. */
int backend_has_any(struct backend *b, const char *prefix, struct err *err);

/*
 * Reads a whole object of at most max bytes into *out (malloc, caller frees).
 * A larger one is ERR_CORRUPT.
 */
int backend_get_all(struct backend *b, const char *key, size_t max, void **out,
    size_t *out_size, struct err *err);

bool backend_key_valid(const char *key);

#endif
