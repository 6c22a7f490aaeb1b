/* SPDX-License-Identifier: Apache-2.0 */
/* Quiescing by our own helper in the guest. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

/* Over the lease, for the way there and back. */
#define FREEZE_GRACE_MS 2000
/* A question for the status may hold it as long as it may take. */
#define CHANNEL_BUSY_MS (CLIENT_SHORT_MS + 2000)
#define CHANNEL_RETRY_MS 20
#define CHANNEL_RETRY_MOST_MS 200

struct message *
quiesce_helper_request(struct quiesce *q)
{
	message_clear(q->request);
	strcpy(q->request->session, q->session);
	return q->request;
}

/* libvirt lets go of a stream some time after we did. */
static int
open_channel(int *out_fd, struct quiesce *q, bool heed_cancel, struct err *err)
{
	struct pollfd watch = { .fd = heed_cancel ? cancel_fd() : -1,
		.events = POLLIN };
	int64_t end_ms = clock_monotonic_ms() + CHANNEL_BUSY_MS;
	int retry_ms = CHANNEL_RETRY_MS;

	while (domain_channel_open(out_fd, q->domain, QUIESCE_CHANNEL, err) ==
	       -1) {
		if (err->class != ERR_BUSY || clock_monotonic_ms() > end_ms ||
		    (heed_cancel && cancel_check(err) == -1))
			return -1;
		poll(&watch, 1, retry_ms);
		retry_ms = retry_ms * 2 < CHANNEL_RETRY_MOST_MS
			       ? retry_ms * 2
			       : CHANNEL_RETRY_MOST_MS;
	}
	return 0;
}

void
quiesce_helper_drop(struct quiesce *q)
{
	client_free(q->client);
	q->client = NULL;
}

int
quiesce_helper_open(struct quiesce *q, bool heed_cancel, struct err *err)
{
	bool connected;
	int fd;

	if (domain_channel_connected(
		q->domain, QUIESCE_CHANNEL, &connected, err) == -1)
		return -1;
	/* Who gave the domain a channel wants a helper to answer on it. */
	if (q->offered < MANIFEST_FILESYSTEM)
		q->offered = MANIFEST_FILESYSTEM;
	if (open_channel(&fd, q, heed_cancel, err) == -1)
		return -1;
	if (client_new(&q->client, fd, err) == -1)
		return -1;
	if (client_hello_within(q->client,
		connected ? CLIENT_HELLO_MS : CLIENT_DOUBT_MS, heed_cancel,
		err) == 0)
		return 0;
	if (!connected && err->class == ERR_TIMEOUT)
		err_set(err, ERR_NOT_FOUND, "no helper answers in the guest");
	quiesce_helper_drop(q);
	return -1;
}

static int
put_disks(
    struct message *m, const struct quiesce_options *options, struct err *err)
{
	const struct quiesce_disk *disk;
	struct message_disk *to;
	size_t i;

	for (i = 0; i < options->disk_count; i++) {
		disk = &options->disks[i];
		if ((to = message_add_disk(m)) == NULL)
			return err_set(err, ERR_UNSUPPORTED,
			    "more than %d disks in one backup",
			    MESSAGE_DISKS_MAX);
		snprintf(to->target, sizeof(to->target), "%s", disk->target);
		snprintf(to->serial, sizeof(to->serial), "%s",
		    disk->serial == NULL ? "" : disk->serial);
		snprintf(to->wwn, sizeof(to->wwn), "%s",
		    disk->wwn == NULL ? "" : disk->wwn);
		snprintf(to->pci, sizeof(to->pci), "%s",
		    disk->pci == NULL ? "" : disk->pci);
	}
	return 0;
}

/* Keeps what the last answer says of file systems and writers. */
static int
keep_answer(struct quiesce *q, struct err *err)
{
	struct manifest_freeze seen;

	if (quiesce_convert(&seen, client_reply(q->client), err) == -1)
		return -1;
	manifest_freeze_fini(&q->seen);
	q->seen = seen;
	return 0;
}

/* Writers are asked for no less than the best. */
static bool
wants_writers(const struct quiesce *q)
{
	return q->prefer >= MANIFEST_APPLICATION;
}

