/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a guest's writes are blocked:
 *     write_probe run FILE SHARED   writes 4 KiB and syncs, once a ms
 *     write_probe max SHARED        prints the longest such write in us
 *                                   since the last time it was asked
 * SHARED is a file on a tmpfs, which never blocks.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct shared {
	_Atomic uint64_t max_us;
};

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct shared *
map_shared(const char *path)
{
	struct shared *s;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1 || ftruncate(fd, sizeof(*s)) == -1)
		return NULL;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return s == MAP_FAILED ? NULL : s;
}

static int
run(const char *path, struct shared *s)
{
	static char block[4096];
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t begin, took, count;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1)
		return 1;
	for (count = 0;; count++) {
		begin = now_us();
		memcpy(block, &count, sizeof(count));
		if (pwrite(fd, block, sizeof(block),
			(off_t)(count % 16 * sizeof(block))) == -1 ||
		    fdatasync(fd) == -1)
			return 1;
		took = now_us() - begin;
		if (took > atomic_load(&s->max_us))
			atomic_store(&s->max_us, took);
		nanosleep(&pause, NULL);
	}
}

int
main(int argc, char **argv)
{
	struct shared *s;

	if (argc == 4 && strcmp(argv[1], "run") == 0 &&
	    (s = map_shared(argv[3])) != NULL)
		return run(argv[2], s);
	if (argc == 3 && strcmp(argv[1], "max") == 0 &&
	    (s = map_shared(argv[2])) != NULL) {
		printf("%llu\n",
		    (unsigned long long)atomic_exchange(&s->max_us, 0));
		return 0;
	}
	fputs("usage: write_probe run FILE SHARED | max SHARED\n", stderr);
	return 2;
}
