/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend that fails on demand: the same ops around any other, for tests.
 * The plan may be changed at any time between calls of the tests' thread.
 */
#ifndef HOLDSTILL_BACKENDS_WRAP_FAULT_H
#define HOLDSTILL_BACKENDS_WRAP_FAULT_H

#include <pthread.h>

#include "backends/backend.h"
#include "common/err.h"

enum wrap_fault_op {
	WRAP_FAULT_PUT = 1,
	WRAP_FAULT_GET = 2,
	WRAP_FAULT_STAT = 4,
	WRAP_FAULT_REMOVE = 8,
	WRAP_FAULT_LIST = 16,
	WRAP_FAULT_SETTLE = 32,
};

struct wrap_fault_plan {
	unsigned int ops;     /* WRAP_FAULT_*: the calls that count. */
	uint64_t fail_at;     /* The first of them to fail, from 1; 0: none. */
	bool once;            /* Else all later ones fail too, like a crash. */
	bool after;           /* Done, and then reported as failed. */
	enum err_class class; /* ERR_IO, ERR_NO_SPACE, ... */
};

struct wrap_fault {
	pthread_mutex_t lock;
	struct wrap_fault_plan plan; /* Guarded by lock. */
	uint64_t calls;              /* That counted; guarded by lock. */
};

void wrap_fault_init(struct wrap_fault *fault);
void wrap_fault_fini(struct wrap_fault *fault);
/* Takes a new plan and counts from zero. */
void wrap_fault_set(
    struct wrap_fault *fault, const struct wrap_fault_plan *plan);
uint64_t wrap_fault_calls(struct wrap_fault *fault);

/* On success *out owns inner; fault is borrowed and outlives *out. */
int wrap_fault_open(struct backend **out, struct backend *inner,
    struct wrap_fault *fault, struct err *err);

#endif
