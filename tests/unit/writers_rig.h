/* SPDX-License-Identifier: Apache-2.0 */
/* A set of writers with a real spawner and scripts, driven step by step. */
#ifndef HOLDSTILL_TESTS_UNIT_WRITERS_RIG_H
#define HOLDSTILL_TESTS_UNIT_WRITERS_RIG_H

#include <stdbool.h>

#include "common/err.h"
#include "common/proto/message.h"
#include "guest-helper/conf.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writers.h"
#include "tests/unit/writer_scripts.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define POINT "00000000000000000000000000000abc"
#define SHORT_MS 300 /* For what is meant to run out. */

struct writers_rig {
	struct writer_scripts scripts;
	struct spawner spawner;
	struct conf conf;
	struct writers *set;
	struct message message; /* Of the last find. */
	struct message metas;   /* For committed. */
	struct err err;
	enum writers_step done_step;
	unsigned int done_count;
};

typedef bool writers_rig_condition_fn(struct writers_rig *r);

/* A test whose rig is set up, with the set open, and torn down.
 * HOLDSTILL_TEST_VERBOSE=1 shows its log. */
#define WRITERS_RIG_CASE(name, rig) \
	cmocka_unit_test_prestate_setup_teardown( \
	    name, writers_rig_set_up, writers_rig_tear_down, rig)
int writers_rig_set_up(void **state);
int writers_rig_tear_down(void **state);

/* The set alone; a test may do without it in between. */
void writers_rig_open(struct writers_rig *r);
void writers_rig_close(struct writers_rig *r);

/* Begins a step of SESSION, or of POINT; limit_ms 0: none. */
void writers_rig_begin(
    struct writers_rig *r, enum writers_step step, unsigned int limit_ms);
/* Turns until it is done. */
void writers_rig_finish(struct writers_rig *r, enum writers_step step);
/* Both. */
void writers_rig_step(struct writers_rig *r, enum writers_step step);
void writers_rig_commit(struct writers_rig *r);

/* Turns until that holds; fails the test if it never does. */
void writers_rig_until(
    struct writers_rig *r, writers_rig_condition_fn *condition);
bool writers_rig_holds_nothing(struct writers_rig *r);

/* What the set tells of it; NULL: nothing. */
const struct message_writer *writers_rig_find(
    struct writers_rig *r, const char *name);
void writers_rig_expect(
    struct writers_rig *r, const char *name, enum message_writer_state state);
void writers_rig_expect_failed(
    struct writers_rig *r, const char *name, const char *reason);
void writers_rig_expect_level(
    struct writers_rig *r, enum message_level level, const char *reason);

/* A section of its own with the defaults; another writer in its after=. */
struct conf_writer *writers_rig_configure(
    struct writers_rig *r, const char *name);
void writers_rig_after(struct conf_writer *c, const char *name);

/* Puts into metas what the host would remember of the session. */
void writers_rig_remember(struct writers_rig *r, const char *session);

#endif
