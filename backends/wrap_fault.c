/* SPDX-License-Identifier: Apache-2.0 */
/* Fault injection around another backend. */
#include "backends/wrap_fault.h"

#include <stdlib.h>

struct fault_backend {
	struct backend backend;
	struct backend *inner;
	struct wrap_fault *fault;
};

static const struct backend_ops fault_ops;

void
wrap_fault_init(struct wrap_fault *fault)
{
	*fault = (struct wrap_fault){ .calls = 0 };
	pthread_mutex_init(&fault->lock, NULL);
}

void
wrap_fault_fini(struct wrap_fault *fault)
{
	pthread_mutex_destroy(&fault->lock);
}

void
wrap_fault_set(struct wrap_fault *fault, const struct wrap_fault_plan *plan)
{
	pthread_mutex_lock(&fault->lock);
	fault->plan = *plan;
	fault->calls = 0;
	pthread_mutex_unlock(&fault->lock);
}

uint64_t
wrap_fault_calls(struct wrap_fault *fault)
{
	uint64_t calls;

	pthread_mutex_lock(&fault->lock);
	calls = fault->calls;
	pthread_mutex_unlock(&fault->lock);
	return calls;
}

enum verdict { PASS, FAIL_BEFORE, FAIL_AFTER };

static enum verdict
judge(struct backend *b, enum wrap_fault_op op, struct err *err)
{
	struct wrap_fault *fault = ((struct fault_backend *)b)->fault;
	enum verdict verdict = PASS;

	pthread_mutex_lock(&fault->lock);
	if ((fault->plan.ops & op) != 0) {
		fault->calls++;
		if (fault->plan.fail_at != 0 &&
		    (fault->calls == fault->plan.fail_at ||
			(!fault->plan.once &&
			    fault->calls > fault->plan.fail_at))) {
			err_set(err, fault->plan.class, "injected fault: %s",
			    err_class_name(fault->plan.class));
			verdict = fault->plan.after ? FAIL_AFTER : FAIL_BEFORE;
		}
	}
	pthread_mutex_unlock(&fault->lock);
	return verdict;
}

static struct backend *
inner_of(struct backend *b)
{
	return ((struct fault_backend *)b)->inner;
}

static int
fault_open_url(struct backend **out, const char *url,
    enum backend_open_mode mode, struct err *err)
{
	(void)out;
	(void)mode;
	return err_set(
	    err, ERR_ARG, "'%s': wrap_fault_open() makes this one", url);
}

static void
fault_close(struct backend *b)
{
	backend_close(inner_of(b));
	free(b);
}

static int
fault_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	struct err own = ERR_INIT;
	enum verdict verdict = judge(b, WRAP_FAULT_PUT, &own);

	if (verdict != FAIL_BEFORE &&
	    backend_put(inner_of(b), key, buf, size, err) == -1)
		return -1;
	if (verdict == PASS)
		return 0;
	*err = own;
	return -1;
}

static int
fault_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	if (judge(b, WRAP_FAULT_GET, err) != PASS)
		return -1;
	return backend_get(inner_of(b), key, offset, buf, size, err);
}

static int
fault_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	if (judge(b, WRAP_FAULT_STAT, err) != PASS)
		return -1;
	return backend_stat(inner_of(b), key, out_size, err);
}

static int
fault_remove(struct backend *b, const char *key, struct err *err)
{
	struct err own = ERR_INIT;
	enum verdict verdict = judge(b, WRAP_FAULT_REMOVE, &own);

	if (verdict != FAIL_BEFORE &&
	    backend_remove(inner_of(b), key, err) == -1)
		return -1;
	if (verdict == PASS)
		return 0;
	*err = own;
	return -1;
}

static int
fault_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	if (judge(b, WRAP_FAULT_LIST, err) != PASS)
		return -1;
	return backend_list(inner_of(b), prefix, fn, arg, err);
}

static int
fault_settle(struct backend *b, const char *key, struct err *err)
{
	if (judge(b, WRAP_FAULT_SETTLE, err) != PASS)
		return -1;
	return backend_settle(inner_of(b), key, err);
}

static const struct backend_ops fault_ops = {
	.scheme = "fault",
	.open = fault_open_url,
	.close = fault_close,
	.put = fault_put,
	.get = fault_get,
	.stat = fault_stat,
	.remove = fault_remove,
	.list = fault_list,
	.settle = fault_settle,
};

int
wrap_fault_open(struct backend **out, struct backend *inner,
    struct wrap_fault *fault, struct err *err)
{
	struct fault_backend *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return err_no_memory(err);
	f->backend.ops = &fault_ops;
	f->inner = inner;
	f->fault = fault;
	*out = &f->backend;
	return 0;
}
