/* SPDX-License-Identifier: Apache-2.0 */
/* Which file is under a loop device, whoever sees it under whatever name. */
#ifndef HOLDSTILL_GUEST_LOOPFILE_H
#define HOLDSTILL_GUEST_LOOPFILE_H

#include <stdbool.h>
#include <stdint.h>

struct loopfile {
	unsigned int major, minor; /* Of the file, as stat() has it. */
	uint64_t inode;
};

/* Asks the device name ("loop0") in the folder dev ("/dev"); false: it does
 * not tell. */
bool loopfile_read(struct loopfile *out, const char *dev, const char *name);

/* Is that what the descriptor (O_PATH will do) is open on? */
bool loopfile_is(const struct loopfile *file, int fd);

#endif
