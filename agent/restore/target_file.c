/* SPDX-License-Identifier: Apache-2.0 */
/* A raw file: sparse, written under its .partial name. */
#include "agent/restore/target.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/restore/partial.h"
#include "common/err.h"
#include "common/io.h"

struct target_file {
	struct target base;
	struct partial *partial;
};

static int
file_write(struct target *t, uint64_t offset, const void *buf, size_t size,
    struct err *err)
{
	struct target_file *f = (struct target_file *)t;

	if (io_pwrite_full(partial_fd(f->partial), buf, size, offset) == -1)
		return err_errno(
		    err, errno, "cannot write '%s'", partial_path(f->partial));
	return 0;
}

static int
file_finish(struct target *t, struct err *err)
{
	struct target_file *f = (struct target_file *)t;

	return partial_commit(f->partial, err);
}

static void
file_close(struct target *t)
{
	struct target_file *f = (struct target_file *)t;

	partial_close(f->partial);
	free(f);
}

static const struct target_ops file_ops = {
	.write = file_write,
	.finish = file_finish,
	.close = file_close,
};

int
target_file_check(const struct target_request *request, struct err *err)
{
	return partial_check(request, err);
}

int
target_file_open(
    struct target **out, const struct target_request *request, struct err *err)
{
	struct target_file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return err_no_memory(err);
	f->base.ops = &file_ops;
	if (partial_open(&f->partial, request, err) == -1) {
		free(f);
		return -1;
	}
	if (ftruncate(partial_fd(f->partial), (off_t)request->size_bytes) ==
	    -1) {
		err_errno(
		    err, errno, "cannot size '%s'", partial_path(f->partial));
		file_close(&f->base);
		return -1;
	}
	*out = &f->base;
	return 0;
}
