/* SPDX-License-Identifier: Apache-2.0 */
/* Quiescing by our own helper in the guest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/err.h"
#include "common/log.h"

/* Over the lease, for the way there and back. */
#define FREEZE_GRACE_MS 2000

/* A new request of this session. */
static struct message *
request_begin(struct quiesce *q)
{
	message_clear(q->request);
	strcpy(q->request->session, q->session);
	return q->request;
}

static int
open_client(struct quiesce *q, bool heed_cancel, struct err *err)
{
	int fd;

	if (domain_channel_open(&fd, q->domain, QUIESCE_CHANNEL, err) == -1)
		return -1;
	if (client_new(&q->client, fd, err) == -1)
		return -1;
	if (client_hello(q->client, heed_cancel, err) == 0)
		return 0;
	client_free(q->client);
	q->client = NULL;
	return -1;
}

static void
drop_client(struct quiesce *q)
{
	client_free(q->client);
	q->client = NULL;
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

/* Keeps what the last answer says of file systems. */
static int
keep_filesystems(struct quiesce *q, struct err *err)
{
	struct manifest_filesystem *list;
	size_t count;

	if (quiesce_filesystems_from(
		&list, &count, client_reply(q->client), err) == -1)
		return -1;
	quiesce_filesystems_free(q->filesystems, q->filesystem_count);
	q->filesystems = list;
	q->filesystem_count = count;
	return 0;
}

/* What keeps a freeze from being worth anything; false: nothing does. */
static bool
find_fault(const struct message *m, struct err *err)
{
	const struct message_filesystem *fs;
	bool any = false;
	size_t i;

	for (i = 0; i < m->filesystem_count; i++) {
		fs = &m->filesystems[i];
		if (fs->state == MESSAGE_FS_FAILED) {
			err_set(err, ERR_IO, "file system '%s': %s",
			    fs->mount_point, fs->reason);
			return true;
		}
		any |= fs->state != MESSAGE_FS_SKIPPED;
	}
	if (any)
		return false;
	err_set(err, ERR_UNSUPPORTED,
	    "the guest has no file system on these disks that can be frozen");
	return true;
}

static enum manifest_consistency
reachable(const struct message *m)
{
	switch (m->level) {
	case MESSAGE_APPLICATION:
		return MANIFEST_APPLICATION;
	case MESSAGE_FILESYSTEM:
		return MANIFEST_FILESYSTEM;
	default:
		return MANIFEST_CRASH;
	}
}

int
quiesce_helper_begin(
    struct quiesce *q, const struct quiesce_options *options, struct err *err)
{
	struct message *m;

	q->request = calloc(1, sizeof(*q->request));
	if (q->request == NULL)
		return err_no_memory(err);
	if (open_client(q, true, err) == -1)
		return -1;
	m = request_begin(q);
	m->lease_ms = q->lease_ms;
	m->level = MESSAGE_FILESYSTEM;
	if (put_disks(m, options, err) == -1 ||
	    client_prepare(q->client, m, err) == -1 ||
	    keep_filesystems(q, err) == -1 ||
	    find_fault(client_reply(q->client), err)) {
		drop_client(q);
		return -1;
	}
	q->reachable = reachable(client_reply(q->client));
	return 0;
}

int
quiesce_helper_freeze(struct quiesce *q, struct err *err)
{
	struct err ignored = ERR_INIT;
	const struct message *m;

	q->frozen = true;
	if (client_call(q->client, MESSAGE_FREEZE, request_begin(q),
		(int)q->lease_ms + FREEZE_GRACE_MS, true, err) == -1)
		goto thaw;
	m = client_reply(q->client);
	if (keep_filesystems(q, err) == -1 || find_fault(m, err))
		goto thaw;
	if (strcmp(m->session, q->session) != 0) {
		err_set(err, ERR_CORRUPT, "the guest froze another session");
		goto thaw;
	}
	return 0;
thaw:
	/* A guest that does not even answer this thaws when the channel
	 * closes or the lease ends. */
	client_call(q->client, MESSAGE_ABORT, request_begin(q), CLIENT_SHORT_MS,
	    false, &ignored);
	q->frozen = false;
	drop_client(q);
	return -1;
}

/* The guest's word, and whether it fits what it said before. */
static bool
check_proof(struct quiesce *q, const struct message *m)
{
	struct err fault = ERR_INIT;

	if (strcmp(m->session, q->session) != 0)
		quiesce_set_reason(q, "the guest thawed another session");
	else if (m->lease_expired)
		quiesce_set_reason(
		    q, "the freeze outlived its lease of %u ms", q->lease_ms);
	else if (find_fault(m, &fault))
		quiesce_set_reason(q, "%s", fault.text);
	else if (!m->unbroken)
		quiesce_set_reason(q, "the freeze was broken%s%s",
		    m->note[0] != '\0' ? ": " : "", m->note);
	else
		return true;
	return false;
}

bool
quiesce_helper_thaw(struct quiesce *q, int64_t *out_held_ms)
{
	struct err err = ERR_INIT;
	const struct message *m;

	q->frozen = false;
	/* Never heeds a cancellation: the thaw is what it needs. */
	if (client_call(q->client, MESSAGE_THAW, request_begin(q),
		CLIENT_THAW_MS, false, &err) == -1) {
		quiesce_set_reason(q, "no proof of the freeze: %s", err.text);
		drop_client(q);
		return false;
	}
	m = client_reply(q->client);
	*out_held_ms = m->held_ms > INT64_MAX ? 0 : (int64_t)m->held_ms;
	if (keep_filesystems(q, &err) == -1) {
		quiesce_set_reason(q, "%s", err.text);
		return false;
	}
	return check_proof(q, m);
}

static void
put_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text == NULL ? "" : text);
}

