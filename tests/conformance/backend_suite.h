/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every backend has to do (docs/backend-api.md), as cases over a
 * fixture.  A new backend writes a fixture and runs the same list.
 */
#ifndef HOLDSTILL_TESTS_CONFORMANCE_BACKEND_SUITE_H
#define HOLDSTILL_TESTS_CONFORMANCE_BACKEND_SUITE_H

#include <stddef.h>

struct backend;

struct backend_fixture {
	const char *name;
	/* Makes an empty place and writes its URL. */
	void (*make)(char *url, size_t size);
	void (*destroy)(const char *url);
	/* Leaves what a put leaves that dies before its last step; NULL: the
	 * backend has no such moment. */
	void (*half_put)(const char *url);
	/* Puts a wrapper around what was just opened; NULL: none is tried. */
	void (*wrap)(struct backend **b);
};

/* Runs all cases; returns the number that failed. */
int backend_suite_run(const struct backend_fixture *fixture);

#endif
