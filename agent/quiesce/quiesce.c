/* SPDX-License-Identifier: Apache-2.0 */
/* Who freezes, and what is claimed of it. */
#include "agent/quiesce/quiesce.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/err.h"
#include "common/log.h"

void
quiesce_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
}

void
quiesce_set_reason(struct quiesce *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(q->reason, sizeof(q->reason), fmt, ap);
	va_end(ap);
	quiesce_clean(q->reason);
}

/* ---- file systems for the manifest ---- */

void
quiesce_filesystems_free(struct manifest_filesystem *list, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(list[i].mount_point);
		free(list[i].type);
		free(list[i].disk);
		free(list[i].state);
		free(list[i].reason);
	}
	free(list);
}

static char *
clean_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy != NULL)
		quiesce_clean(copy);
	return copy;
}

int
quiesce_filesystems_from(struct manifest_filesystem **out, size_t *out_count,
    const struct message *m, struct err *err)
{
	const struct message_filesystem *from;
	struct manifest_filesystem *list, *to;
	size_t i;

	list = calloc(m->filesystem_count + 1, sizeof(*list));
	if (list == NULL)
		return err_no_memory(err);
	for (i = 0; i < m->filesystem_count; i++) {
		from = &m->filesystems[i];
		to = &list[i];
		to->mount_point = clean_copy(from->mount_point);
		to->type = clean_copy(from->type);
		to->disk = clean_copy(from->disk);
		to->state = strdup(message_fs_state_name(from->state));
		to->reason = clean_copy(from->reason);
		if (to->mount_point == NULL || to->type == NULL ||
		    to->disk == NULL || to->state == NULL ||
		    to->reason == NULL) {
			quiesce_filesystems_free(list, i + 1);
			return err_no_memory(err);
		}
	}
	*out = list;
	*out_count = m->filesystem_count;
	return 0;
}

/* ---- the choice ---- */

static bool
must_stop(const struct err *err)
{
	return err->class == ERR_CANCELLED || err->class == ERR_NO_MEMORY;
}

static int
choose(
    struct quiesce *q, const struct quiesce_options *options, struct err *err)
{
	struct err agent = ERR_INIT;

	if (quiesce_helper_begin(q, options, err) == 0) {
		q->source = MANIFEST_QUIESCE_HOLDSTILL;
		return 0;
	}
	if (must_stop(err))
		return -1;
	if (quiesce_qga_begin(q, &agent) == 0) {
		q->source = MANIFEST_QUIESCE_QEMU_GA;
		return 0;
	}
	if (must_stop(&agent)) {
		*err = agent;
		return -1;
	}
	quiesce_set_reason(q, "%s; %s", err->text, agent.text);
	return 0;
}

int
quiesce_begin(struct quiesce **out, struct domain *domain,
    const struct quiesce_options *options, struct err *err)
{
	struct quiesce *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return err_no_memory(err);
	q->domain = domain;
	q->source = MANIFEST_QUIESCE_NONE;
	q->lease_ms = options->lease_ms > QUIESCE_LEASE_MAX_MS
			  ? QUIESCE_LEASE_MAX_MS
			  : options->lease_ms;
	snprintf(q->session, sizeof(q->session), "%s", options->session);
	if (options->prefer == MANIFEST_CRASH) {
		quiesce_set_reason(q, "the guest was not asked to freeze");
	} else if (choose(q, options, err) == -1) {
		quiesce_end(q);
		return -1;
	}
	*out = q;
	return 0;
}

enum manifest_quiesce
quiesce_source(const struct quiesce *q)
{
	return q->source;
}

const char *
quiesce_reason(const struct quiesce *q)
{
	return q->reason;
}

/* ---- freeze and thaw ---- */

int
quiesce_freeze(struct quiesce *q, struct err *err)
{
	int rc = 0;

	if (q->source == MANIFEST_QUIESCE_HOLDSTILL)
		rc = quiesce_helper_freeze(q, err);
	else if (q->source == MANIFEST_QUIESCE_QEMU_GA)
		rc = quiesce_qga_freeze(q, err);
	if (rc == 0)
		return 0;
	q->source = MANIFEST_QUIESCE_NONE;
	quiesce_set_reason(q, "cannot freeze: %s", err->text);
	if (err->class == ERR_CANCELLED)
		return -1;
	err_clear(err);
	return 0;
}

/* What is known of file systems that were never frozen says so. */
static void
hand_over_filesystems(struct quiesce *q, struct manifest_freeze *freeze)
{
	struct manifest_filesystem *fs;
	char *state;
	size_t i;

	for (i = 0; i < q->filesystem_count; i++) {
		fs = &q->filesystems[i];
		if (strcmp(fs->state, "planned") == 0 &&
		    (state = strdup("failed")) != NULL) {
			free(fs->state);
			fs->state = state;
		}
	}
	freeze->filesystems = q->filesystems;
	freeze->filesystem_count = q->filesystem_count;
	q->filesystems = NULL;
	q->filesystem_count = 0;
}

void
quiesce_thaw(struct quiesce *q, struct manifest_freeze *freeze,
    enum manifest_consistency *level)
{
	memset(freeze, 0, sizeof(*freeze));
	freeze->source = q->source;
	if (q->frozen && q->source == MANIFEST_QUIESCE_HOLDSTILL)
		freeze->proved = quiesce_helper_thaw(q, &freeze->held_ms);
	else if (q->frozen && q->source == MANIFEST_QUIESCE_QEMU_GA)
		freeze->proved = quiesce_qga_thaw(q, &freeze->held_ms);
	else
		freeze->source = MANIFEST_QUIESCE_NONE;
	hand_over_filesystems(q, freeze);
	*level = freeze->proved ? MANIFEST_FILESYSTEM : MANIFEST_CRASH;
}

bool
quiesce_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze)
{
	q->committed = true;
	if (q->source != MANIFEST_QUIESCE_HOLDSTILL)
		return true;
	return quiesce_helper_committed(q, point_id, freeze);
}

int
quiesce_deliver(struct domain *domain, const char *session,
    const char *point_id, const struct manifest_freeze *freeze, struct err *err)
{
	struct quiesce q = { .domain = domain };
	int rc;

	snprintf(q.session, sizeof(q.session), "%s", session);
	rc = quiesce_helper_deliver(&q, point_id, freeze, err);
	q.committed = true;
	quiesce_helper_end(&q);
	return rc;
}

enum manifest_consistency
quiesce_reachable(const struct quiesce *q)
{
	return q->reachable;
}

bool
quiesce_owes_thaw(const struct quiesce *q)
{
	return q->agent_owes_thaw;
}

bool
quiesce_end(struct quiesce *q)
{
	int64_t held_ms;
	bool thawed;

	if (q == NULL)
		return true;
	if (q->frozen && q->source == MANIFEST_QUIESCE_HOLDSTILL)
		quiesce_helper_thaw(q, &held_ms);
	thawed = quiesce_qga_end(q);
	quiesce_helper_end(q);
	quiesce_filesystems_free(q->filesystems, q->filesystem_count);
	free(q);
	return thawed;
}
