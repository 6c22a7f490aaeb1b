/* SPDX-License-Identifier: Apache-2.0 */
/* What the helper says of itself, for `holdstill guest status`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/err.h"

#define INSTALL_HINT \
	"install holdstill-guest in the guest and give the domain a channel " \
	"named '" QUIESCE_CHANNEL "'"

static void
copy_clean(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
	quiesce_clean(out);
}

/*
 * No hello: that would end a session that is under way.  A status needs
 * none.
 */
int
quiesce_status(
    struct quiesce_status *out, struct domain *domain, struct err *err)
{
	struct client *client = NULL;
	const struct message *m;
	int fd, rc = -1;

	memset(out, 0, sizeof(*out));
	if (domain_channel_open(&fd, domain, QUIESCE_CHANNEL, err) == -1) {
		if (err->class == ERR_NOT_FOUND)
			err_hint(err, INSTALL_HINT);
		return -1;
	}
	if (client_new(&client, fd, err) == -1)
		return -1;
	if (client_call(client, MESSAGE_STATUS, NULL, CLIENT_SHORT_MS, true,
		err) == -1) {
		if (err->class == ERR_TIMEOUT) {
			err_set(err, ERR_NOT_FOUND,
			    "nobody answers on the guest's channel");
			err_hint(err, INSTALL_HINT);
		}
		goto out;
	}
	m = client_reply(client);
	copy_clean(out->version, sizeof(out->version), m->program);
	copy_clean(out->state, sizeof(out->state), m->state);
	out->lease_left_ms = m->lease_left_ms > QUIESCE_LEASE_MAX_MS
				 ? QUIESCE_LEASE_MAX_MS
				 : (int64_t)m->lease_left_ms;
	rc = quiesce_filesystems_from(
	    &out->filesystems, &out->filesystem_count, m, err);
out:
	client_free(client);
	return rc;
}

void
quiesce_status_fini(struct quiesce_status *status)
{
	quiesce_filesystems_free(status->filesystems, status->filesystem_count);
	memset(status, 0, sizeof(*status));
}
