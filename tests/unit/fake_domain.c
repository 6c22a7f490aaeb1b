/* SPDX-License-Identifier: Apache-2.0 */
/* A domain with a channel and an agent. */
#include "fake_domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/quiesce.h"
#include "common/err.h"

struct fake_domain fake_domain;

int
domain_channel_open(
    int *out_fd, struct domain *d, const char *name, struct err *e)
{
	(void)d;
	assert_string_equal(name, QUIESCE_CHANNEL);
	if (fake_domain.open == NULL)
		return err_set(e, ERR_NOT_FOUND, "no channel");
	return fake_domain.open(fake_domain.arg, out_fd, e);
}

int
domain_channel_connected(
    struct domain *d, const char *name, bool *out, struct err *e)
{
	(void)d;
	assert_string_equal(name, QUIESCE_CHANNEL);
	if (fake_domain.open == NULL)
		return err_set(e, ERR_NOT_FOUND, "no channel");
	*out = !fake_domain.unknown;
	return 0;
}

int
domain_agent_available(struct domain *d, bool *out, struct err *e)
{
	(void)d;
	(void)e;
	*out = fake_domain.agent;
	return 0;
}

int
domain_agent_freeze(
    struct domain *d, unsigned int timeout_ms, int *out, struct err *e)
{
	(void)d;
	assert_true(timeout_ms > 0);
	if (fake_domain.frozen == -1)
		return err_set(e, ERR_TIMEOUT, "agent hangs");
	*out = fake_domain.frozen;
	return 0;
}

int
domain_agent_thaw(
    struct domain *d, unsigned int timeout_ms, int *out, struct err *e)
{
	(void)d;
	assert_true(timeout_ms > 0);
	fake_domain.thaws++;
	if (fake_domain.refuses_thaw)
		return err_set(e, ERR_UNSUPPORTED, "nothing is frozen");
	if (fake_domain.thawed == -1 ||
	    fake_domain.thaws <= fake_domain.mute_thaws)
		return err_set(e, ERR_TIMEOUT, "agent hangs");
	*out = fake_domain.thawed;
	return 0;
}

bool
domain_agent_is_windows(struct domain *d)
{
	(void)d;
	return fake_domain.windows;
}
