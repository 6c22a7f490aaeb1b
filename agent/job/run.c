/* SPDX-License-Identifier: Apache-2.0 */
/* A configured job over its domains. */
#include "agent/job/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config.h"
#include "agent/domain/domain.h"
#include "agent/job/backup.h"
#include "agent/job/care.h"
#include "agent/job/context.h"
#include "agent/job/forget.h"
#include "agent/job/lock.h"
#include "agent/job/retention.h"
#include "common/cancel.h"
#include "common/err.h"
#include "common/log.h"
#include "store/store.h"

/* ---- which domains ---- */

struct names {
	const struct config_job *job;
	char **name;
	size_t count;
	bool out_of_memory;
};

static int
add_name(struct names *names, const char *name)
{
	char **grown;

	grown = reallocarray(names->name, names->count + 1, sizeof(*grown));
	if (grown == NULL) {
		names->out_of_memory = true;
		return 1;
	}
	names->name = grown;
	if ((grown[names->count] = strdup(name)) == NULL) {
		names->out_of_memory = true;
		return 1;
	}
	names->count++;
	return 0;
}

static bool
has_name(const struct names *names, const char *name)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (strcmp(names->name[i], name) == 0)
			return true;
	return false;
}

/* A glob means the machines that run; a name means that one, running or
 * not, so that a machine that is off is told. */
static int
visit_domain(void *arg, const char *name, bool active)
{
	struct names *names = arg;

	if (!active || !config_job_wants(names->job, name))
		return 0;
	return add_name(names, name);
}

static int
find_domains(struct names *names, struct job_context *ctx, struct err *err)
{
	const struct config_job *job = names->job;
	size_t i;

	if (job_connect(ctx, err) == -1 ||
	    domain_each(ctx->connection, visit_domain, names, err) == -1)
		return -1;
	for (i = 0; i < job->domains.count; i++)
		if (!config_is_glob(job->domains.word[i]) &&
		    config_job_wants(job, job->domains.word[i]) &&
		    !has_name(names, job->domains.word[i]))
			add_name(names, job->domains.word[i]);
	if (names->out_of_memory)
		return err_no_memory(err);
	if (names->count == 0)
		return err_set(err, ERR_NOT_FOUND,
		    "no running domain fits job '%s'", job->name);
	return 0;
}

static void
free_names(struct names *names)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
}

/* ---- what to do with each ---- */

static void
policy_of(struct retention_policy *out, const struct config_job *job)
{
	out->keep[RETENTION_LAST] = job->keep_last;
	out->keep[RETENTION_HOURLY] = job->keep_hourly;
	out->keep[RETENTION_DAILY] = job->keep_daily;
	out->keep[RETENTION_WEEKLY] = job->keep_weekly;
	out->keep[RETENTION_MONTHLY] = job->keep_monthly;
	out->keep[RETENTION_YEARLY] = job->keep_yearly;
}

static void
ignore_decision(void *arg, const struct manifest *m, unsigned int kept_by)
{
	(void)arg;
	(void)m;
	(void)kept_by;
}

static int
apply_retention(struct job_context *ctx, const struct config_job *job,
    const char *domain, struct err *err)
{
	struct retention_policy policy;

	policy_of(&policy, job);
	if (retention_is_empty(&policy))
		return 0;
	if (ctx->store != NULL && store_is_host(ctx->store)) {
		log_line(LOG_WARNING,
		    "the retention of '%s' is left to the repository's owner: "
		    "a host key forgets nothing",
		    domain);
		return 0;
	}
	if (job_forget_policy(
		ctx, domain, &policy, false, ignore_decision, NULL, err) == -1)
		return err_prefix(err, "retention of '%s'", domain);
	return 0;
}

static void
options_of(struct backup_options *out, const struct config_job *job)
{
	*out = (struct backup_options){
		.require = job->has_require ? job->require : MANIFEST_CRASH,
		.has_prefer = job->has_prefer,
		.prefer = job->prefer,
		.lease_ms = job->lease_seconds * 1000,
		.spread_ms = job->spread_ms,
		.exclude_disks = (const char *const *)job->exclude_disks.word,
		.exclude_count = job->exclude_disks.count,
		.audit_permille = job->audit_permille,
		.no_audit = job->no_audit,
		.job = job->name,
	};
}

/* A job at work. */
struct work {
	struct job_context *ctx;
	const struct config_job *job;
	struct backup_options options;
	run_fn *fn;
	void *arg;
	struct run_result *out;
	struct err care; /* The first failure of a retention. */
};

/* A domain that failed keeps all its points. */
static void
domain_failed(struct work *w, const char *domain, const struct err *failure)
{
	if (failure->class == ERR_BUSY)
		w->out->busy++;
	else
		w->out->failed++;
	w->fn(w->arg, domain, NULL, failure);
}

