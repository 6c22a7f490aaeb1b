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
#include "common/cancel.h"
#include "common/err.h"
#include "common/log.h"

_Static_assert(QUIESCE_LEASE_DEFAULT_MS == MESSAGE_LEASE_USUAL_MS,
    "what a guest reckons with");

void
quiesce_set_reason(struct quiesce *q, const char *fmt, ...)
{
	char tail[sizeof(q->unserved) + 32] = "";
	size_t used;
	va_list ap;

	if (q->unserved[0] != '\0')
		snprintf(tail, sizeof(tail), "; the helper does not serve: %s",
		    q->unserved);
	va_start(ap, fmt);
	vsnprintf(q->reason, sizeof(q->reason) - strlen(tail), fmt, ap);
	va_end(ap);
	used = strlen(q->reason);
	snprintf(q->reason + used, sizeof(q->reason) - used, "%s", tail);
	client_clean(q->reason);
}

/* ---- the choice ---- */

/* Only this process knows whether it is to stop. */
static bool
must_stop(struct err *err)
{
	return err->class == ERR_NO_MEMORY || cancel_check(err) == -1;
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
	if (q->refused) {
		quiesce_set_reason(q, "%s%s", err->text,
		    err->class == ERR_TIMEOUT ? "; a longer --lease may help"
					      : "");
		err_clear(err);
		return 0;
	}
	if (quiesce_qga_begin(q, &agent) == 0) {
		q->source = MANIFEST_QUIESCE_QEMU_GA;
		snprintf(q->unserved, sizeof(q->unserved), "%.*s",
		    (int)sizeof(q->unserved) - 1, err->text);
		quiesce_qga_warn(q);
		err_clear(err);
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
	q->prefer = options->prefer;
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
	err_clear(err);
	return cancel_check(err);
}

/* What is known of file systems that were never frozen says so. */
static void
hand_over(struct quiesce *q, struct manifest_freeze *freeze)
{
	struct manifest_filesystem *fs;
	char *state;
	size_t i;

	for (i = 0; i < q->seen.filesystem_count; i++) {
		fs = &q->seen.filesystems[i];
		if (strcmp(fs->state, "planned") == 0 &&
		    (state = strdup("failed")) != NULL) {
			free(fs->state);
			fs->state = state;
		}
	}
	freeze->filesystems = q->seen.filesystems;
	freeze->filesystem_count = q->seen.filesystem_count;
	freeze->writers = q->seen.writers;
	freeze->writer_count = q->seen.writer_count;
	memset(&q->seen, 0, sizeof(q->seen));
}

void
quiesce_thaw(struct quiesce *q, struct manifest_freeze *freeze,
    enum manifest_consistency *level)
{
	memset(freeze, 0, sizeof(*freeze));
	freeze->source = q->source;
	*level = MANIFEST_CRASH;
	if (q->frozen && q->source == MANIFEST_QUIESCE_HOLDSTILL)
		*level = quiesce_helper_thaw(q, freeze);
	else if (!q->frozen || q->source != MANIFEST_QUIESCE_QEMU_GA)
		freeze->source = MANIFEST_QUIESCE_NONE;
	else if (quiesce_qga_thaw(q, &freeze->held_ms))
		*level = MANIFEST_FILESYSTEM;
	freeze->proved = *level > MANIFEST_CRASH;
	hand_over(q, freeze);
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

enum manifest_consistency
quiesce_offered(const struct quiesce *q)
{
	return q->offered;
}

bool
quiesce_owes_thaw(const struct quiesce *q)
{
	return q->agent_owes_thaw;
}

int
quiesce_settle_thaw(struct quiesce *q, int patience_ms, struct err *err)
{
	return quiesce_qga_settle(q, patience_ms, err);
}

bool
quiesce_end(struct quiesce *q)
{
	struct manifest_freeze ignored = { 0 };
	bool thawed;

	if (q == NULL)
		return true;
	if (q->frozen && q->source == MANIFEST_QUIESCE_HOLDSTILL)
		quiesce_helper_thaw(q, &ignored);
	thawed = quiesce_qga_end(q);
	quiesce_helper_end(q);
	manifest_freeze_fini(&q->seen);
	free(q);
	return thawed;
}
