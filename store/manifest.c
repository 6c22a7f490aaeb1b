/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests in memory, and the words for their enumerations. */
#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

struct manifest *
manifest_new(void)
{
	return calloc(1, sizeof(struct manifest));
}

static void
free_writer(struct manifest_writer *w)
{
	while (w->meta_count > 0) {
		w->meta_count--;
		free(w->meta[w->meta_count].key);
		free(w->meta[w->meta_count].value);
	}
	free(w->meta);
	free(w->name);
	free(w->state);
	free(w->reason);
}

void
manifest_freeze_fini(struct manifest_freeze *freeze)
{
	struct manifest_filesystem *f;

	while (freeze->filesystem_count > 0) {
		f = &freeze->filesystems[--freeze->filesystem_count];
		free(f->mount_point);
		free(f->type);
		free(f->disk);
		free(f->state);
		free(f->reason);
	}
	free(freeze->filesystems);
	while (freeze->writer_count > 0)
		free_writer(&freeze->writers[--freeze->writer_count]);
	free(freeze->writers);
	memset(freeze, 0, sizeof(*freeze));
}

void
manifest_group_fini(struct manifest_group *group)
{
	while (group->member_count > 0)
		free(group->members[--group->member_count].domain);
	free(group->members);
	free(group->reason);
	memset(group, 0, sizeof(*group));
}

void
manifest_free(struct manifest *m)
{
	struct manifest_disk *d;

	if (m == NULL)
		return;
	while (m->disk_count > 0) {
		d = &m->disks[--m->disk_count];
		free(d->target);
		free(d->format);
		free(d->path);
		free(d->reason);
	}
	free(m->disks);
	manifest_freeze_fini(&m->freeze);
	manifest_group_fini(&m->group);
	free(m->domain);
	free(m->uuid);
	free(m->host);
	free(m->consistency_reason);
	free(m->checkpoint);
	free(m->definition_xml);
	free(m);
}

const struct manifest_disk *
manifest_find_disk(const struct manifest *m, const char *target)
{
	size_t i;

	for (i = 0; i < m->disk_count; i++) {
		if (m->disks[i].target != NULL &&
		    strcmp(m->disks[i].target, target) == 0)
			return &m->disks[i];
	}
	return NULL;
}

const char *
manifest_consistency_name(enum manifest_consistency c)
{
	switch (c) {
	case MANIFEST_APPLICATION:
		return "application";
	case MANIFEST_FILESYSTEM:
		return "filesystem";
	case MANIFEST_CRASH:
		break;
	}
	return "crash";
}

const char *
manifest_kind_name(enum manifest_kind kind)
{
	return kind == MANIFEST_INCREMENTAL ? "incremental" : "full";
}

const char *
manifest_quiesce_name(enum manifest_quiesce quiesce)
{
	switch (quiesce) {
	case MANIFEST_QUIESCE_HOLDSTILL:
		return "holdstill";
	case MANIFEST_QUIESCE_QEMU_GA:
		return "qemu-ga";
	case MANIFEST_QUIESCE_NONE:
		break;
	}
	return "none";
}

const char *
manifest_source_name(enum manifest_source source)
{
	switch (source) {
	case MANIFEST_SOURCE_BITMAP:
		return "bitmap";
	case MANIFEST_SOURCE_RBD_DIFF:
		return "rbd-diff";
	case MANIFEST_SOURCE_COMPARE:
		return "compare";
	case MANIFEST_SOURCE_FULL:
		break;
	}
	return "full";
}

int
manifest_consistency_parse(enum manifest_consistency *out, const char *word)
{
	static const enum manifest_consistency all[] = { MANIFEST_CRASH,
		MANIFEST_FILESYSTEM, MANIFEST_APPLICATION };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(word, manifest_consistency_name(all[i])) == 0) {
			*out = all[i];
			return 0;
		}
	}
	return -1;
}
