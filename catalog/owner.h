/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process owns a row, so that a later one can tell whether it still
 * lives: common/procid.h, less what the state folder's rows have in common
 * (their host).  Any thread.
 */
#ifndef HOLDSTILL_CATALOG_OWNER_H
#define HOLDSTILL_CATALOG_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/hexid.h"

#define OWNER_BOOT_SIZE HEXID_SIZE

struct err;

struct owner {
	char boot[OWNER_BOOT_SIZE];
	int64_t pid;
	int64_t started; /* Clock ticks after boot. */
};

/* Fills in the calling process. */
int owner_self(struct owner *out, struct err *err);

/*
 * False only when the process is surely gone: another boot, no such process,
 * a zombie, or another process under the same id.
 */
bool owner_alive(const struct owner *owner);

#endif