/* Takes the result's manifest. */
static void
domain_done(struct work *w, const char *domain, struct backup_result *result)
{
	struct err failure = ERR_INIT;

	w->out->done++;
	w->out->demoted += result->demoted;
	w->fn(w->arg, domain, result, NULL);
	manifest_free(result->manifest);
	if (apply_retention(w->ctx, w->job, domain, &failure) == -1 &&
	    w->care.class == ERR_NONE)
		w->care = failure;
}

/* A failure is counted and told, never fatal for the other domains. */
static int
run_domain(struct work *w, const char *domain, struct err *err)
{
	struct backup_result result;
	struct err failure = ERR_INIT;

	if (job_backup(w->ctx, domain, &w->options, &result, &failure) == 0) {
		domain_done(w, domain, &result);
		return 0;
	}
	if (failure.class == ERR_CANCELLED) {
		*err = failure;
		return -1;
	}
	domain_failed(w, domain, &failure);
	return 0;
}

static int
run_group(struct work *w, const struct names *names, struct err *err)
{
	struct backup_result *results = calloc(names->count, sizeof(*results));
	struct err failure = ERR_INIT;
	size_t i;

	if (results == NULL)
		return err_no_memory(err);
	job_backup_group(w->ctx, (const char *const *)names->name, names->count,
	    &w->options, results, &failure);
	for (i = 0; i < names->count; i++)
		if (results[i].manifest != NULL)
			domain_done(w, names->name[i], &results[i]);
		else if (failure.class != ERR_CANCELLED)
			domain_failed(w, names->name[i], &failure);
	free(results);
	if (failure.class != ERR_CANCELLED)
		return 0;
	*err = failure;
	return -1;
}

static int
run_domains(struct work *w, const struct names *names, struct err *err)
{
	int rc = 0;
	size_t i;

	if (w->job->group)
		return run_group(w, names, err);
	for (i = 0; rc == 0 && i < names->count; i++)
		rc = run_domain(w, names->name[i], err);
	return rc;
}

/* ---- the whole ---- */

struct damage_text {
	char first[256];
};

static void
remember_damage(void *arg, const struct store_damage *damage)
{
	struct damage_text *text = arg;

	if (text->first[0] == '\0')
		snprintf(text->first, sizeof(text->first), "%s: %s",
		    damage->object, damage->what);
}

static int
run_verify(
    struct job_context *ctx, const struct config_job *job, struct err *err)
{
	struct damage_text text = { "" };
	struct job_verify_options options = {
		.sample_percent = job->verify_percent,
		.budget_ms = job->verify_budget_ms,
		.damage = remember_damage,
		.arg = &text,
	};
	struct job_verify_result result;

	if (job->verify_percent == 0 && job->verify_budget_ms == 0)
		return 0;
	if (job_verify(ctx, &options, &result, err) == -1)
		return err_prefix(err, "verify");
	if (result.found.damaged_objects + result.found.damaged_points == 0)
		return 0;
	err_set(err, ERR_CORRUPT,
	    "verify found damaged objects: %llu, points hurt: %llu: %s",
	    (unsigned long long)result.found.damaged_objects,
	    (unsigned long long)result.found.damaged_points, text.first);
	return err_hint(err, "run 'holdstill verify' to see all of it, then "
			     "'holdstill repair'");
}

/* What the caller has set stands. */
static void
take_settings(struct job_context *ctx, const struct config_job *job)
{
	if (job->scratch_dir != NULL)
		ctx->scratch_dir = job->scratch_dir;
	if (ctx->limit_rate == 0)
		ctx->limit_rate = job->limit_rate;
	if (ctx->limit_read == 0)
		ctx->limit_read = job->limit_read;
}

static int
start(struct job_lock **out, struct names *names, struct job_context *ctx,
    struct err *err)
{
	if (job_open_history(ctx, err) == -1 ||
	    job_lock_take(out, ctx->state_dir, "job", names->job->name, err) ==
		-1)
		return -1;
	return find_domains(names, ctx, err);
}

int
job_run(struct job_context *ctx, const struct config_job *job, run_fn *fn,
    void *arg, struct run_result *out, struct err *err)
{
	struct work w = {
		.ctx = ctx,
		.job = job,
		.fn = fn,
		.arg = arg,
		.out = out,
	};
	struct names names = { .job = job };
	struct job_lock *lock = NULL;
	const struct job_context before = *ctx;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	options_of(&w.options, job);
	take_settings(ctx, job);
	if (start(&lock, &names, ctx, err) == -1)
		goto out;
	rc = run_domains(&w, &names, err);
	if (rc == 0 && out->done > 0)
		rc = run_verify(ctx, job, err);
	if (rc == 0 && w.care.class != ERR_NONE) {
		*err = w.care;
		rc = -1;
	}
out:
	ctx->scratch_dir = before.scratch_dir;
	ctx->limit_rate = before.limit_rate;
	ctx->limit_read = before.limit_read;
	free_names(&names);
	job_lock_release(lock);
	return rc;
}
