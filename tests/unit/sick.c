/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that cannot read some places, or from some read on nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "store/store_internal.h"
#include "tests/unit/sick.h"

/* For ever. */
#define ANY (INT64_MAX / 2)

static int
sick_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	struct sick *s = (struct sick *)b;
	bool fails = false;
	unsigned int i;

	for (i = 0; i < s->count; i++)
		fails = fails ||
			strncmp(key, s->prefix[i], strlen(s->prefix[i])) == 0;
	if (fails && atomic_fetch_sub(&s->ills_left, 1) <= 0)
		fails = false;
	if (atomic_fetch_sub(&s->reads_left, 1) <= 0)
		fails = true;
	if (fails)
		return err_errno(
		    err, s->errnum, "cannot read object '%s'", key);
	return backend_get(s->inner, key, offset, buf, size, err);
}

static int
sick_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	return backend_put(((struct sick *)b)->inner, key, buf, size, err);
}

static int
sick_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	return backend_stat(((struct sick *)b)->inner, key, out_size, err);
}

static int
sick_remove(struct backend *b, const char *key, struct err *err)
{
	return backend_remove(((struct sick *)b)->inner, key, err);
}

static int
sick_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	return backend_list(((struct sick *)b)->inner, prefix, fn, arg, err);
}

static int
sick_settle(struct backend *b, const char *key, struct err *err)
{
	struct sick *s = (struct sick *)b;

	if (s->settle_errnum == 0)
		return backend_settle(s->inner, key, err);
	return err_errno(err, s->settle_errnum, "cannot settle '%s'", key);
}

static const struct backend_ops sick_ops = {
	.scheme = "sick",
	.get = sick_get,
	.put = sick_put,
	.stat = sick_stat,
	.remove = sick_remove,
	.list = sick_list,
	.settle = sick_settle,
};

void
sick_begin(struct sick *sick, struct store *s)
{
	*sick = (struct sick){ .backend.ops = &sick_ops,
		.inner = s->backend,
		.store = s,
		.reads_left = ANY,
		.ills_left = ANY,
		.errnum = EIO };
	s->backend = &sick->backend;
}

void
sick_add(struct sick *sick, const char *prefix)
{
	snprintf(
	    sick->prefix[sick->count++], sizeof(sick->prefix[0]), "%s", prefix);
}

void
sick_end(struct sick *sick)
{
	if (sick->store != NULL)
		sick->store->backend = sick->inner;
	sick->store = NULL;
}
