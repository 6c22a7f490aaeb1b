/* SPDX-License-Identifier: Apache-2.0 */
/* A limit on bytes a second around another backend. */
#include "backends/wrap_rate.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/rate.h"

/* Each costs a call of the backend, whatever the limit. */
#define PIECE_MAX_BYTES (1u << 20)

struct rate_backend {
	struct backend backend;
	struct backend *inner;
	struct rate rate;
};

static const struct backend_ops rate_ops;

static struct backend *
inner_of(struct backend *b)
{
	return ((struct rate_backend *)b)->inner;
}

static struct rate *
rate_of(struct backend *b)
{
	return &((struct rate_backend *)b)->rate;
}

static int
rate_open_url(struct backend **out, const char *url,
    enum backend_open_mode mode, struct err *err)
{
	(void)out;
	(void)mode;
	return err_set(
	    err, ERR_ARG, "'%s': wrap_rate_open() makes this one", url);
}

static void
rate_close(struct backend *b)
{
	backend_close(inner_of(b));
	rate_fini(rate_of(b));
	free(b);
}

static int
wait_for_piece(void *arg, size_t bytes, struct err *err)
{
	return rate_wait(arg, bytes, err);
}

static int
rate_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	const struct backend_pace pace = {
		.fn = wait_for_piece,
		.arg = rate_of(b),
		.piece_bytes = rate_piece(rate_of(b), PIECE_MAX_BYTES),
	};

	return backend_put_paced(inner_of(b), key, buf, size, &pace, err);
}

static int
rate_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	size_t piece = rate_piece(rate_of(b), PIECE_MAX_BYTES), done = 0, n;
	uint8_t *out = buf;

	do { /* Of nothing, too: is the object there? */
		n = size - done < piece ? size - done : piece;
		if (rate_wait(rate_of(b), n, err) == -1 ||
		    backend_get(inner_of(b), key, offset + done, out + done, n,
			err) == -1)
			return -1;
		done += n;
	} while (done < size);
	return 0;
}

static int
rate_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	return backend_stat(inner_of(b), key, out_size, err);
}

static int
rate_remove(struct backend *b, const char *key, struct err *err)
{
	return backend_remove(inner_of(b), key, err);
}

static int
rate_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	return backend_list(inner_of(b), prefix, fn, arg, err);
}

static int
rate_settle(struct backend *b, const char *key, struct err *err)
{
	return backend_settle(inner_of(b), key, err);
}

static const struct backend_ops rate_ops = {
	.scheme = "rate",
	.open = rate_open_url,
	.close = rate_close,
	.put = rate_put,
	.get = rate_get,
	.stat = rate_stat,
	.remove = rate_remove,
	.list = rate_list,
	.settle = rate_settle,
};

int
wrap_rate_open(struct backend **out, struct backend *inner,
    uint64_t bytes_per_second, struct err *err)
{
	struct rate_backend *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_no_memory(err);
	r->backend.ops = &rate_ops;
	r->inner = inner;
	rate_init(&r->rate, bytes_per_second);
	*out = &r->backend;
	return 0;
}
