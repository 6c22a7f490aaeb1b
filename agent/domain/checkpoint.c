/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: libvirt's metadata and the bitmaps in QEMU that belong to it.
 * Either can be lost without the other.
 */
#include "agent/domain/domain_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"

#define NAME_MAX_LENGTH 64
/* Left-over names that one sweep removes; the next finds the rest. */
#define SWEEP_MAX 64

static bool
is_ours(const char *name)
{
	return strncmp(name, DOMAIN_CHECKPOINT_PREFIX,
		   strlen(DOMAIN_CHECKPOINT_PREFIX)) == 0;
}

int
domain_checkpoints(
    struct domain *d, domain_checkpoint_fn *fn, void *arg, struct err *err)
{
	virDomainCheckpointPtr *list = NULL;
	int count, i, stop = 0;

	count = virDomainListAllCheckpoints(d->dom, &list, 0);
	if (count < 0)
		return domain_err(
		    err, "cannot list the checkpoints of '%s'", d->name);
	for (i = 0; i < count; i++) {
		const char *name = virDomainCheckpointGetName(list[i]);

		if (!stop && is_ours(name))
			stop = fn(arg, name);
		virDomainCheckpointFree(list[i]);
	}
	free(list);
	return 0;
}

/* *out is NULL for one that does not exist. */
static int
lookup(virDomainCheckpointPtr *out, struct domain *d, const char *name,
    struct err *err)
{
	*out = virDomainCheckpointLookupByName(d->dom, name, 0);
	if (*out == NULL && domain_err_code() != VIR_ERR_NO_DOMAIN_CHECKPOINT)
		return domain_err(err, "cannot look up checkpoint '%s'", name);
	return 0;
}

/* The <disk> of that target in a checkpoint's XML, or NULL. */
static const xmlNode *
find_disk(const xmlDoc *doc, const char *target)
{
	const xmlNode *disks, *node;

	disks = domain_xml_child(xmlDocGetRootElement((xmlDoc *)doc), "disks");
	for (node = domain_xml_child(disks, "disk"); node != NULL;
	     node = domain_xml_next(node, "disk"))
		if (domain_xml_attr_is(node, "name", target))
			return node;
	return NULL;
}

/*
 * libvirt fills the size attribute only for a disk whose bitmaps it could
 * merge: it is missing when a bitmap is absent or marked inconsistent.
 */
static void
judge(const xmlDoc *doc, const char *checkpoint, const char *target,
    char *out_reason, size_t reason_size)
{
	const xmlNode *disk = find_disk(doc, target);

	if (disk == NULL || !domain_xml_attr_is(disk, "checkpoint", "bitmap"))
		snprintf(out_reason, reason_size,
		    "the disk is not part of checkpoint '%s'", checkpoint);
	else if (!xmlHasProp((xmlNode *)disk, BAD_CAST "size"))
		snprintf(out_reason, reason_size,
		    "the dirty bitmap of checkpoint '%s' is missing or not "
		    "consistent",
		    checkpoint);
}

