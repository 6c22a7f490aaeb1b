/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest of which a test cares for nothing but its disks. */
#include "tests/unit/plain_manifest.h"

#include <stdlib.h>
#include <string.h>

struct manifest *
plain_manifest(const char *domain, const char *uuid, const char *host,
    unsigned int disks, const struct manifest *parent)
{
	struct manifest *m = manifest_new();
	unsigned int i;

	m->domain = strdup(domain);
	m->uuid = strdup(uuid);
	m->host = strdup(host);
	m->consistency_reason = strdup("");
	m->checkpoint = strdup("");
	m->definition_xml = strdup("<domain/>");
	m->time_ms = 1;
	m->kind = parent == NULL ? MANIFEST_FULL : MANIFEST_INCREMENTAL;
	if (parent != NULL)
		memcpy(m->parent, parent->id, sizeof(m->parent));
	m->disks = calloc(disks, sizeof(*m->disks));
	m->disk_count = disks;
	for (i = 0; i < disks; i++) {
		m->disks[i].target = strdup("vda");
		m->disks[i].target[2] = (char)('a' + i);
		m->disks[i].format = strdup("raw");
		m->disks[i].path = strdup("/x");
		m->disks[i].reason = strdup("");
	}
	return m;
}
