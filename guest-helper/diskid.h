/* SPDX-License-Identifier: Apache-2.0 */
/* Which disk in /sys is the one that the host calls so. */
#ifndef HOLDSTILL_GUEST_DISKID_H
#define HOLDSTILL_GUEST_DISKID_H

#include <stdbool.h>

#include "guest-helper/blockdev.h"

struct message_disk;

/*
 * The kernel name of the disk: by its serial number, else by its WWN, else
 * by its way on the PCI bus.  Each counts only if exactly one disk fits.
 * "" and false: none is known by any of them.
 */
bool diskid_find(char out[BLOCKDEV_NAME_SIZE], const char *sysfs,
    const struct message_disk *disk);

#endif
