/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of a domain, from its live XML. */
#include "agent/domain/domain_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/io.h"

/* More than libvirt can attach to one machine. */
#define DISKS_MAX 1024u

/* A typed parameter "block.NUMBER.FIELD" of libvirt's statistics. */
static void
field_name(char *out, size_t size, unsigned int number, const char *field)
{
	snprintf(out, size, "block.%u.%s", number, field);
}

static void
take_sizes(
    struct domain_disk *disks, size_t count, virDomainStatsRecordPtr record)
{
	unsigned int total = 0, n;
	unsigned long long bytes;
	char field[64];
	const char *target;
	size_t i;

	virTypedParamsGetUInt(
	    record->params, record->nparams, "block.count", &total);
	for (n = 0; n < total && n < DISKS_MAX; n++) {
		field_name(field, sizeof(field), n, "name");
		if (virTypedParamsGetString(
			record->params, record->nparams, field, &target) != 1)
			continue;
		field_name(field, sizeof(field), n, "capacity");
		if (virTypedParamsGetULLong(
			record->params, record->nparams, field, &bytes) != 1)
			continue;
		for (i = 0; i < count; i++)
			if (strcmp(disks[i].target, target) == 0)
				disks[i].size_bytes = bytes;
	}
}

/*
 * Statistics give all sizes in one question to QEMU (2 ms, inside the
 * freeze); a domain that is off has none, and is asked disk by disk.
 */
static void
read_sizes(struct domain *d, struct domain_disk *disks, size_t count)
{
	virDomainPtr domains[] = { d->dom, NULL };
	virDomainStatsRecordPtr *records = NULL;
	virDomainBlockInfo info;
	size_t i;

	if (virDomainListGetStats(
		domains, VIR_DOMAIN_STATS_BLOCK, &records, 0) == 1)
		take_sizes(disks, count, records[0]);
	if (records != NULL)
		virDomainStatsRecordListFree(records);
	/* An empty tray has no size. */
	for (i = 0; i < count; i++)
		if (disks[i].is_disk && disks[i].size_bytes == 0 &&
		    virDomainGetBlockInfo(d->dom, disks[i].target, &info, 0) ==
			0)
			disks[i].size_bytes = info.capacity;
}

static int
fill(struct domain_disk *disk, const xmlNode *devices, const xmlNode *node)
{
	const xmlNode *source = domain_xml_child(node, "source");
	const char *where;

	disk->type = domain_xml_attr(node, "type");
	disk->target = domain_xml_attr(domain_xml_child(node, "target"), "dev");
	disk->format =
	    domain_xml_attr(domain_xml_child(node, "driver"), "type");
	disk->serial = domain_xml_text(domain_xml_child(node, "serial"));
	disk->wwn = domain_xml_text(domain_xml_child(node, "wwn"));
	disk->pci = domain_pci_way(devices, node);
	disk->writable = domain_xml_child(node, "readonly") == NULL;
	disk->shareable = domain_xml_child(node, "shareable") != NULL ||
			  domain_xml_child(node, "transient") != NULL;
	disk->is_disk = !domain_xml_attr_is(node, "device", "cdrom") &&
			!domain_xml_attr_is(node, "device", "floppy");
	where = disk->type != NULL && strcmp(disk->type, "block") == 0 ? "dev"
								       : "file";
	disk->path = domain_xml_attr(source, where);
	return disk->type != NULL && disk->target != NULL &&
		       disk->format != NULL && disk->serial != NULL &&
		       disk->wwn != NULL && disk->pci != NULL &&
		       disk->path != NULL
		   ? 0
		   : -1;
}

/*
 * Persistent bitmaps need qcow2 version 3.  Older images are seen by their
 * header; one that cannot be read from here is taken for a new one.
 */
static bool
can_track(const struct domain_disk *disk)
{
	uint8_t head[8];
	int fd;
	bool old;

	if (strcmp(disk->format, "qcow2") != 0 || !disk->writable)
		return false;
	if (disk->path[0] == '\0')
		return true;
	if ((fd = open(disk->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return true;
	old = io_pread_full(fd, head, sizeof(head), 0) == sizeof(head) &&
	      be32_get(head + 4) < 3;
	close(fd);
	return !old;
}

static int
read_all(struct domain_disk **out, size_t *out_count, const xmlDoc *doc,
    struct err *err)
{
	const xmlNode *devices, *node;
	struct domain_disk *disks;
	size_t count = 0;

	devices =
	    domain_xml_child(xmlDocGetRootElement((xmlDoc *)doc), "devices");
	for (node = domain_xml_child(devices, "disk"); node != NULL;
	     node = domain_xml_next(node, "disk"))
		count++;
	if (count > DISKS_MAX)
		return err_set(err, ERR_ARG, "the domain has %zu disks", count);
	if ((disks = calloc(count + 1, sizeof(*disks))) == NULL)
		return err_no_memory(err);
	count = 0;
	for (node = domain_xml_child(devices, "disk"); node != NULL;
	     node = domain_xml_next(node, "disk")) {
		if (fill(&disks[count++], devices, node) == -1) {
			domain_disks_free(disks, count);
			return err_no_memory(err);
		}
	}
	*out = disks;
	*out_count = count;
	return 0;
}

int
domain_disks_parse(struct domain_disk **out, size_t *out_count, const char *xml,
    struct err *err)
{
	xmlDoc *doc = NULL;
	int rc;

	if (domain_xml_parse(&doc, xml, "domain", err) == -1)
		return -1;
	rc = read_all(out, out_count, doc, err);
	xmlFreeDoc(doc);
	return rc;
}

int
domain_disks(struct domain_disk **out, size_t *out_count, struct domain *d,
    struct err *err)
{
	struct domain_disk *disks = NULL;
	xmlDoc *doc = NULL;
	size_t count = 0, i;
	int rc;

	if (domain_xml_read(&doc, d, 0, err) == -1)
		return -1;
	rc = read_all(&disks, &count, doc, err);
	xmlFreeDoc(doc);
	if (rc == -1)
		return -1;
	for (i = 0; i < count; i++)
		disks[i].can_track = can_track(&disks[i]);
	read_sizes(d, disks, count);
	*out = disks;
	*out_count = count;
	return 0;
}

void
domain_disks_free(struct domain_disk *disks, size_t count)
{
	size_t i;

	if (disks == NULL)
		return;
	for (i = 0; i < count; i++) {
		free(disks[i].target);
		free(disks[i].path);
		free(disks[i].format);
		free(disks[i].type);
		free(disks[i].serial);
		free(disks[i].wwn);
		free(disks[i].pci);
	}
	free(disks);
}

const struct domain_disk *
domain_disk_find(
    const struct domain_disk *disks, size_t count, const char *target)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(disks[i].target, target) == 0)
			return &disks[i];
	return NULL;
}
