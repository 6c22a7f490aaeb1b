/* SPDX-License-Identifier: Apache-2.0 */
/* What the writers in test guests share; each of them is a single file. */
#ifndef HOLDSTILL_TESTS_RIG_COMMON_H
#define HOLDSTILL_TESTS_RIG_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* CLOCK_MONOTONIC. */
static inline uint64_t
rig_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline void
rig_pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Says what went wrong with what; returns 1, an exit status. */
static inline int
rig_fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
	    strerror(errno));
	return 1;
}

/* A file, of that size from now on, as memory that processes share; NULL
 * with errno.  flags: for open(). */
static inline void *
rig_map(const char *path, int flags, size_t size)
{
	int fd = open(path, O_RDWR | flags, 0644);
	void *p = MAP_FAILED;

	if (fd == -1)
		return NULL;
	if (ftruncate(fd, (off_t)size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

#endif
