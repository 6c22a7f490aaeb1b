/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount that a path leads to, without ever waiting for a file system of
 * the network or of a program: each step is looked at before it is made.
 */
#ifndef HOLDSTILL_GUEST_DATAPATH_H
#define HOLDSTILL_GUEST_DATAPATH_H

#include <stddef.h>

#include "guest-helper/mountinfo.h"

/*
 * Follows the absolute path and its symbolic links.  table: our own mounts,
 * just read.  out: where it leads in the end, out_size bytes, without links;
 * *out_entry: the mount of it, the table's.  Returns 0 or an errno: EREMOTE
 * if it leads to what might hang, or to a mount that is not in the table.
 */
int datapath_find(const struct mountinfo_entry **out_entry, char *out,
    size_t out_size, const struct mountinfo *table, const char *path);

#endif
