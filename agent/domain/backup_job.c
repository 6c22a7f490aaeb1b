/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's pull-mode backup job: begin, watch, end. */
#include "agent/domain/domain_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/endian.h"
#include "common/err.h"
#include "common/io.h"

/* Where a qcow2 header keeps the size of the disk. */
#define QCOW2_SIZE_OFFSET 24
/* libvirt 9.0 has one thread for the events of all domains, and a program that
 * opens or closes a channel in the guest of a running backup blocks it for 30 s
 * ("cannot acquire state change lock"): the end of the job is behind that, and
 * behind as much of every other domain's. */
#define END_TIMEOUT_MS 300000
#define END_POLL_MS 2
#define END_POLL_MAX_MS 250

static void
write_escaped(FILE *f, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '\'':
			fputs("&apos;", f);
			break;
		default:
			fputc(*text, f);
		}
}

static void
write_attr(FILE *f, const char *name, const char *prefix, const char *value)
{
	fprintf(f, " %s='%s", name, prefix);
	write_escaped(f, value);
	fputc('\'', f);
}

static void
write_disk(FILE *f, const struct domain_backup_disk *disk)
{
	fputs("<disk", f);
	write_attr(f, "name", "", disk->target);
	fputs(" backup='yes' type='file'", f);
	write_attr(f, "exportname", "", disk->target);
	if (disk->since != NULL) {
		fputs(" backupmode='incremental'", f);
		write_attr(f, "incremental", "", disk->since);
		write_attr(f, "exportbitmap", "backup-", disk->target);
	} else {
		fputs(" backupmode='full'", f);
	}
	fputs("><driver type='qcow2'/><scratch", f);
	write_attr(f, "file", "", disk->scratch_path);
	fputs("/></disk>", f);
}

static int
make_backup_xml(char **out, const struct domain_backup *backup, struct err *err)
{
	size_t size, i;
	FILE *f = open_memstream(out, &size);

	if (f == NULL)
		return err_no_memory(err);
	fputs("<domainbackup mode='pull'><server transport='unix'", f);
	write_attr(f, "socket", "", backup->socket_path);
	fputs("/><disks>", f);
	for (i = 0; i < backup->disk_count; i++)
		write_disk(f, &backup->disks[i]);
	fputs("</disks></domainbackup>", f);
	return fclose(f) == 0 ? 0 : err_no_memory(err);
}

/* *out stays NULL when no disk can keep a bitmap. */
static int
make_checkpoint_xml(char **out, const struct domain_backup *backup,
    const struct domain_disk *disks, size_t count, struct err *err)
{
	const struct domain_disk *disk;
	size_t size, i, tracked = 0;
	char *xml = NULL;
	FILE *f = open_memstream(&xml, &size);

	if (f == NULL)
		return err_no_memory(err);
	fputs("<domaincheckpoint><name>", f);
	write_escaped(f, backup->checkpoint);
	fputs("</name><disks>", f);
	for (i = 0; i < backup->disk_count; i++) {
		disk = domain_disk_find(disks, count, backup->disks[i].target);
		fputs("<disk", f);
		write_attr(f, "name", "", backup->disks[i].target);
		write_attr(
		    f, "checkpoint", "", disk->can_track ? "bitmap" : "no");
		fputs("/>", f);
		tracked += disk->can_track;
	}
	fputs("</disks></domaincheckpoint>", f);
	if (fclose(f) != 0) {
		free(xml);
		return err_no_memory(err);
	}
	if (tracked > 0)
		*out = xml;
	else
		free(xml);
	return 0;
}

static uint64_t
scratch_size(const char *path)
{
	uint8_t size[8];
	uint64_t result = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return 0;
	if (io_pread_full(fd, size, sizeof(size), QCOW2_SIZE_OFFSET) ==
	    sizeof(size))
		result = be64_get(size);
	close(fd);
	return result;
}

/*
 * A scratch file of another size makes QEMU refuse the job, and undoing
 * that can crash libvirtd 9.0: never send such a request.
 */
static int
check_sizes(const struct domain_backup *backup, const struct domain_disk *disks,
    size_t count, struct err *err)
{
	const struct domain_disk *disk;
	uint64_t scratch;
	size_t i;

	for (i = 0; i < backup->disk_count; i++) {
		disk = domain_disk_find(disks, count, backup->disks[i].target);
		if (disk == NULL)
			return err_set(err, ERR_NOT_FOUND, "disk '%s' is gone",
			    backup->disks[i].target);
		scratch = scratch_size(backup->disks[i].scratch_path);
		if (scratch != disk->size_bytes)
			return err_set(err, ERR_BUSY,
			    "disk '%s' has changed "
			    "its size (%" PRIu64 " bytes, scratch file %" PRIu64
			    ")",
			    disk->target, disk->size_bytes, scratch);
	}
	return 0;
}

