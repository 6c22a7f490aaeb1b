/* SPDX-License-Identifier: Apache-2.0 */
/* What the fakes of a session share. */
#ifndef HOLDSTILL_TESTS_FUZZ_FAKES_INTERNAL_H
#define HOLDSTILL_TESTS_FUZZ_FAKES_INTERNAL_H

#include <stdlib.h>

#include "guest-helper/deadman.h"
#include "guest-helper/writers/writers.h"
#include "tests/fuzz/fakes.h"

#define FILESYSTEMS 3
#define FIRST_FD 1000
#define FAKES_REPORTS 8

#define must(condition) ((condition) ? (void)0 : abort())

enum phase { NONE, SYNCING, READY, ARMED, FREEZING, FROZEN, THAWING, DEAD };

extern struct fakes {
	int64_t now_ms;
	uint32_t requests;
	uint8_t answers[FAKES_REQUESTS_MAX]; /* Still allowed. */
	bool fail_scan, fail_fork, late;
	/* The dead-man. */
	enum phase phase;
	enum deadman_kind told; /* A command it has not obeyed; 0: none. */
	bool killed;
	uint8_t errors;        /* Of the next freeze, */
	uint8_t frozen_errors; /* and of the last. */
	struct deadman_report report;
	struct deadman_report reports[FAKES_REPORTS];
	size_t report_first, report_count;
	/* What it is all about. */
	size_t opened;
	bool frozen[FILESYSTEMS];
	bool touched; /* Writers were told to freeze, and not to thaw. */
	bool leaving; /* One did not thaw in time, and is being killed. */
	bool well;    /* No writer has failed. */
	enum writers_step step;
} fakes;

#endif
