/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the folder backend share; nobody else includes this. */
#ifndef HOLDSTILL_BACKENDS_DIR_DIR_INTERNAL_H
#define HOLDSTILL_BACKENDS_DIR_DIR_INTERNAL_H

#include <stdatomic.h>

#include "backends/registry.h"
#include "common/procid.h"

struct err;

struct dir_backend {
	struct backend backend;
	char *root;
	char *tmp; /* "ROOT/tmp" */
	struct procid self;
	atomic_uint_fast64_t serial; /* Makes temporary names unique. */
};

/* As err_errno, with a hint where the disk is full. */
int dir_error(struct err *err, int errnum, const char *what, const char *path);

/* Writes all and syncs it, at a pace unless that is NULL; name is for
 * errors. */
int dir_write(int fd, const char *name, const void *buf, size_t size,
    const struct backend_pace *pace, struct err *err);

/* A new temporary file's name in tmp/ (malloc), or NULL. */
char *dir_tmp_name(struct dir_backend *d);

/* Removes what dead processes left in tmp/; failing to is no error. */
void dir_tmp_sweep(const struct dir_backend *d);

/* The list member of the ops. */
int dir_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err);

/* ERR_EXISTS if the folder root holds names that are no keys. */
int dir_check_foreign(const char *root, struct err *err);

#endif
