/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a stored definition fit for another time and place: new disks, no
 * host paths of sockets, and a new identity unless the old one is wanted.
 */
#include "agent/domain/domain_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static void
node_remove(xmlNode *node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

/* Removes the child elements of that name. */
static void
remove_children(xmlNode *parent, const char *name)
{
	xmlNode *node, *next;

	for (node = domain_xml_child(parent, name); node != NULL; node = next) {
		next = domain_xml_next(node, name);
		node_remove(node);
	}
}

static void
remove_attr(xmlNode *node, const char *name)
{
	xmlUnsetProp(node, BAD_CAST name);
}

static void
set_attr(xmlNode *node, const char *name, const char *value)
{
	xmlSetProp(node, BAD_CAST name, BAD_CAST value);
}

static xmlNode *
child_made(xmlNode *parent, const char *name)
{
	xmlNode *node = domain_xml_child(parent, name);

	return node != NULL ? node
			    : xmlNewChild(parent, NULL, BAD_CAST name, NULL);
}

static const struct definition_disk *
find_new(const struct definition_options *options, const char *target)
{
	size_t i;

	for (i = 0; i < options->disk_count; i++)
		if (strcmp(options->disks[i].target, target) == 0)
			return &options->disks[i];
	return NULL;
}

/* What describes the old image's place or layers. */
static void
strip_disk(xmlNode *node)
{
	static const char *const gone[] = { "source", "backingStore", "mirror",
		"auth", "encryption", "transient", "backenddomain" };
	size_t i;

	for (i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		remove_children(node, gone[i]);
}

static void
point_disk(xmlNode *node, const struct definition_disk *to)
{
	bool block = strncmp(to->path, "/dev/", 5) == 0;
	xmlNode *driver, *source;

	strip_disk(node);
	set_attr(node, "type", block ? "block" : "file");
	driver = child_made(node, "driver");
	set_attr(driver, "name", "qemu");
	set_attr(driver, "type", to->format);
	source = xmlNewChild(node, NULL, BAD_CAST "source", NULL);
	set_attr(source, block ? "dev" : "file", to->path);
}

/* Drives with removable media stay, empty. */
static void
empty_drive(xmlNode *node)
{
	strip_disk(node);
	set_attr(node, "type", "file");
}

static int
rewrite_disks(
    xmlNode *devices, const struct definition_options *options, struct err *err)
{
	const struct definition_disk *to;
	xmlNode *node, *next;
	char *target;

	for (node = domain_xml_child(devices, "disk"); node != NULL;
	     node = next) {
		next = domain_xml_next(node, "disk");
		target =
		    domain_xml_attr(domain_xml_child(node, "target"), "dev");
		if (target == NULL)
			return err_no_memory(err);
		to = find_new(options, target);
		free(target);
		if (to != NULL)
			point_disk(node, to);
		else if (domain_xml_attr_is(node, "device", "cdrom") ||
			 domain_xml_attr_is(node, "device", "floppy"))
			empty_drive(node);
		else
			node_remove(node);
	}
	return 0;
}

/*
 * Character devices: sockets of channels are chosen anew by libvirt; what a
 * serial port did with files, sockets or devices of the old host becomes a
 * terminal.
 */
static void
rewrite_chardevs(xmlNode *devices)
{
	xmlNode *node;
	const char *kind;

	for (node = domain_xml_child(devices, NULL); node != NULL;
	     node = domain_xml_next(node, NULL)) {
		kind = (const char *)node->name;
		if (strcmp(kind, "channel") == 0) {
			if (!domain_xml_attr_is(node, "type", "spicevmc") &&
			    !domain_xml_attr_is(node, "type", "pty"))
				set_attr(node, "type", "unix");
		} else if (strcmp(kind, "serial") == 0 ||
			   strcmp(kind, "console") == 0 ||
			   strcmp(kind, "parallel") == 0) {
			set_attr(node, "type", "pty");
			remove_attr(node, "tty");
		} else {
			continue;
		}
		remove_children(node, "source");
		remove_children(node, "log");
		remove_children(node, "protocol");
	}
}

static void
rewrite_graphics(xmlNode *devices, bool same_identity)
{
	xmlNode *node, *listen, *next;

	for (node = domain_xml_child(devices, "graphics"); node != NULL;
	     node = domain_xml_next(node, "graphics")) {
		remove_attr(node, "socket");
		for (listen = domain_xml_child(node, "listen"); listen != NULL;
		     listen = next) {
			next = domain_xml_next(listen, "listen");
			if (domain_xml_attr_is(listen, "type", "socket"))
				node_remove(listen);
		}
		/* The domain it came from may hold its port. */
		if (same_identity || !xmlHasProp(node, BAD_CAST "port"))
			continue;
		remove_attr(node, "port");
		remove_attr(node, "tlsPort");
		remove_attr(node, "websocket");
		set_attr(node, "autoport", "yes");
	}
}

static void
rewrite_interfaces(xmlNode *devices, bool same_identity)
{
	xmlNode *node;

	for (node = domain_xml_child(devices, "interface"); node != NULL;
	     node = domain_xml_next(node, "interface")) {
		if (same_identity)
			continue;
		remove_children(node, "mac");
		/* The name of the host's end, which has to be unique. */
		remove_children(node, "target");
	}
}

/* A path is made anew by libvirt, from the template if there is one. */
static void
rewrite_nvram(xmlNode *root)
{
	xmlNode *os = domain_xml_child(root, "os"), *nvram;

	if ((nvram = domain_xml_child(os, "nvram")) == NULL)
		return;
	if (!xmlHasProp(nvram, BAD_CAST "template")) {
		remove_children(os, "nvram");
		return;
	}
	xmlNodeSetContent(nvram, NULL);
	remove_attr(nvram, "type");
}

/* The SMBIOS tables repeat the UUID, and libvirt insists that they agree. */
static void
remove_smbios_uuid(xmlNode *root)
{
	xmlNode *sysinfo, *system, *entry, *next;

	for (sysinfo = domain_xml_child(root, "sysinfo"); sysinfo != NULL;
	     sysinfo = domain_xml_next(sysinfo, "sysinfo")) {
		system = domain_xml_child(sysinfo, "system");
		for (entry = domain_xml_child(system, "entry"); entry != NULL;
		     entry = next) {
			next = domain_xml_next(entry, "entry");
			if (domain_xml_attr_is(entry, "name", "uuid"))
				node_remove(entry);
		}
	}
}

/* libvirt makes up what is missing. */
static void
drop_identity(xmlNode *root)
{
	xmlNode *genid = domain_xml_child(root, "genid");

	remove_children(root, "uuid");
	remove_smbios_uuid(root);
	if (genid != NULL)
		xmlNodeSetContent(genid, NULL);
}

static void
set_name(xmlNode *root, const char *name)
{
	remove_children(root, "name");
	xmlNewTextChild(root, NULL, BAD_CAST "name", BAD_CAST name);
}

/* Labels name users and files of the old host; they can sit on disks,
 * devices and the domain alike. */
static void
remove_labels(xmlNode *top)
{
	xmlNode *node = top, *next;

	/* Walks the tree without recursion: its depth is the input's. */
	while (node != NULL) {
		remove_children(node, "seclabel");
		if ((next = domain_xml_child(node, NULL)) == NULL)
			while (node != top &&
			       (next = domain_xml_next(node, NULL)) == NULL)
				node = node->parent;
		if (node == top && next == NULL)
			return;
		node = next;
	}
}

int
definition_rewrite(char **out, const char *xml,
    const struct definition_options *options, struct err *err)
{
	xmlNode *root, *devices;
	xmlDoc *doc = NULL;
	int rc = -1;

	if (domain_xml_parse(&doc, xml, "domain", err) == -1)
		return -1;
	root = xmlDocGetRootElement(doc);
	devices = domain_xml_child(root, "devices");
	if (devices == NULL) {
		err_set(err, ERR_ARG, "the domain XML has no <devices>");
		goto out;
	}
	remove_attr(root, "id");
	if (options->name != NULL)
		set_name(root, options->name);
	if (!options->same_identity)
		drop_identity(root);
	remove_labels(root);
	rewrite_nvram(root);
	rewrite_chardevs(devices);
	rewrite_graphics(devices, options->same_identity);
	rewrite_interfaces(devices, options->same_identity);
	if (rewrite_disks(devices, options, err) == -1)
		goto out;
	rc = domain_xml_dump(out, doc, err);
out:
	xmlFreeDoc(doc);
	return rc;
}
