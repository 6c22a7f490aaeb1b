/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest of which a test cares for nothing but its disks. */
#ifndef HOLDSTILL_TESTS_UNIT_PLAIN_MANIFEST_H
#define HOLDSTILL_TESTS_UNIT_PLAIN_MANIFEST_H

#include "store/manifest.h"

/* All that a commit asks for, made at 1 ms: disks vda, vdb and so on, of no
 * bytes; a full, unless there is a parent.  Caller frees. */
struct manifest *plain_manifest(const char *domain, const char *uuid,
    const char *host, unsigned int disks, const struct manifest *parent);

#endif