/* What is still to be had, by the last answer; the reason, if it could have
 * been more. */
static void
judge_writers(struct quiesce *q, uint64_t held_state)
{
	const struct message *m = client_reply(q->client);
	struct err why = ERR_INIT;

	q->reachable =
	    m->level == MESSAGE_CRASH ? MANIFEST_CRASH : MANIFEST_FILESYSTEM;
	if (q->reachable == MANIFEST_CRASH || !wants_writers(q) ||
	    m->writer_count == 0)
		return;
	if (quiesce_writers_stand(m, held_state, &why))
		q->reachable = MANIFEST_APPLICATION;
	else
		quiesce_set_reason(q, "%s", why.text);
}

/* A freeze that is known to outlive its lease only costs the guest. */
static int
check_forecast(struct quiesce *q, struct err *err)
{
	uint64_t forecast_ms = client_reply(q->client)->forecast_ms;

	if (forecast_ms == 0)
		return 0;
	log_line(LOG_INFO,
	    "the guest expects its freeze to take %" PRIu64
	    " ms of a lease of %u ms",
	    forecast_ms, q->lease_ms);
	if (forecast_ms < q->lease_ms)
		return 0;
	return err_set(err, ERR_TIMEOUT,
	    "freezing took the guest %" PRIu64
	    " ms lately, and the lease is %u ms: use a longer --lease",
	    forecast_ms, q->lease_ms);
}

/* A guest's configuration may allow less than was asked for. */
static void
take_lease(struct quiesce *q)
{
	uint64_t granted_ms = client_reply(q->client)->lease_ms;

	if (granted_ms == 0 || granted_ms >= q->lease_ms)
		return;
	log_line(LOG_INFO,
	    "the guest grants a lease of %" PRIu64 " ms, not of %u ms",
	    granted_ms, q->lease_ms);
	q->lease_ms = (unsigned int)granted_ms;
}

static enum manifest_consistency
offered(const struct quiesce *q)
{
	return wants_writers(q) && client_reply(q->client)->writer_count > 0
		   ? MANIFEST_APPLICATION
		   : MANIFEST_FILESYSTEM;
}

static int
prepare(
    struct quiesce *q, const struct quiesce_options *options, struct err *err)
{
	struct message *m = quiesce_helper_request(q);
	bool fault;

	m->lease_ms = q->lease_ms;
	m->freeze_ms = q->lease_ms / 2;
	m->prepare_ms =
	    wants_writers(q) ? CLIENT_WRITERS_MS : CLIENT_PREPARE_MS;
	m->level = wants_writers(q) ? MESSAGE_APPLICATION : MESSAGE_FILESYSTEM;
	if (put_disks(m, options, err) == -1 ||
	    client_prepare(q->client, m, err) == -1)
		return -1;
	if (keep_answer(q, err) == -1)
		return -1;
	fault = quiesce_find_fault(client_reply(q->client), err);
	q->offered = fault && err->class == ERR_UNSUPPORTED ? MANIFEST_CRASH
							    : offered(q);
	take_lease(q);
	/* Others see other file systems, or fewer, and would vouch for what
	 * is known to be wrong. */
	if (fault || check_forecast(q, err) == -1) {
		q->refused = true;
		return -1;
	}
	judge_writers(q, MESSAGE_WRITER_PREPARED);
	return 0;
}

int
quiesce_helper_begin(
    struct quiesce *q, const struct quiesce_options *options, struct err *err)
{
	q->request = calloc(1, sizeof(*q->request));
	if (q->request == NULL)
		return err_no_memory(err);
	if (quiesce_helper_open(q, true, err) == -1)
		return -1;
	if (prepare(q, options, err) == 0)
		return 0;
	/* Its own word, not our impatience: it serves, but not now. */
	if (err->class == ERR_TIMEOUT &&
	    client_reply(q->client)->error_class[0] != '\0')
		q->refused = true;
	/* Its closing ends what was prepared. */
	quiesce_helper_drop(q);
	return -1;
}

