/* SPDX-License-Identifier: Apache-2.0 */
/* An INI file of a test's own, and what is said of a wrong one. */
#ifndef HOLDSTILL_TESTS_UNIT_INI_FIXTURE_H
#define HOLDSTILL_TESTS_UNIT_INI_FIXTURE_H

#include <stddef.h>

struct err;

struct ini_fixture {
	const char *name; /* Set by the test: "guest.conf". */
	char dir[64];
	char path[128];
};

/* A test with the folder for the file. */
#define INI_FIXTURE_CASE(name, file) \
	cmocka_unit_test_prestate_setup_teardown( \
	    name, ini_fixture_set_up, ini_fixture_tear_down, file)
int ini_fixture_set_up(void **state);
int ini_fixture_tear_down(void **state);

/* A new file in place of the one there was. */
void ini_fixture_write(
    const struct ini_fixture *f, const char *text, size_t size);

/* The text must begin with "PATH:LINE: ". */
void ini_fixture_expect_refusal(const struct ini_fixture *f,
    const struct err *err, unsigned int line, const char *what,
    const char *hint);

#endif
