/* SPDX-License-Identifier: Apache-2.0 */
/* Freezes and thaws under the domain's lock, with the journal's knowledge. */
#include "agent/job/freeze_test.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/job/context.h"
#include "agent/job/lock.h"
#include "agent/job/recover.h"
#include "agent/quiesce/quiesce.h"
#include "catalog/journal.h"
#include "common/cancel.h"
#include "common/err.h"
#include "common/hexid.h"
#include "common/log.h"

/* A dead run may have left the guest frozen: its agent would refuse. */
static int
tidy(struct job_context *ctx, struct domain *domain, struct err *err)
{
	struct err no_store = ERR_INIT;

	/* A freeze needs no repository; what does is left, and said. */
	if (job_open_store(ctx, &no_store) == -1)
		log_line(LOG_INFO, "%s", no_store.text);
	if (job_recover_domain(ctx, domain, err) == -1)
		return err_prefix(err, "cannot clean up after a dead run");
	return 0;
}

static int
add_effect(struct journal_effect *effect, struct job_context *ctx,
    struct domain *domain, const struct quiesce *q, struct err *err)
{
	if (quiesce_source(q) == MANIFEST_QUIESCE_NONE)
		return 0;
	effect->kind = JOURNAL_FREEZE;
	effect->connect_uri = ctx->connect_uri != NULL ? ctx->connect_uri : "";
	effect->domain_uuid = domain_uuid(domain);
	effect->subject = manifest_quiesce_name(quiesce_source(q));
	effect->point_id = "";
	return journal_add(ctx->journal, effect, err);
}

static void
strike_effect(const struct journal_effect *effect, struct job_context *ctx)
{
	struct err err = ERR_INIT;

	if (effect->id != 0 &&
	    journal_strike(ctx->journal, effect->id, &err) == -1)
		log_line(LOG_WARNING, "%s", err.text);
}

static int
freeze_and_thaw(struct freeze_test_result *out, struct quiesce *q,
    unsigned int hold_ms, struct err *err)
{
	struct pollfd watch = { .fd = cancel_fd(), .events = POLLIN };

	if (quiesce_freeze(q, err) == -1)
		return -1;
	if (quiesce_source(q) != MANIFEST_QUIESCE_NONE)
		poll(&watch, 1, (int)hold_ms);
	out->offered = quiesce_offered(q);
	quiesce_thaw(q, &out->freeze, &out->level);
	snprintf(out->reason, sizeof(out->reason), "%s", quiesce_reason(q));
	return 0;
}

int
job_freeze_test(struct job_context *ctx, struct domain *domain,
    const struct freeze_test_options *options, struct freeze_test_result *out,
    struct err *err)
{
	struct journal_effect effect = { .id = 0 };
	const struct quiesce_options quiesce = {
		.session = effect.run,
		.lease_ms = options->lease_ms != 0
				? options->lease_ms
				: options->hold_ms + QUIESCE_LEASE_DEFAULT_MS,
		.prefer = MANIFEST_APPLICATION,
	};
	struct job_lock *lock = NULL;
	struct quiesce *q = NULL;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (job_open_journal(ctx, err) == -1 ||
	    job_lock_take(&lock, ctx->state_dir, "domain", domain_uuid(domain),
		err) == -1 ||
	    tidy(ctx, domain, err) == -1 || hexid_new(effect.run, err) == -1 ||
	    quiesce_begin(&q, domain, &quiesce, err) == -1 ||
	    add_effect(&effect, ctx, domain, q, err) == -1)
		goto out;
	rc = freeze_and_thaw(out, q, options->hold_ms, err);
out:
	if (quiesce_end(q))
		strike_effect(&effect, ctx);
	job_lock_release(lock);
	return rc;
}

void
freeze_test_result_fini(struct freeze_test_result *result)
{
	manifest_freeze_fini(&result->freeze);
}
