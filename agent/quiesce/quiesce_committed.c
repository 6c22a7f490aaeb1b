/* SPDX-License-Identifier: Apache-2.0 */
/* Our helper is told that a point is durable, at once or by a later run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/err.h"
#include "common/log.h"

static void
put_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text == NULL ? "" : text);
}

/* Writers that let go too early are told that there is no point: what they
 * have in their logs may be missing in the picture. */
static bool
is_for_nobody(const struct manifest_freeze *freeze)
{
	return freeze->writer_count > 0 && !quiesce_any_held(freeze);
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
		/* One that did not hold is not asked for anything. */
		to->state = quiesce_writer_held(freeze, from)
				? MESSAGE_WRITER_THAWED
				: MESSAGE_WRITER_FAILED;
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

/* Why the writer of that name has not done its part. */
static void
say_unheard(const struct message *m, const char *name, struct err *err)
{
	const struct message_writer *w = NULL;
	size_t i;

	for (i = 0; i < m->writer_count; i++)
		if (strcmp(m->writers[i].name, name) == 0)
			w = &m->writers[i];
	if (w != NULL && w->state == MESSAGE_WRITER_FAILED)
		err_set(err, ERR_IO, "writer '%s' failed: %s", name, w->reason);
	else if (w != NULL)
		err_set(err, ERR_BUSY, "writer '%s' was not told: it is %s",
		    name, message_writer_state_name(w->state));
	else
		err_set(err, ERR_BUSY, "writer '%s' was not told", name);
	client_clean(err->text);
}

/* Did all do their part who held still?  *err if not. */
static int
check_heard(const struct message *m, const struct manifest_freeze *freeze,
    struct err *err)
{
	const struct manifest_writer *told;
	size_t i;

	/* Its answer the first time was that they did. */
	if (m->repeated != 0)
		return 0;
	for (i = 0; i < freeze->writer_count; i++) {
		told = &freeze->writers[i];
		if (!quiesce_writer_held(freeze, told) ||
		    message_writer_heard(m, told->name))
			continue;
		say_unheard(m, told->name, err);
		return 1;
	}
	return 0;
}

/* 0: told; 1: told, and a writer did not do its part; -1: not told. */
static int
send_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze, struct err *err)
{
	struct message *m = quiesce_helper_request(q);

	snprintf(m->point, sizeof(m->point), "%s", point_id);
	put_writers(m, freeze);
	if (client_call(q->client, MESSAGE_COMMITTED, m, CLIENT_COMMITTED_MS,
		false, err) == -1)
		return -1;
	return check_heard(client_reply(q->client), freeze, err);
}

bool
quiesce_helper_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze)
{
	struct err err = ERR_INIT;
	int rc = -1;

	if (is_for_nobody(freeze)) {
		q->committed = false;
		return true;
	}
	/* The stream took long: the helper may be gone or another, and a
	 * commit is waited for as long as writers may take. */
	if (q->client != NULL &&
	    client_call(q->client, MESSAGE_PING, quiesce_helper_request(q),
		CLIENT_SHORT_MS, false, &err) == 0)
		rc = send_committed(q, point_id, freeze, &err);
	if (rc == -1) {
		quiesce_helper_drop(q);
		if (quiesce_helper_open(q, false, &err) == 0)
			rc = send_committed(q, point_id, freeze, &err);
	}
	/* Without writers it is of no consequence. */
	if (rc != 0)
		log_line(freeze->writer_count > 0 ? LOG_NOTICE : LOG_INFO,
		    "%s: %s",
		    rc == 1 ? "the guest did not settle the commit"
			    : "the guest was not told of the commit",
		    err.text);
	return rc == 0;
}

int
quiesce_helper_deliver(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze, struct err *err)
{
	if (is_for_nobody(freeze))
		return 0;
	q->request = calloc(1, sizeof(*q->request));
	if (q->request == NULL)
		return err_no_memory(err);
	if (quiesce_helper_open(q, false, err) == -1)
		return -1;
	return send_committed(q, point_id, freeze, err);
}
