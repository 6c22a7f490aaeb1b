/* SPDX-License-Identifier: Apache-2.0 */
/* The QEMU guest agent, through libvirt. */
#include "agent/domain/domain_internal.h"

#include <string.h>

#include "common/err.h"

#define AGENT_CHANNEL "org.qemu.guest_agent.0"
/* How long a question that changes nothing may take. */
#define ASK_TIMEOUT_MS 5000

static void
set_timeout(struct domain *d, unsigned int timeout_ms)
{
	/* Whole seconds; 0 would mean not to wait at all. */
	virDomainAgentSetResponseTimeout(d->dom,
	    timeout_ms < 1000 ? 1 : (int)((timeout_ms + 999) / 1000), 0);
}

static void
reset_timeout(struct domain *d)
{
	virDomainAgentSetResponseTimeout(
	    d->dom, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_DEFAULT, 0);
}

/* 0 and the parameters (virTypedParamsFree), or -1 with libvirt's error. */
static int
ask_os(struct domain *d, virTypedParameterPtr *params, int *count)
{
	int rc;

	set_timeout(d, ASK_TIMEOUT_MS);
	rc = virDomainGetGuestInfo(
	    d->dom, VIR_DOMAIN_GUEST_INFO_OS, params, count, 0);
	reset_timeout(d);
	return rc;
}

static bool
means_no_answer(int code)
{
	return code == VIR_ERR_AGENT_UNRESPONSIVE ||
	       code == VIR_ERR_AGENT_UNSYNCED ||
	       code == VIR_ERR_OPERATION_INVALID ||
	       code == VIR_ERR_OPERATION_TIMEOUT;
}

int
domain_agent_available(struct domain *d, bool *out, struct err *err)
{
	virTypedParameterPtr params = NULL;
	int count = 0;

	if (domain_channel_connected(d, AGENT_CHANNEL, out, err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		*out = false;
		return 0;
	}
	/* An open port may belong to an agent that hangs. */
	if (*out && ask_os(d, &params, &count) < 0)
		*out = !means_no_answer(domain_err_code());
	virTypedParamsFree(params, count);
	return 0;
}

/* libvirt's error of a freeze or thaw; ERR_UNSUPPORTED: the agent answered
 * that it cannot. */
static int
agent_err(struct domain *d, const char *verb, struct err *err)
{
	bool refused = domain_err_code() == VIR_ERR_INTERNAL_ERROR;

	domain_err(err, "the guest agent of '%s' cannot %s", d->name, verb);
	if (refused)
		err->class = ERR_UNSUPPORTED;
	return -1;
}

int
domain_agent_freeze(
    struct domain *d, unsigned int timeout_ms, int *out_count, struct err *err)
{
	set_timeout(d, timeout_ms);
	*out_count = virDomainFSFreeze(d->dom, NULL, 0, 0);
	if (*out_count < 0)
		agent_err(d, "freeze", err);
	reset_timeout(d);
	return *out_count < 0 ? -1 : 0;
}

int
domain_agent_thaw(
    struct domain *d, unsigned int timeout_ms, int *out_count, struct err *err)
{
	set_timeout(d, timeout_ms);
	*out_count = virDomainFSThaw(d->dom, NULL, 0, 0);
	if (*out_count < 0)
		agent_err(d, "thaw", err);
	reset_timeout(d);
	return *out_count < 0 ? -1 : 0;
}

bool
domain_agent_is_windows(struct domain *d)
{
	virTypedParameterPtr params = NULL;
	const char *id = NULL;
	bool windows = false;
	int count = 0;

	if (ask_os(d, &params, &count) == 0 &&
	    virTypedParamsGetString(params, count, "os.id", &id) == 1 &&
	    id != NULL)
		windows = strcmp(id, "mswindows") == 0;
	virTypedParamsFree(params, count);
	return windows;
}