static int
check_frozen(struct quiesce *q, struct err *err)
{
	const struct message *m = client_reply(q->client);

	if (keep_answer(q, err) == -1 || quiesce_find_fault(m, err))
		return -1;
	if (strcmp(m->session, q->session) != 0)
		return err_set(
		    err, ERR_CORRUPT, "the guest froze another session");
	/* The guest's lease has begun later than that. */
	if (q->freeze_answered_ms - q->freeze_asked_ms > (int64_t)q->lease_ms)
		return err_set(err, ERR_TIMEOUT,
		    "the freeze outlived its lease of %u ms", q->lease_ms);
	q->begin_ns = m->freeze_begin_ns;
	q->end_ns = m->freeze_end_ns;
	return 0;
}

int
quiesce_helper_freeze(struct quiesce *q, struct err *err)
{
	struct err ignored = ERR_INIT;

	q->frozen = true;
	q->freeze_asked_ms = clock_monotonic_ms();
	if (client_call(q->client, MESSAGE_FREEZE, quiesce_helper_request(q),
		(int)q->lease_ms + FREEZE_GRACE_MS, true, err) == 0) {
		q->freeze_answered_ms = clock_monotonic_ms();
		if (check_frozen(q, err) == 0)
			return 0;
	}
	/* A guest that does not even answer this thaws when the channel
	 * closes or the lease ends. */
	client_call(q->client, MESSAGE_ABORT, quiesce_helper_request(q),
	    CLIENT_SHORT_MS, false, &ignored);
	q->frozen = false;
	quiesce_helper_drop(q);
	return -1;
}

/* What the answer proves, and why it is no more. */
static enum manifest_consistency
judge_thaw(struct quiesce *q, const struct message *m)
{
	struct err why = ERR_INIT;

	if (!quiesce_check_proof(q, m, &why)) {
		quiesce_set_reason(q, "%s", why.text);
		return MANIFEST_CRASH;
	}
	if (q->offered < MANIFEST_APPLICATION)
		return MANIFEST_FILESYSTEM;
	/* What failed before the freeze was held by nobody later. */
	if (q->reachable < MANIFEST_APPLICATION && q->reason[0] != '\0')
		return MANIFEST_FILESYSTEM;
	if (quiesce_writers_stand(m, MESSAGE_WRITER_THAWED, &why))
		return MANIFEST_APPLICATION;
	quiesce_set_reason(q, "%s", why.text);
	return MANIFEST_FILESYSTEM;
}

/* Also where it takes nothing from the proof. */
static void
log_note(const struct message *m)
{
	char note[MESSAGE_REASON_SIZE];

	snprintf(note, sizeof(note), "%s", m->note);
	client_clean(note);
	if (note[0] != '\0')
		log_line(LOG_INFO, "the guest notes of its freeze: %s", note);
}

enum manifest_consistency
quiesce_helper_thaw(struct quiesce *q, struct manifest_freeze *freeze)
{
	const struct message *m;
	struct err err = ERR_INIT;

	q->frozen = false;
	q->thaw_asked_ms = clock_monotonic_ms();
	/* Never heeds a cancellation: the thaw is what it needs. */
	if (client_call(q->client, MESSAGE_THAW, quiesce_helper_request(q),
		CLIENT_THAW_MS, false, &err) == -1) {
		quiesce_set_reason(q, "no proof of the freeze: %s", err.text);
		quiesce_helper_drop(q);
		return MANIFEST_CRASH;
	}
	q->thaw_answered_ms = clock_monotonic_ms();
	m = client_reply(q->client);
	if (keep_answer(q, &err) == -1) {
		quiesce_set_reason(q, "%s", err.text);
		return MANIFEST_CRASH;
	}
	quiesce_keep_times(q, m, freeze);
	log_note(m);
	return judge_thaw(q, m);
}

void
quiesce_helper_end(struct quiesce *q)
{
	struct err ignored = ERR_INIT;

	if (q->client != NULL && !q->committed)
		client_call(q->client, MESSAGE_ABORT, quiesce_helper_request(q),
		    CLIENT_SHORT_MS, false, &ignored);
	quiesce_helper_drop(q);
	free(q->request);
	q->request = NULL;
}
