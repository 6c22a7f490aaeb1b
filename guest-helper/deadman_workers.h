/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for each file system inside the dead-man: it makes the calls that
 * may block for as long as that file system likes.  The main thread only
 * ever adds wishes and looks at what is done.
 */
#ifndef HOLDSTILL_GUEST_DEADMAN_WORKERS_H
#define HOLDSTILL_GUEST_DEADMAN_WORKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/proto/message.h"
#include "guest-helper/marks.h"

enum deadman_want { /* Bits, only ever added. */
	DEADMAN_WANT_SYNC = 1,
	DEADMAN_WANT_FREEZE = 2,
	DEADMAN_WANT_THAW = 4,
};

struct deadman_worker {
	int fd;
	unsigned int rank;
	int wake;     /* eventfd: wants has changed. */
	int progress; /* eventfd of all: some worker finished something. */
	struct marks *marks;
	size_t place; /* Among the marks. */
	_Atomic unsigned int wants;
	_Atomic unsigned int done; /* Same bits; set after its results. */
	/* Written by the worker before its done bit, read after it. */
	bool frozen;
	int freeze_errno;
	int thaw_errno;
};

struct deadman_workers {
	int progress; /* The caller's. */
	struct marks marks;
	size_t count;
	struct deadman_worker items[MESSAGE_FILESYSTEMS_MAX];
};

/* Adds one and starts its thread; 0, or -1. */
int deadman_workers_add(
    struct deadman_workers *workers, int fd, unsigned int rank);

void deadman_workers_want(struct deadman_worker *w, enum deadman_want bit);
void deadman_workers_want_all(
    struct deadman_workers *workers, enum deadman_want bit);
bool deadman_workers_done(
    const struct deadman_workers *workers, enum deadman_want bit);

/* An eventfd: add one, and take what is there. */
void deadman_workers_signal(int fd);
void deadman_workers_take(int fd);

#endif
