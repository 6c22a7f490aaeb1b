/* SPDX-License-Identifier: Apache-2.0 */
/* The domains with their locks, nothing left of dead runs, the repository. */
#include <stdlib.h>
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/job/lock.h"
#include "agent/job/recover.h"
#include "common/err.h"
#include "common/rate.h"
#include "store/store.h"

static int
open_domain(struct backup *b, struct err *err)
{
	return domain_open(&b->domain, b->ctx->connection, b->name, err);
}

static int
by_uuid(const void *a, const void *b)
{
	const struct backup *const *left = a, *const *right = b;

	return strcmp(
	    domain_uuid((*left)->domain), domain_uuid((*right)->domain));
}

static int
lock_domain(struct backup *b, struct err *err)
{
	if (job_lock_take(&b->lock, b->ctx->state_dir, "domain",
		domain_uuid(b->domain), err) == -1)
		return err_prefix(err, "domain '%s'", domain_name(b->domain));
	return 0;
}

/* Two groups that name the same domains in another order must not each hold
 * what the other lacks. */
static int
lock_domains(struct backup_set *set, struct err *err)
{
	struct backup **sorted = calloc(set->count, sizeof(struct backup *));
	int rc = 0;
	size_t i;

	if (sorted == NULL)
		return err_no_memory(err);
	for (i = 0; i < set->count; i++)
		sorted[i] = &set->members[i];
	qsort(sorted, set->count, sizeof(*sorted), by_uuid);
	for (i = 0; rc == 0 && i < set->count; i++)
		if (i > 0 && by_uuid(&sorted[i - 1], &sorted[i]) == 0)
			rc = err_set(err, ERR_ARG, "domain '%s' is named twice",
			    domain_name(sorted[i]->domain));
		else
			rc = lock_domain(sorted[i], err);
	free(sorted);
	return rc;
}

/* A domain that is off has no QEMU to ask. */
static int
check_state(struct backup *b, struct err *err)
{
	const char *name = domain_name(b->domain);

	if (domain_state(b->domain, &b->state, err) == -1)
		return -1;
	switch (b->state) {
	case DOMAIN_RUNNING:
	case DOMAIN_PAUSED:
		return 0;
	case DOMAIN_PAUSED_IO:
		err_set(err, ERR_IO,
		    "domain '%s' is stopped by an I/O error of its disk", name);
		return err_hint(err,
		    "see 'virsh domblkerror %s', mend the "
		    "cause, then 'virsh resume %s'",
		    name, name);
	case DOMAIN_OFF:
		err_set(err, ERR_UNSUPPORTED,
		    "domain '%s' is off, and this version backs up running "
		    "domains only",
		    name);
		return err_hint(err, "start it with 'virsh start %s'", name);
	case DOMAIN_STATE_OTHER:
		break;
	}
	err_set(
	    err, ERR_BUSY, "domain '%s' is neither running nor paused", name);
	return err_hint(err, "try again when it has started or stopped");
}

static int
tidy_domain(struct backup *b, struct err *err)
{
	if (job_recover_domain(b->ctx, b->domain, err) == -1)
		return err_prefix(err, "cannot clean up after a dead run");
	return check_state(b, err);
}

/* The session comes before the plan: a prune in between could take away what
 * the chosen base refers to.  So does a look at what others made since. */
static int
open_store(struct backup_set *set, struct err *err)
{
	struct job_context *ctx = set->ctx;
	const struct store_session_options options = {
		.points = (unsigned int)set->count,
		.compression = ctx->compression,
	};
	size_t i;

	if (store_session_begin(&set->session, ctx->store, &options, err) == -1)
		return -1;
	for (i = 0; i < set->count; i++)
		store_session_point(set->session, (unsigned int)i,
		    set->members[i].manifest->id);
	ctx->catalog_synced = false;
	return job_open_catalog(ctx, err);
}

static int
make_read_rate(struct backup_set *set, struct err *err)
{
	if (set->ctx->limit_read == 0)
		return 0;
	if ((set->read_rate = malloc(sizeof(*set->read_rate))) == NULL)
		return err_no_memory(err);
	rate_init(set->read_rate, set->ctx->limit_read);
	return 0;
}

int
backup_open(struct backup_set *set, struct err *err)
{
	if (make_read_rate(set, err) == -1 ||
	    job_connect(set->ctx, err) == -1 ||
	    backup_each(set, open_domain, err) == -1 ||
	    lock_domains(set, err) == -1 ||
	    backup_each(set, tidy_domain, err) == -1)
		return -1;
	return open_store(set, err);
}

static void
close_member(struct backup *b)
{
	size_t i;

	for (i = 0; i < b->disk_count; i++) {
		free(b->disks[i].scratch_path);
		free(b->disks[i].heal);
	}
	free(b->disks);
	manifest_free(b->base);
	manifest_free(b->manifest);
	domain_disks_free(b->domain_disks, b->domain_disk_count);
	domain_close(b->domain);
	job_lock_release(b->lock);
}

void
backup_close(struct backup_set *set)
{
	size_t i;

	store_session_end(set->session);
	if (set->read_rate != NULL)
		rate_fini(set->read_rate);
	free(set->read_rate);
	for (i = 0; i < set->count; i++)
		close_member(&set->members[i]);
	free(set->members);
}
