/* SPDX-License-Identifier: Apache-2.0 */
/* A host that says what it is told. */
#include "guest_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct talk talk;

void
talk_open_client(void)
{
	assert_int_equal(client_new(&talk.client,
			     guest_fixture_connect(&talk.fixture), &talk.err),
	    0);
}

void
talk_close_client(void)
{
	client_free(talk.client);
	talk.client = NULL;
}

int
talk_set_up(void **state)
{
	(void)state;
	guest_fixture_init(&talk.fixture);
	return 0;
}

int
talk_tear_down(void **state)
{
	(void)state;
	talk_close_client();
	guest_fixture_fini(&talk.fixture);
	return 0;
}

void
talk_need_file_systems(void)
{
	const char *obstacle = guest_fixture_obstacle();

	if (obstacle == NULL)
		return;
	print_message("skipped: %s\n", obstacle);
	skip();
}

void
talk_start(void)
{
	guest_fixture_start(&talk.fixture);
	talk_open_client();
}

void
talk_start_with_ext4(void)
{
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	talk_start();
}

int
talk_call(uint8_t type)
{
	return client_call(
	    talk.client, type, &talk.request, 5000, false, &talk.err);
}

void
talk_new_request(void)
{
	message_clear(&talk.request);
	strcpy(talk.request.session, FIXTURE_SESSION);
}

void
talk_hello(void)
{
	assert_int_equal(client_hello(talk.client, false, &talk.err), 0);
}

void
talk_prepare(unsigned int lease_ms)
{
	talk_new_request();
	talk.request.lease_ms = lease_ms;
	assert_int_equal(
	    client_prepare(talk.client, &talk.request, &talk.err), 0);
}

void
talk_freeze(unsigned int lease_ms)
{
	talk_hello();
	talk_prepare(lease_ms);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
}

const struct message_filesystem *
talk_find(const char *name)
{
	const struct message *m = client_reply(talk.client);
	size_t i;

	for (i = 0; i < m->filesystem_count; i++)
		if (strcmp(strrchr(m->filesystems[i].mount_point, '/') + 1,
			name) == 0)
			return &m->filesystems[i];
	fail_msg("no file system '%s'", name);
	return NULL;
}

void
talk_assert_refused(int rc, enum err_class class)
{
	assert_int_equal(rc, -1);
	assert_string_equal(
	    err_class_name(talk.err.class), err_class_name(class));
}

const struct message_writer *
talk_find_writer(const char *name)
{
	const struct message *m = client_reply(talk.client);
	size_t i;

	for (i = 0; i < m->writer_count; i++)
		if (strcmp(m->writers[i].name, name) == 0)
			return &m->writers[i];
	fail_msg("no writer '%s'", name);
	return NULL;
}
