/* SPDX-License-Identifier: Apache-2.0 */
/* What a backup did to guest and host, in the journal and undone again. */
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/quiesce/quiesce.h"
#include "common/log.h"

int
backup_effect(struct backup *b, int64_t *id, enum journal_kind kind,
    const char *subject, struct err *err)
{
	struct journal_effect effect = {
		.kind = kind,
		.connect_uri =
		    b->ctx->connect_uri != NULL ? b->ctx->connect_uri : "",
		.domain_uuid = domain_uuid(b->domain),
		.subject = subject,
		.point_id = b->manifest->id,
	};

	memcpy(effect.run, b->run, sizeof(effect.run));
	if (journal_add(b->ctx->journal, &effect, err) == -1)
		return -1;
	*id = effect.id;
	return 0;
}

void
backup_strike(struct backup *b, int64_t *id)
{
	struct err err = ERR_INIT;

	if (*id == 0)
		return;
	if (journal_strike(b->ctx->journal, *id, &err) == -1)
		log_line(LOG_WARNING, "%s", err.text);
	*id = 0;
}

/* Asks libvirt, not ourselves: a begin whose answer was lost has begun. */
int
backup_stop_job(struct backup *b, struct err *err)
{
	if (b->job_effect == 0)
		return 0;
	return scratch_end_job(b->domain, scratch_socket(b->scratch), err);
}

int
backup_end_job(struct backup *b, struct err *err)
{
	if (backup_stop_job(b, err) == -1)
		return -1;
	backup_strike(b, &b->job_effect);
	scratch_free(b->scratch);
	b->scratch = NULL;
	return 0;
}

/* Without a point, the new checkpoint would be the start of changes that
 * nobody has the beginning of. */
static void
drop_checkpoint(struct backup *b)
{
	struct err err = ERR_INIT;

	if (b->checkpoint_effect == 0 || b->committed)
		return;
	if (domain_checkpoint_delete(b->domain, b->checkpoint, &err) == -1)
		log_line(LOG_WARNING, "cannot delete checkpoint '%s': %s",
		    b->checkpoint, err.text);
	else
		backup_strike(b, &b->checkpoint_effect);
}

void
backup_undo(struct backup *b)
{
	struct err err = ERR_INIT;

	if (quiesce_end(b->quiesce))
		backup_strike(b, &b->freeze_effect);
	b->quiesce = NULL;
	domain_picture_free(b->picture);
	b->picture = NULL;
	if (backup_end_job(b, &err) == -1)
		log_line(
		    LOG_WARNING, "cannot end the backup job: %s", err.text);
	drop_checkpoint(b);
	/* Without a point there is nothing to tell. */
	if (!b->committed)
		backup_strike(b, &b->committed_effect);
}
