/* SPDX-License-Identifier: Apache-2.0 */
/* Runs inside test guests: writes to several folders at once and remembers
 * when each write began and ended. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig_common.h"

enum {
	RECORD_BYTES = 4096,
	RECORDS_IN_FILE = 16,
	WRITES_KEPT = 4096,
	FOLDERS_MAX = 32,
	PAUSE_MS = 10,
	NAME_BYTES = 256,
};

struct write_span {
	uint64_t begin_ns, end_ns;
};

/* One folder, in a mapped file on tmpfs. */
struct folder {
	char name[NAME_BYTES];
	_Atomic uint64_t writes; /* Ended; the last ones are in spans. */
	_Atomic int error;
	struct write_span spans[WRITES_KEPT];
};

struct shared {
	uint64_t count;
	struct folder folders[FOLDERS_MAX];
};

/* One record, on disk when it returns. */
static int
write_record(int fd, uint64_t seq)
{
	char record[RECORD_BYTES];
	size_t i;

	for (i = 0; i < sizeof(record); i += sizeof(seq))
		memcpy(record + i, &seq, sizeof(seq));
	if (pwrite(fd, record, sizeof(record),
		(off_t)(seq % RECORDS_IN_FILE * RECORD_BYTES)) !=
	    (ssize_t)sizeof(record))
		return -1;
	return fdatasync(fd);
}

static void *
write_on(void *arg)
{
	struct folder *f = arg;
	struct write_span *span;
	char path[NAME_BYTES + 16];
	uint64_t seq;
	int fd;

	snprintf(path, sizeof(path), "%s/watch.dat", f->name);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	for (seq = 0; fd != -1; seq++) {
		span = &f->spans[seq % WRITES_KEPT];
		span->end_ns = 0;
		span->begin_ns = rig_now_ns();
		if (write_record(fd, seq) == -1)
			break;
		span->end_ns = rig_now_ns();
		atomic_store(&f->writes, seq + 1);
		rig_pause_ms(PAUSE_MS);
	}
	atomic_store(&f->error, errno);
	return NULL;
}

static int
run_writers(const char *path, char **names, int count)
{
	struct shared *s = rig_map(path, O_CREAT | O_TRUNC, sizeof(*s));
	pthread_t thread;
	int i;

	if (s == NULL || count > FOLDERS_MAX)
		return rig_fail(path);
	for (i = 0; i < count; i++) {
		snprintf(s->folders[i].name, NAME_BYTES, "%s", names[i]);
		if (pthread_create(&thread, NULL, write_on, &s->folders[i]) !=
		    0)
			return rig_fail(names[i]);
	}
	s->count = (uint64_t)count;
	for (;;)
		pause();
}

/* How many writes began after the one moment and ended before the other. */
static uint64_t
count_within(const struct folder *f, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < WRITES_KEPT; i++)
		n += f->spans[i].end_ns != 0 &&
		     f->spans[i].begin_ns > begin_ns &&
		     f->spans[i].end_ns < end_ns;
	return n;
}

/* A line a folder: writes within, writes in all, its error. */
static int
print_within(const char *path, uint64_t begin_ns, uint64_t end_ns)
{
	const struct shared *s = rig_map(path, 0, sizeof(*s));
	const struct folder *f;
	size_t i;

	if (s == NULL)
		return rig_fail(path);
	for (i = 0; i < s->count; i++) {
		f = &s->folders[i];
		printf("%" PRIu64 " %" PRIu64 " %d %s\n",
		    count_within(f, begin_ns, end_ns), f->writes, f->error,
		    f->name);
	}
	return 0;
}

/* Waits until each folder has one more write that begins after the call;
 * names those that have none in time. */
static int
wait_for_writes(const char *path, uint64_t seconds)
{
	const struct shared *s = rig_map(path, 0, sizeof(*s));
	uint64_t before[FOLDERS_MAX], end = rig_now_ns() + seconds * 1000000000;
	size_t i;
	int rc = 0;

	if (s == NULL)
		return rig_fail(path);
	for (i = 0; i < s->count; i++)
		before[i] = s->folders[i].writes;
	for (i = 0; i < s->count; i++) {
		while (
		    s->folders[i].writes < before[i] + 2 && rig_now_ns() < end)
			rig_pause_ms(2);
		if (s->folders[i].writes >= before[i] + 2)
			continue;
		printf("%s\n", s->folders[i].name);
		rc = 1;
	}
	return s->count == 0 ? 1 : rc;
}

int
main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "write") == 0)
		return run_writers(argv[2], argv + 3, argc - 3);
	if (argc == 5 && strcmp(argv[1], "within") == 0)
		return print_within(argv[2], strtoull(argv[3], NULL, 10),
		    strtoull(argv[4], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "more") == 0)
		return wait_for_writes(argv[2], strtoull(argv[3], NULL, 10));
	fprintf(stderr, "usage: rig_watch write SHARED DIR... |"
			" within SHARED BEGIN_NS END_NS |"
			" more SHARED SECONDS\n");
	return 2;
}
