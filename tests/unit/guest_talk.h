/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the helper say to it, one host at a time. */
#ifndef HOLDSTILL_TESTS_GUEST_TALK_H
#define HOLDSTILL_TESTS_GUEST_TALK_H

#include "agent/quiesce/client.h"
#include "common/err.h"
#include "guest_fixture.h"

struct talk {
	struct guest_fixture fixture;
	struct client *client;
	struct message request;
	struct err err;
};

extern struct talk talk;

/* For cmocka. */
int talk_set_up(void **state);
int talk_tear_down(void **state);

/* Skips the test if there are none. */
void talk_need_file_systems(void);

/* Starts the helper and connects. */
void talk_start(void);
void talk_start_with_ext4(void); /* At "a". */

void talk_open_client(void);
void talk_close_client(void);

/* Empties the request but for the session. */
void talk_new_request(void);
int talk_call(uint8_t type);
void talk_assert_refused(int rc, enum err_class class);

void talk_hello(void);
/* No disk is named, so all there is is planned. */
void talk_prepare(unsigned int lease_ms);
/* With hello and prepare. */
void talk_freeze(unsigned int lease_ms);

/* As the last answer has it; fails the test if it has none. */
const struct message_filesystem *talk_find(const char *name);
const struct message_writer *talk_find_writer(const char *name);

#endif