/* What each writer said at the freeze is said back to it. */
static void
put_writers(struct message *m, const struct manifest_freeze *freeze)
{
	const struct manifest_writer *from;
	struct message_writer *to;
	struct message_meta *meta;
	size_t i, j;

	for (i = 0; i < freeze->writer_count; i++) {
		from = &freeze->writers[i];
		if ((to = message_add_writer(m)) == NULL)
			return;
		put_text(to->name, sizeof(to->name), from->name);
		for (j = 0; j < from->meta_count; j++) {
			if ((meta = message_add_meta(to)) == NULL)
				break;
			put_text(
			    meta->key, sizeof(meta->key), from->meta[j].key);
			put_text(meta->value, sizeof(meta->value),
			    from->meta[j].value);
		}
	}
}

static int
send_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze, struct err *err)
{
	struct message *m = request_begin(q);

	snprintf(m->point, sizeof(m->point), "%s", point_id);
	put_writers(m, freeze);
	return client_call(
	    q->client, MESSAGE_COMMITTED, m, CLIENT_COMMITTED_MS, false, err);
}

bool
quiesce_helper_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze)
{
	struct err err = ERR_INIT;

	if (q->client != NULL && send_committed(q, point_id, freeze, &err) == 0)
		return true;
	/* The stream took long; the guest may have restarted its helper. */
	drop_client(q);
	if (open_client(q, false, &err) == 0 &&
	    send_committed(q, point_id, freeze, &err) == 0)
		return true;
	log_line(
	    LOG_NOTICE, "the guest was not told of the commit: %s", err.text);
	return false;
}

int
quiesce_helper_deliver(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze, struct err *err)
{
	q->request = calloc(1, sizeof(*q->request));
	if (q->request == NULL)
		return err_no_memory(err);
	if (open_client(q, false, err) == -1)
		return -1;
	return send_committed(q, point_id, freeze, err);
}

void
quiesce_helper_end(struct quiesce *q)
{
	struct err ignored = ERR_INIT;

	if (q->client != NULL && !q->committed)
		client_call(q->client, MESSAGE_ABORT, request_begin(q),
		    CLIENT_SHORT_MS, false, &ignored);
	drop_client(q);
	free(q->request);
	q->request = NULL;
}
