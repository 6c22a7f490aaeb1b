/* SPDX-License-Identifier: Apache-2.0 */
/* What the helper says of itself, for `holdstill guest status`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/err.h"

#define AGE_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

#define INSTALL_HINT \
	"install holdstill-guest in the guest and give the domain a channel " \
	"named '" QUIESCE_CHANNEL "'"

static void
copy_clean(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
	client_clean(out);
}

/* A guest's number may be any. */
static int64_t
bounded_ms(uint64_t ms)
{
	return ms > AGE_MAX_MS ? AGE_MAX_MS : (int64_t)ms;
}

static int
copy_writers(
    struct quiesce_status *out, const struct message *m, struct err *err)
{
	const struct message_writer *from;
	struct quiesce_writer *to;
	size_t i;

	out->writers = calloc(m->writer_count + 1, sizeof(*out->writers));
	if (out->writers == NULL)
		return err_no_memory(err);
	out->writer_count = m->writer_count;
	for (i = 0; i < m->writer_count; i++) {
		from = &m->writers[i];
		to = &out->writers[i];
		copy_clean(to->name, sizeof(to->name),
		    from->name[0] != '\0' ? from->name : "?");
		copy_clean(to->state, sizeof(to->state),
		    message_writer_state_name(from->state));
		copy_clean(to->reason, sizeof(to->reason), from->reason);
		to->required = from->required != 0;
		to->age_ms = bounded_ms(from->age_ms);
		to->failure_age_ms = bounded_ms(from->failure_age_ms);
		to->prepare_ms = bounded_ms(from->prepare_ms);
		to->freeze_ms = bounded_ms(from->freeze_ms);
		to->thaw_ms = bounded_ms(from->thaw_ms);
	}
	return 0;
}

static int
copy_status(
    struct quiesce_status *out, const struct message *m, struct err *err)
{
	struct manifest_freeze seen;

	copy_clean(out->version, sizeof(out->version), m->program);
	copy_clean(out->state, sizeof(out->state), m->state);
	copy_clean(out->note, sizeof(out->note), m->note);
	out->lease_left_ms = m->lease_left_ms > QUIESCE_LEASE_MAX_MS
				 ? QUIESCE_LEASE_MAX_MS
				 : (int64_t)m->lease_left_ms;
	if (quiesce_convert(&seen, m, err) == -1)
		return -1;
	out->filesystems = seen.filesystems;
	out->filesystem_count = seen.filesystem_count;
	seen.filesystems = NULL;
	seen.filesystem_count = 0;
	manifest_freeze_fini(&seen);
	return copy_writers(out, m, err);
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
	rc = copy_status(out, client_reply(client), err);
	if (rc == -1)
		quiesce_status_fini(out);
out:
	client_free(client);
	return rc;
}

void
quiesce_status_fini(struct quiesce_status *status)
{
	struct manifest_freeze freeze = {
		.filesystems = status->filesystems,
		.filesystem_count = status->filesystem_count,
	};

	manifest_freeze_fini(&freeze);
	free(status->writers);
	memset(status, 0, sizeof(*status));
}
