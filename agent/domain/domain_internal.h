/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: libvirt handles and XML helpers. */
#ifndef HOLDSTILL_AGENT_DOMAIN_DOMAIN_INTERNAL_H
#define HOLDSTILL_AGENT_DOMAIN_DOMAIN_INTERNAL_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/tree.h>

#include "agent/domain/domain.h"

struct domain_connection {
	virConnectPtr conn;
};

struct domain {
	struct domain_connection *connection; /* Borrowed. */
	virDomainPtr dom;
	char *name;
	char uuid[DOMAIN_UUID_SIZE];
};

/* err from libvirt's last error of this thread; returns -1. */
int domain_err(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Code of libvirt's last error of this thread, VIR_ERR_OK if there is none. */
int domain_err_code(void);

/* Definitions larger than this are refused. */
#define DOMAIN_XML_MAX_BYTES ((size_t)4 << 20)

/*
 * Parses without entities, network or messages; ERR_ARG for what is no
 * well-formed document with that root.  Caller frees with xmlFreeDoc.
 */
int domain_xml_parse(
    xmlDoc **out, const char *xml, const char *root, struct err *err);

/* The live XML (or the one kept for the next start), parsed. */
int domain_xml_read(
    xmlDoc **out, struct domain *d, unsigned int flags, struct err *err);

/* First and next child element with that name (NULL: any); NULL if none. */
xmlNode *domain_xml_child(const xmlNode *parent, const char *name);
xmlNode *domain_xml_next(const xmlNode *node, const char *name);

/* An attribute, or "": in new memory, NULL when there is none left. */
char *domain_xml_attr(const xmlNode *node, const char *name);
bool domain_xml_attr_is(
    const xmlNode *node, const char *name, const char *value);

/* The text inside an element, or "": in new memory. */
char *domain_xml_text(const xmlNode *node);

/* The document as text, in malloc'd memory. */
int domain_xml_dump(char **out, xmlDoc *doc, struct err *err);

/*
 * The way to a device from the root bus by slots and functions, as in a
 * guest: "0000:00:05.0", behind bridges "0000:00:02.4/00.0".  "" if it is no
 * PCI device or hangs on a root bus of its own.  In new memory, NULL when
 * there is none left.  devices is the element that holds the device.
 */
char *domain_pci_way(const xmlNode *devices, const xmlNode *device);

/* The disk of that name, or NULL. */
const struct domain_disk *domain_disk_find(
    const struct domain_disk *disks, size_t count, const char *target);

/*
 * The user and group that QEMU runs as, from the label libvirt gave it;
 * -1 and -1 when there is none (it runs as we do).
 */
int domain_owner(
    struct domain *d, uid_t *out_uid, gid_t *out_gid, struct err *err);

/*
 * Runs a program found in PATH without a shell; argv ends with NULL.
 * out_text: NULL, or what it printed on standard output (malloc, at most
 * DOMAIN_XML_MAX_BYTES).  ERR_IO with its last words when it fails.
 */
int domain_run(char **out_text, const char *const argv[], struct err *err);

#endif
