/* SPDX-License-Identifier: Apache-2.0 */
/* What to read: the disks, the point to build on, each disk's source. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "common/log.h"
#include "store/store.h"

static bool
is_excluded(const struct backup *b, const char *target)
{
	size_t i;

	for (i = 0; i < b->options->exclude_count; i++)
		if (strcmp(b->options->exclude_disks[i], target) == 0)
			return true;
	return false;
}

/* Each --exclude-disk must name a disk: a misspelt one would be backed up. */
static int
check_excludes(const struct backup *b, struct err *err)
{
	const char *target;
	size_t i, k;

	for (i = 0; i < b->options->exclude_count; i++) {
		target = b->options->exclude_disks[i];
		for (k = 0; k < b->domain_disk_count; k++)
			if (strcmp(b->domain_disks[k].target, target) == 0)
				break;
		if (k == b->domain_disk_count) {
			err_set(err, ERR_NOT_FOUND,
			    "domain '%s' has no disk '%s' to exclude",
			    domain_name(b->domain), target);
			return err_hint(err, "see 'virsh domblklist %s'",
			    domain_name(b->domain));
		}
	}
	return 0;
}

static int
check_disk(const struct domain_disk *disk, struct err *err)
{
	if (strcmp(disk->type, "file") == 0 || strcmp(disk->type, "block") == 0)
		return 0;
	err_set(err, ERR_UNSUPPORTED,
	    "disk '%s' is of type '%s', which this version cannot back up",
	    disk->target, disk->type);
	return err_hint(
	    err, "leave it out with --exclude-disk %s", disk->target);
}

static int
choose_disks(struct backup *b, struct err *err)
{
	const struct domain_disk *disk;
	size_t i;

	if (domain_disks(&b->domain_disks, &b->domain_disk_count, b->domain,
		err) == -1 ||
	    check_excludes(b, err) == -1)
		return -1;
	b->disks = calloc(b->domain_disk_count + 1, sizeof(*b->disks));
	if (b->disks == NULL)
		return err_no_memory(err);
	for (i = 0; i < b->domain_disk_count; i++) {
		disk = &b->domain_disks[i];
		if (!disk->is_disk || !disk->writable || disk->shareable ||
		    is_excluded(b, disk->target))
			continue;
		if (check_disk(disk, err) == -1)
			return -1;
		b->disks[b->disk_count++].disk = disk;
	}
	if (b->disk_count == 0)
		return err_set(err, ERR_ARG,
		    "domain '%s' has no disk to back up",
		    domain_name(b->domain));
	if (b->disk_count > MANIFEST_DISKS_MAX)
		return err_set(err, ERR_UNSUPPORTED,
		    "domain '%s' has more than %d disks",
		    domain_name(b->domain), MANIFEST_DISKS_MAX);
	return 0;
}

static void
make_full(struct backup_disk *disk, bool demoted, const char *reason)
{
	disk->base = NULL;
	disk->demoted = demoted;
	snprintf(disk->reason, sizeof(disk->reason), "%s", reason);
}

/* ---- the point to build on ---- */

struct newest {
	const char *uuid;
	char id[HEXID_SIZE];
};

/* Points come oldest first, so the last one of this machine stays. */
static int
remember_newest(void *arg, const struct manifest *m)
{
	struct newest *newest = arg;

	if (strcmp(m->uuid, newest->uuid) == 0)
		memcpy(newest->id, m->id, sizeof(newest->id));
	return 0;
}

/*
 * The newest point is the only one whose checkpoint we keep.  A manifest
 * that cannot be read makes a full, no failure.
 */
static int
find_base(struct backup *b, struct err *err)
{
	struct newest newest = { .uuid = domain_uuid(b->domain), .id = "" };
	struct err unread = ERR_INIT;
	char reason[256];

	if (catalog_points(b->ctx->catalog, store_id(b->ctx->store),
		domain_name(b->domain), remember_newest, &newest, err) == -1)
		return -1;
	if (newest.id[0] == '\0') {
		backup_plan_all_full(b, false, "first backup of this domain");
		return 0;
	}
	memcpy(b->manifest->parent, newest.id, sizeof(newest.id));
	if (store_manifest_read(&b->base, b->ctx->store, newest.id, &unread) ==
	    0)
		return 0;
	snprintf(reason, sizeof(reason),
	    "the last point cannot be read: %.180s", unread.text);
	backup_plan_all_full(b, true, reason);
	return 0;
}

void
backup_plan_all_full(struct backup *b, bool demoted, const char *reason)
{
	size_t i;

	for (i = 0; i < b->disk_count; i++)
		make_full(&b->disks[i], demoted, reason);
}

/* ---- each disk's source ---- */

static bool
can_have_checkpoint(const struct domain_disk *disk)
{
	return strcmp(disk->format, "qcow2") == 0;
}

/* What the manifest and the domain say of it, before QEMU is asked. */
static bool
base_fits(struct backup_disk *disk, const struct manifest_disk *base)
{
	const struct domain_disk *now = disk->disk;
	char reason[sizeof(disk->reason)];

	if (base == NULL) {
		make_full(
		    disk, false, "the last point does not have this disk");
		return false;
	}
	if (!can_have_checkpoint(now)) {
		snprintf(reason, sizeof(reason),
		    "format '%s' cannot track "
		    "changes",
		    now->format);
		make_full(disk, false, reason);
		return false;
	}
	if (strcmp(now->path, base->path) != 0) {
		/* Another image's bitmap would be true of another disk. */
		snprintf(reason, sizeof(reason),
		    "the disk is another file "
		    "than at the last point: '%.160s'",
		    now->path);
		make_full(disk, true, reason);
		return false;
	}
	if (now->size_bytes != base->size_bytes) {
		snprintf(reason, sizeof(reason),
		    "the disk was resized from %llu to %llu bytes",
		    (unsigned long long)base->size_bytes,
		    (unsigned long long)now->size_bytes);
		make_full(disk, true, reason);
		return false;
	}
	return true;
}

