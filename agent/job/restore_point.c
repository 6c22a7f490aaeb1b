/* SPDX-License-Identifier: Apache-2.0 */
/* A point back: disks, definition, domain. */
#include "agent/job/restore_point.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/job/context.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "store/manifest.h"
#include "store/store.h"

struct restoring {
	struct job_context *ctx;
	const struct restore_point_options *options;
	struct restore_point_result *result;
	struct manifest *manifest;
	const struct manifest_disk *disk; /* The one under way. */
	struct lost_ranges *lost;         /* What it lacks. */
	uint64_t all_done, all_total;
};

static int
tick(void *arg, uint64_t done_bytes, uint64_t total_bytes, struct err *err)
{
	struct restoring *r = arg;
	const struct job_events *events = &r->ctx->events;

	if (events->progress != NULL)
		events->progress(events->arg, r->disk->target, done_bytes,
		    total_bytes, r->all_done + done_bytes, r->all_total);
	return cancel_check(err);
}

static int
note_lost(void *arg, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct restoring *r = arg;

	return lost_ranges_add(r->lost, offset, bytes, err);
}

static struct restore_options
options_for(struct restoring *r, const char *target)
{
	return (struct restore_options){
		.target = target,
		.format = r->options->format,
		.overwrite = r->options->overwrite,
		.tick = tick,
		.lost = r->options->salvage ? note_lost : NULL,
		.arg = r,
	};
}

/* Refused before gigabytes of the first are written, not after. */
static int
check_one(
    struct restoring *r, size_t index, const char *target, struct err *err)
{
	const struct manifest_disk *disk = &r->manifest->disks[index];
	const struct restore_options options = options_for(r, target);

	if (restore_check(disk, &options, err) == -1)
		return err_prefix(err, "disk '%s'", disk->target);
	return 0;
}

static int
restore_one(
    struct restoring *r, size_t index, const char *target, struct err *err)
{
	const struct manifest_disk *disk = &r->manifest->disks[index];
	const struct restore_options options = options_for(r, target);

	r->disk = disk;
	r->lost = &r->result->lost[index];
	if (restore_disk(r->ctx->store, disk, &options, err) == -1)
		return err_prefix(err, "disk '%s'", disk->target);
	lost_ranges_finish(r->lost);
	r->result->lost_bytes += r->lost->bytes;
	r->all_done += disk->size_bytes;
	r->result->paths[index] = strdup(target);
	return r->result->paths[index] == NULL ? err_no_memory(err) : 0;
}

/* ---- into a folder ---- */

