/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a process is, beyond its number: enough to tell later, without a clock,
 * whether the one that left something behind is still alive.  Thread-safe.
 */
#ifndef HOLDSTILL_COMMON_PROCID_H
#define HOLDSTILL_COMMON_PROCID_H

#include <stdint.h>

#include "common/hexid.h"

struct err;

#define PROCID_HOST_SIZE 65

struct procid {
	char host[PROCID_HOST_SIZE];
	char boot_id[HEXID_SIZE]; /* The kernel's, without its dashes. */
	uint64_t pid_namespace;   /* Inode of the namespace pid counts in. */
	int64_t pid;
	uint64_t start_ticks; /* Since boot, as in /proc/PID/stat. */
};

enum procid_state {
	PROCID_ALIVE,
	PROCID_DEAD,
	PROCID_UNKNOWN, /* Another host or container: no way to ask. */
};

/* This process. */
int procid_self(struct procid *out, struct err *err);

enum procid_state procid_probe(const struct procid *id);

#endif