/* libvirt itself would wait half a minute for the other job to end. */
static int
check_idle(struct domain *d, struct err *err)
{
	virDomainJobInfo info;

	if (virDomainGetJobInfo(d->dom, &info) < 0)
		return domain_err(err, "cannot ask for jobs of '%s'", d->name);
	if (info.type == VIR_DOMAIN_JOB_NONE)
		return 0;
	err_set(err, ERR_BUSY, "another job holds domain '%s'", d->name);
	return err_hint(err, "'virsh domjobinfo' shows it");
}

struct domain_picture {
	struct domain *domain; /* The caller's. */
	char *backup_xml;
	char *checkpoint_xml; /* NULL: none. */
};

void
domain_picture_free(struct domain_picture *p)
{
	if (p == NULL)
		return;
	free(p->backup_xml);
	free(p->checkpoint_xml);
	free(p);
}

int
domain_picture_prepare(struct domain_picture **out, struct domain *d,
    const struct domain_backup *backup, struct err *err)
{
	struct domain_picture *p = calloc(1, sizeof(*p));
	struct domain_disk *disks = NULL;
	size_t count = 0;
	int rc = -1;

	if (p == NULL)
		return err_no_memory(err);
	p->domain = d;
	if (domain_disks(&disks, &count, d, err) == -1 ||
	    check_sizes(backup, disks, count, err) == -1 ||
	    check_idle(d, err) == -1 ||
	    make_backup_xml(&p->backup_xml, backup, err) == -1)
		goto out;
	if (backup->checkpoint != NULL &&
	    make_checkpoint_xml(
		&p->checkpoint_xml, backup, disks, count, err) == -1)
		goto out;
	*out = p;
	p = NULL;
	rc = 0;
out:
	domain_picture_free(p);
	domain_disks_free(disks, count);
	return rc;
}

int
domain_picture_take(struct domain_picture *p, struct err *err)
{
	if (virDomainBackupBegin(p->domain->dom, p->backup_xml,
		p->checkpoint_xml, VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL) == 0)
		return 0;
	return domain_err(
	    err, "cannot begin the backup job of '%s'", p->domain->name);
}

/* *out is NULL when no backup runs. */
static int
read_job(xmlDoc **out, struct domain *d, struct err *err)
{
	char *xml = virDomainBackupGetXMLDesc(d->dom, 0);
	int code, rc;

	*out = NULL;
	if (xml == NULL) {
		code = domain_err_code();
		/* A domain that is off has no jobs either. */
		if (code == VIR_ERR_NO_DOMAIN_BACKUP ||
		    code == VIR_ERR_OPERATION_INVALID)
			return 0;
		return domain_err(
		    err, "cannot ask for backups of '%s'", d->name);
	}
	rc = domain_xml_parse(out, xml, "domainbackup", err);
	free(xml);
	return rc;
}

int
domain_backup_running(struct domain *d, bool *out, struct err *err)
{
	xmlDoc *doc;

	if (read_job(&doc, d, err) == -1)
		return -1;
	*out = doc != NULL &&
	       domain_xml_attr_is(xmlDocGetRootElement(doc), "mode", "pull");
	if (doc != NULL)
		xmlFreeDoc(doc);
	return 0;
}

int
domain_backup_serves(
    struct domain *d, const char *socket_path, bool *out, struct err *err)
{
	const xmlNode *server;
	xmlDoc *doc;

	*out = false;
	if (read_job(&doc, d, err) == -1)
		return -1;
	if (doc == NULL)
		return 0;
	server = domain_xml_child(xmlDocGetRootElement(doc), "server");
	*out = domain_xml_attr_is(server, "socket", socket_path);
	xmlFreeDoc(doc);
	return 0;
}

/* The abort is answered before the last of QEMU's jobs has ended. */
static int
wait_ended(struct domain *d, struct err *err)
{
	int64_t deadline = clock_monotonic_ms() + END_TIMEOUT_MS;
	int pause_ms = END_POLL_MS;
	bool running;

	for (;;) {
		if (domain_backup_running(d, &running, err) == -1)
			return -1;
		if (!running)
			return 0;
		if (clock_monotonic_ms() > deadline)
			return err_set(err, ERR_TIMEOUT,
			    "the backup job of '%s' does not end", d->name);
		poll(NULL, 0, pause_ms);
		/* libvirt ends the job under a lock that each question takes
		 * as well: on a busy host it would never have its turn. */
		if (pause_ms < END_POLL_MAX_MS)
			pause_ms *= 2;
	}
}

int
domain_backup_end(struct domain *d, struct err *err)
{
	bool running;

	if (domain_backup_running(d, &running, err) == -1)
		return -1;
	if (!running)
		return 0;
	/* It may end by itself meanwhile: no job is what was wanted. */
	if (virDomainAbortJob(d->dom) < 0 &&
	    domain_err_code() != VIR_ERR_OPERATION_INVALID)
		return domain_err(
		    err, "cannot end the backup job of '%s'", d->name);
	return wait_ended(d, err);
}