/* ---- what the repository has lost of the base ---- */

/* A disk that lacks more is read whole. */
#define HEAL_RANGES_MAX 65536u

static int
note_lost(void *arg, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct backup_disk *disk = arg;
	struct store_range *grown;

	if (disk->heal_count == HEAL_RANGES_MAX)
		return 0;
	/* In steps of powers of two. */
	if ((disk->heal_count & (disk->heal_count - 1)) == 0) {
		grown = reallocarray(disk->heal,
		    disk->heal_count > 0 ? disk->heal_count * 2 : 1,
		    sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		disk->heal = grown;
	}
	disk->heal[disk->heal_count++] =
	    (struct store_range){ .offset = offset, .bytes = bytes };
	return 0;
}

struct marked {
	struct backup *backup;
	struct backup_disk *disk;
	bool more;
	int rc;
	struct err *err;
};

static void
note_mark(void *arg, const struct store_hurt *hurt)
{
	struct marked *marked = arg;
	size_t i;

	if (strcmp(hurt->point, marked->backup->base->id) != 0 ||
	    strcmp(hurt->disk, marked->disk->disk->target) != 0)
		return;
	marked->more = marked->more || hurt->more;
	for (i = 0; marked->rc == 0 && i < hurt->range_count; i++)
		marked->rc = note_lost(marked->disk, hurt->ranges[i].offset,
		    hurt->ranges[i].bytes, marked->err);
}

/* A host that may only add cannot look: it goes by the base's own mark. */
static int
lost_of_base(
    struct backup *b, struct backup_disk *disk, bool *map_lost, struct err *err)
{
	struct marked marked = { .backup = b, .disk = disk, .err = err };

	if (!store_is_host(b->ctx->store))
		return store_disk_lost(
		    b->ctx->store, disk->base, map_lost, note_lost, disk, err);
	if (store_marks(b->ctx->store, note_mark, &marked, err) == -1)
		return -1;
	*map_lost = marked.more;
	return marked.rc;
}

/*
 * Only where a repair has marked something: the walk through the base's map
 * costs what the disk is large.  What is read again and has not changed heals
 * the older points, too.
 */
static int
plan_heal(struct backup *b, struct backup_disk *disk, struct err *err)
{
	bool any, map_lost = false;

	if (store_any_damage(&any, b->ctx->store, err) == -1)
		return -1;
	if (!any)
		return 0;
	if (lost_of_base(b, disk, &map_lost, err) == -1)
		return -1;
	if (map_lost || disk->heal_count == HEAL_RANGES_MAX)
		make_full(disk, true, "the last point is damaged");
	else if (disk->heal_count > 0)
		log_line(LOG_INFO,
		    "disk '%s': %zu ranges that are damaged in the repository "
		    "are read again",
		    disk->disk->target, disk->heal_count);
	return 0;
}

static int
choose_source(struct backup *b, struct backup_disk *disk, struct err *err)
{
	const struct manifest_disk *base =
	    manifest_find_disk(b->base, disk->disk->target);
	char reason[sizeof(disk->reason)] = "";

	if (!base_fits(disk, base))
		return 0;
	if (b->options->full) {
		make_full(disk, false, "asked for with --full");
		return 0;
	}
	if (b->base->checkpoint[0] == '\0') {
		make_full(disk, true, "the last point has no checkpoint");
		return 0;
	}
	if (domain_checkpoint_usable(b->domain, b->base->checkpoint,
		disk->disk->target, reason, sizeof(reason), err) == -1)
		return err_prefix(err, "disk '%s'", disk->disk->target);
	if (reason[0] != '\0') {
		make_full(disk, true, reason);
		return 0;
	}
	disk->base = base;
	return plan_heal(b, disk, err);
}

static int
choose_sources(struct backup *b, struct err *err)
{
	size_t i;

	for (i = 0; i < b->disk_count; i++)
		if (choose_source(b, &b->disks[i], err) == -1)
			return -1;
	return 0;
}

/* ---- the manifest's beginning ---- */

static int
describe_domain(struct backup *b, struct err *err)
{
	struct manifest *m = b->manifest;
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	if (domain_definition(&m->definition_xml, b->domain, err) == -1)
		return -1;
	m->domain = strdup(domain_name(b->domain));
	m->uuid = strdup(domain_uuid(b->domain));
	m->host = strdup(host);
	if (m->domain == NULL || m->uuid == NULL || m->host == NULL)
		return err_no_memory(err);
	return 0;
}

static int
name_checkpoint(struct backup *b, struct err *err)
{
	size_t i;

	for (i = 0; i < b->disk_count; i++)
		if (can_have_checkpoint(b->disks[i].disk))
			break;
	if (i < b->disk_count)
		snprintf(b->checkpoint, sizeof(b->checkpoint),
		    DOMAIN_CHECKPOINT_PREFIX "%.8s-%s", store_id(b->ctx->store),
		    b->manifest->id);
	b->manifest->checkpoint = strdup(b->checkpoint);
	return b->manifest->checkpoint == NULL ? err_no_memory(err) : 0;
}

int
backup_plan(struct backup *b, struct err *err)
{
	if (describe_domain(b, err) == -1 || choose_disks(b, err) == -1 ||
	    name_checkpoint(b, err) == -1 || find_base(b, err) == -1)
		return -1;
	if (b->base != NULL)
		return choose_sources(b, err);
	return 0;
}