int
domain_checkpoint_usable(struct domain *d, const char *checkpoint,
    const char *target, char *out_reason, size_t reason_size, struct err *err)
{
	virDomainCheckpointPtr found = NULL;
	xmlDoc *doc = NULL;
	char *xml = NULL;
	int rc = -1;

	out_reason[0] = '\0';
	if (lookup(&found, d, checkpoint, err) == -1)
		return -1;
	if (found == NULL) {
		snprintf(out_reason, reason_size,
		    "checkpoint '%s' does not exist any more", checkpoint);
		return 0;
	}
	xml = virDomainCheckpointGetXMLDesc(
	    found, VIR_DOMAIN_CHECKPOINT_XML_SIZE |
		       VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
	if (xml == NULL) {
		domain_err(err, "cannot examine checkpoint '%s'", checkpoint);
		goto out;
	}
	if (domain_xml_parse(&doc, xml, "domaincheckpoint", err) == -1)
		goto out;
	judge(doc, checkpoint, target, out_reason, reason_size);
	rc = 0;
out:
	if (doc != NULL)
		xmlFreeDoc(doc);
	free(xml);
	virDomainCheckpointFree(found);
	return rc;
}

static bool
name_is_plain(const char *name)
{
	return strlen(name) <= NAME_MAX_LENGTH &&
	       strspn(name,
		   "abcdefghijklmnopqrstuvwxyz"
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen(name);
}

/* With "only" for that disk alone, else for all. */
static void
write_redefinition(FILE *f, const char *name, const struct domain_disk *disks,
    size_t count, const char *only, const char *domain_xml)
{
	bool tracked;
	size_t i;

	fprintf(f,
	    "<domaincheckpoint><name>%s</name>"
	    "<creationTime>1</creationTime><disks>",
	    name);
	for (i = 0; i < count; i++) {
		if (!disks[i].is_disk || !name_is_plain(disks[i].target))
			continue;
		tracked = disks[i].can_track &&
			  (only == NULL || strcmp(disks[i].target, only) == 0);
		fprintf(f, "<disk name='%s' checkpoint='%s'/>", disks[i].target,
		    tracked ? "bitmap" : "no");
	}
	fprintf(f, "</disks>%s</domaincheckpoint>", domain_xml);
}

/* Gives libvirt back the metadata of a checkpoint it forgot. */
static virDomainCheckpointPtr
redefine(struct domain *d, const char *name, const struct domain_disk *disks,
    size_t count, const char *only, struct err *err)
{
	size_t size = 0;
	char *xml = NULL, *domain_xml = NULL;
	virDomainCheckpointPtr made = NULL;
	FILE *f = NULL;

	domain_xml = virDomainGetXMLDesc(d->dom, 0);
	if (domain_xml == NULL || (f = open_memstream(&xml, &size)) == NULL) {
		err_set(err, ERR_IO, "cannot read the XML of '%s'", d->name);
		goto out;
	}
	write_redefinition(f, name, disks, count, only, domain_xml);
	if (fclose(f) != 0) {
		err_no_memory(err);
		goto out;
	}
	made = virDomainCheckpointCreateXML(
	    d->dom, xml, VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE);
	if (made == NULL)
		domain_err(err, "cannot adopt bitmap '%s'", name);
out:
	free(xml);
	free(domain_xml);
	return made;
}

/*
 * Of the disks that still have the bitmap: libvirt deletes all of a
 * checkpoint's bitmaps or none, so each is given a checkpoint of its own.
 */
static int
remove_by_disk(struct domain *d, const char *name, struct err *err)
{
	struct domain_disk *disks = NULL;
	virDomainCheckpointPtr found;
	size_t count = 0, i;
	int rc = 0;

	if (domain_disks(&disks, &count, d, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		if (!disks[i].is_disk || !disks[i].can_track)
			continue;
		found = redefine(d, name, disks, count, disks[i].target, err);
		if (found == NULL ||
		    (virDomainCheckpointDelete(found, 0) != 0 &&
			virDomainCheckpointDelete(found,
			    VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) != 0))
			rc = domain_err(
			    err, "cannot delete checkpoint '%s'", name);
		if (found != NULL)
			virDomainCheckpointFree(found);
	}
	domain_disks_free(disks, count);
	return rc;
}

int
domain_checkpoint_delete(struct domain *d, const char *name, struct err *err)
{
	virDomainCheckpointPtr found = NULL;
	int rc = 0;

	if (!is_ours(name) || !name_is_plain(name))
		return err_set(
		    err, ERR_BUG, "checkpoint '%s' is not ours", name);
	if (virDomainIsActive(d->dom) != 1) {
		err_set(err, ERR_BUSY,
		    "checkpoint '%s' stays: '%s' is off and "
		    "its bitmaps are out of reach",
		    name, d->name);
		return err_hint(
		    err, "start the domain, then run 'holdstill recover'");
	}
	if (lookup(&found, d, name, err) == -1)
		return -1;
	if (found != NULL && virDomainCheckpointDelete(found, 0) == 0)
		goto out;
	/* Metadata or some bitmaps are gone: what is there goes too. */
	if (found != NULL &&
	    virDomainCheckpointDelete(
		found, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) != 0)
		rc = domain_err(err, "cannot delete checkpoint '%s'", name);
	else
		rc = remove_by_disk(d, name, err);
out:
	if (found != NULL)
		virDomainCheckpointFree(found);
	return rc;
}

struct sweep {
	char names[SWEEP_MAX][NAME_MAX_LENGTH + 1];
	size_t count;
};

static void
sweep_add(struct sweep *sweep, const char *name, size_t length)
{
	size_t i;

	if (length > NAME_MAX_LENGTH || sweep->count == SWEEP_MAX)
		return;
	for (i = 0; i < sweep->count; i++)
		if (strlen(sweep->names[i]) == length &&
		    memcmp(sweep->names[i], name, length) == 0)
			return;
	memcpy(sweep->names[sweep->count], name, length);
	sweep->names[sweep->count++][length] = '\0';
}

/* Bitmap names in the JSON that qemu-img prints about an image. */
static void
sweep_scan(struct sweep *sweep, const char *json)
{
	static const char key[] = "\"name\": \"";
	const char *at, *end;

	for (at = json; (at = strstr(at, key)) != NULL; at = end) {
		at += sizeof(key) - 1;
		if ((end = strchr(at, '"')) == NULL)
			return;
		if (is_ours(at))
			sweep_add(sweep, at, (size_t)(end - at));
	}
}

static void
sweep_disk(struct sweep *sweep, const char *path)
{
	const char *const argv[] = { "qemu-img", "info", "-U", "--output=json",
		"--", path, NULL };
	struct err ignored = ERR_INIT;
	char *json = NULL;

	if (domain_run(&json, argv, &ignored) == 0)
		sweep_scan(sweep, json);
	free(json);
}

static void
sweep_remove(struct domain *d, const char *name)
{
	virDomainCheckpointPtr known = NULL;
	struct err err = ERR_INIT;

	if (!name_is_plain(name) || lookup(&known, d, name, &err) == -1)
		return;
	if (known != NULL)
		virDomainCheckpointFree(known);
	else if (domain_checkpoint_delete(d, name, &err) == -1)
		log_line(LOG_INFO, "domain '%s': left-over bitmap: %s", d->name,
		    err.text);
}

void
domain_checkpoint_sweep(struct domain *d)
{
	struct domain_disk *disks = NULL;
	struct err ignored = ERR_INIT;
	struct sweep *sweep = NULL;
	size_t count = 0, i;

	if (virDomainIsActive(d->dom) != 1 ||
	    domain_disks(&disks, &count, d, &ignored) == -1 ||
	    (sweep = calloc(1, sizeof(*sweep))) == NULL)
		goto out;
	for (i = 0; i < count; i++)
		if (disks[i].can_track && disks[i].path[0] == '/')
			sweep_disk(sweep, disks[i].path);
	for (i = 0; i < sweep->count; i++)
		sweep_remove(d, sweep->names[i]);
out:
	free(sweep);
	domain_disks_free(disks, count);
}