/* Manifests are hostile input: a target becomes a file name. */
static int
check_target_name(const char *target, struct err *err)
{
	if (target[0] == '\0' || target[0] == '.' ||
	    strspn(target,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_-.") != strlen(target))
		return err_set(err, ERR_CORRUPT,
		    "the manifest names a disk '%.32s'", target);
	return 0;
}

static int
make_absolute_dir(char **out, const char *dir, struct err *err)
{
	if (io_make_dirs(dir, 0755, err) == -1)
		return -1;
	if ((*out = realpath(dir, NULL)) == NULL)
		return err_errno(err, errno, "cannot resolve '%s'", dir);
	return 0;
}

static int
disk_path(char **out, const struct restoring *r, const char *dir,
    const char *target, struct err *err)
{
	if (check_target_name(target, err) == -1)
		return -1;
	if (asprintf(out, "%s/%s.%s", dir, target,
		restore_format_name(r->options->format)) == -1)
		return err_no_memory(err);
	return 0;
}

static int
restore_all(struct restoring *r, const char *dir, struct err *err)
{
	size_t i, pass;
	char *path = NULL;
	int rc = 0;

	for (pass = 0; rc == 0 && pass < 2; pass++)
		for (i = 0; rc == 0 && i < r->manifest->disk_count; i++) {
			rc = disk_path(
			    &path, r, dir, r->manifest->disks[i].target, err);
			if (rc == 0 && pass == 0)
				rc = check_one(r, i, path, err);
			else if (rc == 0)
				rc = restore_one(r, i, path, err);
			free(path);
			path = NULL;
		}
	if (rc == -1 && err->class == ERR_EXISTS)
		err_hint(err, "restore into an empty folder, or give "
			      "--overwrite");
	return rc;
}

/* ---- definition ---- */

static int
rewrite(char **out, const struct restoring *r, struct err *err)
{
	const struct manifest *m = r->manifest;
	struct definition_disk *disks = calloc(m->disk_count, sizeof(*disks));
	struct definition_options options = {
		.name = r->options->name,
		.same_identity = r->options->same_identity,
		.disks = disks,
		.disk_count = m->disk_count,
	};
	size_t i;
	int rc;

	if (disks == NULL)
		return err_no_memory(err);
	for (i = 0; i < m->disk_count; i++) {
		disks[i].target = m->disks[i].target;
		disks[i].path = r->result->paths[i];
		disks[i].format = restore_format_name(r->options->format);
	}
	rc = definition_rewrite(out, m->definition_xml, &options, err);
	free(disks);
	return rc;
}

static int
write_definition(
    struct restoring *r, const char *dir, const char *xml, struct err *err)
{
	if ((r->result->definition_path = io_path(dir, "domain.xml")) == NULL)
		return err_no_memory(err);
	return io_replace_file(
	    r->result->definition_path, xml, strlen(xml), 0600, err);
}

static const char *
new_name(const struct restoring *r)
{
	return r->options->name != NULL ? r->options->name
					: r->manifest->domain;
}

/* What is taken is found before the disks are written. */
static int
check_free(struct restoring *r, const char *name_or_uuid, const char *hint,
    struct err *err)
{
	struct domain *taken = NULL;

	if (domain_open(&taken, r->ctx->connection, name_or_uuid, err) == -1)
		return err->class == ERR_NOT_FOUND ? 0 : -1;
	err_set(err, ERR_EXISTS, "domain '%s' exists%s", domain_name(taken),
	    strcmp(name_or_uuid, domain_name(taken)) == 0
		? ""
		: " and has the point's UUID");
	domain_close(taken);
	return err_hint(err, "%s", hint);
}

static int
check_identity_free(struct restoring *r, struct err *err)
{
	const char *rename =
	    "give the restored one another name: --define NAME";

	/* Another name is no help where the UUID is taken as well. */
	if (r->options->same_identity)
		rename = "undefine it first, or leave out --same-identity and "
			 "give another name: --define NAME";
	if (job_connect(r->ctx, err) == -1 ||
	    check_free(r, new_name(r), rename, err) == -1)
		return -1;
	if (!r->options->same_identity)
		return 0;
	return check_free(r, r->manifest->uuid,
	    "undefine it first, or leave out --same-identity", err);
}

/* Disks that the domain has and the point has not: left out of the backup,
 * or never part of it. */
static int
warn_of_missing(const struct restoring *r, struct err *err)
{
	struct domain_disk *disks = NULL;
	size_t count = 0, i;

	if (domain_disks_parse(
		&disks, &count, r->manifest->definition_xml, err) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (disks[i].is_disk &&
		    manifest_find_disk(r->manifest, disks[i].target) == NULL)
			log_line(LOG_WARNING,
			    "disk '%s' of the domain is not "
			    "in this point, so it is not in the definition",
			    disks[i].target);
	domain_disks_free(disks, count);
	return 0;
}

/* What was restored stays, whatever libvirt says of it. */
static int
define(struct restoring *r, const char *xml, struct err *err)
{
	const char *path = r->result->definition_path, *name = new_name(r);

	job_step(r->ctx, r->manifest->domain, "defining '%s'", name);
	if (domain_define(r->ctx->connection, xml, err) == -1) {
		err_prefix(err, "the disks are restored, but not the domain");
		return err_hint(err, "mend it, then: virsh define %s", path);
	}
	if (r->options->start &&
	    domain_start(r->ctx->connection, name, err) == -1) {
		err_prefix(err, "the disks are restored and the domain is "
				"defined, but not started");
		return err_hint(err,
		    "mend it (virsh edit %s), then: virsh "
		    "start %s",
		    name, name);
	}
	if ((r->result->defined_name = strdup(name)) == NULL)
		return err_no_memory(err);
	return 0;
}

static int
restore_to_dir(struct restoring *r, struct err *err)
{
	char *dir = NULL, *xml = NULL;
	int rc = -1;

	if (warn_of_missing(r, err) == -1 ||
	    (r->options->define && check_identity_free(r, err) == -1))
		return -1;
	if (make_absolute_dir(&dir, r->options->dir, err) == -1 ||
	    restore_all(r, dir, err) == -1)
		goto out;
	if (rewrite(&xml, r, err) == -1 ||
	    write_definition(r, dir, xml, err) == -1) {
		err_prefix(err,
		    "the disks are restored, but not the domain's definition");
		goto out;
	}
	rc = r->options->define ? define(r, xml, err) : 0;
out:
	free(xml);
	free(dir);
	return rc;
}

/* ---- to targets ---- */

static int
find_disk(
    const struct restoring *r, const char *target, size_t *out, struct err *err)
{
	char known[256] = "";
	size_t i, used = 0;

	for (i = 0; i < r->manifest->disk_count; i++) {
		if (strcmp(r->manifest->disks[i].target, target) == 0) {
			*out = i;
			return 0;
		}
		if (used < sizeof(known))
			used +=
			    (size_t)snprintf(known + used, sizeof(known) - used,
				" %s", r->manifest->disks[i].target);
	}
	err_set(err, ERR_NOT_FOUND, "the point has no disk '%s'", target);
	return err_hint(err, "it has:%s", known);
}

static int
restore_to_targets(struct restoring *r, struct err *err)
{
	const struct restore_point_target *target;
	size_t i, index = 0;

	for (i = 0; i < r->options->target_count; i++) {
		target = &r->options->targets[i];
		if (find_disk(r, target->disk, &index, err) == -1 ||
		    check_one(r, index, target->target, err) == -1)
			return -1;
	}
	for (i = 0; i < r->options->target_count; i++) {
		target = &r->options->targets[i];
		if (find_disk(r, target->disk, &index, err) == -1 ||
		    restore_one(r, index, target->target, err) == -1)
			return -1;
	}
	return 0;
}

/* ---- damage ---- */

struct marked {
	const struct restoring *r;
	char disk[64]; /* The first that is hurt; "": none. */
	uint64_t bytes;
};

static bool
is_wanted(const struct restoring *r, const char *disk)
{
	size_t i;

	for (i = 0; i < r->options->target_count; i++)
		if (strcmp(r->options->targets[i].disk, disk) == 0)
			return true;
	return r->options->dir != NULL;
}

static void
note_mark(void *arg, const struct store_hurt *hurt)
{
	struct marked *marked = arg;

	if (marked->disk[0] != '\0' ||
	    strcmp(hurt->point, marked->r->manifest->id) != 0 ||
	    !is_wanted(marked->r, hurt->disk))
		return;
	snprintf(marked->disk, sizeof(marked->disk), "%s", hurt->disk);
	marked->bytes = hurt->bytes;
}

/* A point that a repair has marked fails at once and not after hours, unless
 * a backup has healed it since. */
static int
check_marks(const struct restoring *r, struct err *err)
{
	struct marked marked = { .r = r };
	struct store *s = r->ctx->store;
	bool whole;

	if (r->options->salvage)
		return 0;
	if (store_marks(s, note_mark, &marked, err) == -1)
		return -1;
	if (marked.disk[0] == '\0')
		return 0;
	if (store_point_whole(&whole, s, r->manifest, err) == -1)
		return -1;
	if (whole)
		return 0;
	err_set(err, ERR_CORRUPT,
	    "point %.8s is damaged: %llu bytes of disk '%s' are lost",
	    r->manifest->id, (unsigned long long)marked.bytes, marked.disk);
	return err_hint(err, "--salvage writes the rest, with zeros in their "
			     "place; 'holdstill show' lists them");
}

static void
sum_sizes(struct restoring *r)
{
	size_t i, index;
	struct err err = ERR_INIT;

	if (r->options->dir != NULL) {
		for (i = 0; i < r->manifest->disk_count; i++)
			r->all_total += r->manifest->disks[i].size_bytes;
		return;
	}
	for (i = 0; i < r->options->target_count; i++)
		if (find_disk(r, r->options->targets[i].disk, &index, &err) ==
		    0)
			r->all_total += r->manifest->disks[index].size_bytes;
}

static int
hint_at_verify(struct err *err)
{
	if (err->class == ERR_CORRUPT && err->hint[0] == '\0')
		err_hint(err, "run 'holdstill verify' to see what else is "
			      "hurt");
	return -1;
}

/* A piece that is missing: damage, or the point went while it was read. */
static int
explain(struct job_context *ctx, const struct manifest *m, struct err *err)
{
	if (err->class != ERR_CORRUPT)
		return -1;
	if (!store_point_gone(ctx->store, m->id)) {
		if (err->hint[0] == '\0')
			err_hint(err, "run 'holdstill verify' to see what else "
				      "is hurt; --salvage writes what can be "
				      "read");
		return -1;
	}
	err_set(err, ERR_NOT_FOUND,
	    "point %s is gone: it was forgotten, and a prune removed it "
	    "while it was restored",
	    m->id);
	return err_hint(err, "see 'holdstill list' for those that are there");
}

int
job_restore(struct job_context *ctx,
    const struct restore_point_options *options,
    struct restore_point_result *out, struct err *err)
{
	struct restoring r = { .ctx = ctx, .options = options, .result = out };
	int64_t started_ms = clock_monotonic_ms();
	int rc;

	memset(out, 0, sizeof(*out));
	if (job_find_point(&r.manifest, ctx, options->point, err) == -1)
		return hint_at_verify(err);
	out->paths = calloc(r.manifest->disk_count + 1, sizeof(*out->paths));
	out->lost = calloc(r.manifest->disk_count + 1, sizeof(*out->lost));
	if (out->paths == NULL || out->lost == NULL) {
		manifest_free(r.manifest);
		return err_no_memory(err);
	}
	out->manifest = r.manifest;
	sum_sizes(&r);
	job_step(ctx, r.manifest->domain, "restoring");
	rc = check_marks(&r, err);
	if (rc == 0)
		rc = options->dir != NULL ? restore_to_dir(&r, err)
					  : restore_to_targets(&r, err);
	if (ctx->events.progress_end != NULL)
		ctx->events.progress_end(ctx->events.arg);
	out->duration_ms = clock_monotonic_ms() - started_ms;
	return rc == -1 ? explain(ctx, r.manifest, err) : 0;
}

void
restore_point_result_fini(struct restore_point_result *result)
{
	size_t i;

	for (i = 0;
	     result->manifest != NULL && i < result->manifest->disk_count;
	     i++) {
		free(result->paths[i]);
		lost_ranges_fini(&result->lost[i]);
	}
	free(result->paths);
	free(result->lost);
	free(result->definition_path);
	free(result->defined_name);
	manifest_free(result->manifest);
	memset(result, 0, sizeof(*result));
}
