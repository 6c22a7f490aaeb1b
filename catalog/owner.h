/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process owns a row, so that a later one can tell whether it still
 * lives: a process id alone comes back after a while, so its start time and
 * the boot belong to it.  Any thread.
 */
#ifndef HOLDSTILL_CATALOG_OWNER_H
#define HOLDSTILL_CATALOG_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define OWNER_BOOT_SIZE 37 /* A UUID and its NUL. */

struct err;

struct owner {
	char boot[OWNER_BOOT_SIZE];
	int64_t pid;
	int64_t started; /* Clock ticks after boot, from /proc/PID/stat. */
};

/* Fills in the calling process. */
int owner_self(struct owner *out, struct err *err);

/*
 * False only when the process is surely gone: another boot, no such process,
 * a zombie, or another process under the same id.
 */
bool owner_alive(const struct owner *owner);

#endif
