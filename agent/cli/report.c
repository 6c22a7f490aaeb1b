/* SPDX-License-Identifier: Apache-2.0 */
/* Points as people read them. */
#include "agent/cli/report.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/cli/format.h"
#include "agent/domain/domain.h"
#include "agent/job/backup.h"
#include "common/clock.h"
#include "common/err.h"
#include "store/manifest.h"

static void
print_disk(const struct manifest_disk *disk)
{
	char size[FORMAT_SIZE], read[FORMAT_SIZE], stored[FORMAT_SIZE];

	printf("  %-6s %10s  %-7s  read %10s  stored %10s%s%s\n", disk->target,
	    format_bytes(size, disk->size_bytes),
	    manifest_source_name(disk->source),
	    format_bytes(read, disk->read_bytes),
	    format_bytes(stored, disk->stored_bytes),
	    disk->reason[0] != '\0' ? "  " : "", disk->reason);
}

/* Disks that the guest writes to and the point does not have. */
static void
print_left_out(const struct manifest *m)
{
	struct domain_disk *disks = NULL;
	struct err ignored = ERR_INIT;
	size_t i, count = 0;

	if (domain_disks_parse(&disks, &count, m->definition_xml, &ignored) ==
	    -1)
		return;
	for (i = 0; i < count; i++)
		if (disks[i].is_disk && disks[i].writable &&
		    manifest_find_disk(m, disks[i].target) == NULL)
			printf("  %-6s left out: %s\n", disks[i].target,
			    disks[i].shareable ? "shareable or transient"
					       : "excluded");
	domain_disks_free(disks, count);
}

static void
print_freeze(const struct manifest *m)
{
	const struct manifest_freeze *freeze = &m->freeze;

	printf("  consistency %s", manifest_consistency_name(m->consistency));
	if (freeze->source != MANIFEST_QUIESCE_NONE)
		printf(", held for %" PRId64 " ms by %s, %s", freeze->held_ms,
		    manifest_quiesce_name(freeze->source),
		    freeze->proved ? "proved" : "not proved");
	if (m->consistency_reason[0] != '\0')
		printf(": %s", m->consistency_reason);
	putchar('\n');
}

void
report_backup(const struct backup_result *result)
{
	const struct manifest *m = result->manifest;
	char time[CLOCK_RFC3339_SIZE], took[FORMAT_SIZE];
	size_t i;

	printf("%s: %s point %.8s of %s in %s\n", m->domain,
	    manifest_kind_name(m->kind), m->id,
	    clock_format_rfc3339(time, m->time_ms),
	    format_duration(took, m->duration_ms));
	print_freeze(m);
	for (i = 0; i < m->disk_count; i++)
		print_disk(&m->disks[i]);
	print_left_out(m);
}

void
report_group(const struct manifest_group *group)
{
	printf("group %.8s of %zu, pictures within %" PRId64 " ms: %s%s%s\n",
	    group->id, group->member_count, group->spread_ms,
	    group->consistent ? "consistent" : "not consistent",
	    group->reason[0] != '\0' ? ": " : "", group->reason);
}

void
report_list_heading(void)
{
	printf("%-16s %-8s %-20s %-11s %-11s %10s %10s\n", "DOMAIN", "POINT",
	    "TIME", "KIND", "CONSISTENCY", "DISKS", "STORED");
}

void
report_list_row(const struct manifest *m, bool damaged)
{
	char time[CLOCK_RFC3339_SIZE], size[FORMAT_SIZE], stored[FORMAT_SIZE];
	uint64_t size_bytes = 0, stored_bytes = 0;
	size_t i;

	for (i = 0; i < m->disk_count; i++) {
		size_bytes += m->disks[i].size_bytes;
		stored_bytes += m->disks[i].stored_bytes;
	}
	printf("%-16s %.8s %-20s %-11s %-11s %10s %10s", m->domain, m->id,
	    clock_format_rfc3339(time, m->time_ms), manifest_kind_name(m->kind),
	    manifest_consistency_name(m->consistency),
	    format_bytes(size, size_bytes), format_bytes(stored, stored_bytes));
	if (m->group.id[0] != '\0')
		printf("  group %.8s%s", m->group.id,
		    m->group.consistent ? "" : ", not consistent");
	if (damaged)
		printf("  damaged");
	putchar('\n');
}

static void
print_proof(const struct manifest_freeze *freeze)
{
	const struct manifest_filesystem *fs;
	const struct manifest_writer *writer;
	size_t i, k;

	for (i = 0; i < freeze->filesystem_count; i++) {
		fs = &freeze->filesystems[i];
		printf("  file system %-20s %-6s %-6s %s%s%s\n",
		    fs->mount_point, fs->type, fs->disk, fs->state,
		    fs->reason[0] != '\0' ? ": " : "", fs->reason);
	}
	for (i = 0; i < freeze->writer_count; i++) {
		writer = &freeze->writers[i];
		printf("  writer %-25s %s%s%s\n", writer->name, writer->state,
		    writer->reason[0] != '\0' ? ": " : "", writer->reason);
		for (k = 0; k < writer->meta_count; k++)
			printf("    %s %s\n", writer->meta[k].key,
			    writer->meta[k].value);
	}
}

static void
print_group(const struct manifest_group *group, const bool *is_there)
{
	size_t i;

	if (group->id[0] == '\0')
		return;
	putchar('\n');
	report_group(group);
	for (i = 0; i < group->member_count; i++)
		printf("  %.8s %s%s\n", group->members[i].id,
		    group->members[i].domain,
		    is_there[i] ? "" : ": missing, there is no such point");
}

void
report_point(const struct manifest *m, const bool *is_there)
{
	char time[CLOCK_RFC3339_SIZE], took[FORMAT_SIZE];
	size_t i;

	printf("point       %s\n", m->id);
	if (m->parent[0] != '\0')
		printf("made after  %s\n", m->parent);
	printf("domain      %s (%s)\n", m->domain, m->uuid);
	printf("time        %s, took %s, on host %s\n",
	    clock_format_rfc3339(time, m->time_ms),
	    format_duration(took, m->duration_ms), m->host);
	printf("kind        %s\n\n", manifest_kind_name(m->kind));
	print_freeze(m);
	print_proof(&m->freeze);
	putchar('\n');
	for (i = 0; i < m->disk_count; i++) {
		print_disk(&m->disks[i]);
		printf("         from '%s' (%s)\n", m->disks[i].path,
		    m->disks[i].format);
	}
	print_left_out(m);
	print_group(&m->group, is_there);
}
