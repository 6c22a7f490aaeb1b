/* SPDX-License-Identifier: Apache-2.0 */
/* Runs inside test guests: writes for ever and tells how far it is; or takes
 * its part in passing a token round several guests. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig_common.h"

enum {
	RECORD_BYTES = 4096,
	RECORDS_IN_FILE = 2048,
	WRITES_PER_SYNC = 16,
	WRITES_PER_SMALL_FILE = 64,
	PAUSE_MS = 1,
};

/* What the writer shows to `rig_tool gap`, in a mapped file on tmpfs. */
struct progress {
	_Atomic uint64_t writes;
	uint64_t last_ms;
	uint64_t max_gap_ms;
};

static uint64_t
now_ms(void)
{
	return rig_now_ns() / 1000000;
}

static void
progress_note(struct progress *pg)
{
	uint64_t now = now_ms();

	if (pg->last_ms && now - pg->last_ms > pg->max_gap_ms)
		pg->max_gap_ms = now - pg->last_ms;
	pg->last_ms = now;
	pg->writes++;
}

/* One numbered record at a place that jumps about in the file. */
static int
write_record(int fd, uint64_t seq)
{
	char record[RECORD_BYTES];
	uint64_t place = seq * 2654435761u % RECORDS_IN_FILE;
	size_t i;

	for (i = 0; i < sizeof(record); i += sizeof(seq))
		memcpy(record + i, &seq, sizeof(seq));
	if (pwrite(fd, record, sizeof(record), (off_t)(place * RECORD_BYTES)) !=
	    (ssize_t)sizeof(record))
		return -1;
	return seq % WRITES_PER_SYNC == 0 ? fdatasync(fd) : 0;
}

/* Directory and metadata traffic: a small file replaces another by rename. */
static int
write_small_file(const char *dir, uint64_t seq)
{
	char tmp[512], name[512];
	int fd, n;

	snprintf(tmp, sizeof(tmp), "%s/small.tmp", dir);
	snprintf(name, sizeof(name), "%s/small.%" PRIu64, dir, seq / 64 % 32);
	fd = open(tmp, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd == -1)
		return -1;
	n = dprintf(fd, "%" PRIu64 "\n", seq);
	close(fd);
	return n < 0 ? -1 : rename(tmp, name);
}

static int
run_writer(const char *dir, const char *progress_path)
{
	struct progress *pg =
	    rig_map(progress_path, O_CREAT | O_TRUNC, sizeof(*pg));
	char path[512];
	uint64_t seq;
	int fd;

	snprintf(path, sizeof(path), "%s/writer.dat", dir);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	if (fd == -1 || !pg)
		return rig_fail(path);
	for (seq = 1;; seq++) {
		if (write_record(fd, seq) == -1)
			return rig_fail(path);
		if (seq % WRITES_PER_SMALL_FILE == 0 &&
		    write_small_file(dir, seq) == -1)
			return rig_fail(dir);
		progress_note(pg);
		rig_pause_ms(PAUSE_MS);
	}
}

/* Prints: writes so far, ms since the last one, longest gap in ms. */
static int
print_gap(const char *progress_path, int reset)
{
	struct progress *pg = rig_map(progress_path, 0, sizeof(*pg));
	uint64_t now = now_ms();

	if (!pg)
		return rig_fail(progress_path);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	    atomic_load(&pg->writes), now > pg->last_ms ? now - pg->last_ms : 0,
	    pg->max_gap_ms);
	if (reset)
		pg->max_gap_ms = 0;
	return 0;
}

/* Waits for a write that ends after this call; 1 when none does in time. */
static int
wait_for_write(const char *progress_path, uint64_t seconds)
{
	struct progress *pg = rig_map(progress_path, 0, sizeof(*pg));
	uint64_t end = now_ms() + seconds * 1000, writes;

	if (!pg)
		return rig_fail(progress_path);
	/* The first one may have begun before the call. */
	for (writes = pg->writes; pg->writes < writes + 2; rig_pause_ms(2))
		if (now_ms() > end)
			return 1;
	return 0;
}

/* The next line of a port; a host that is not there yet reads as an end. */
static int
read_line(int fd, char *line, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used + 1 < size) {
		n = read(fd, line + used, 1);
		if (n == -1 && errno != EINTR)
			return -1;
		if (n == 0)
			rig_pause_ms(1);
		if (n == 1 && line[used++] == '\n')
			break;
	}
	line[used] = '\0';
	return 0;
}

/*
 * A stop of a token's way round several guests: takes a number from the port,
 * makes it durable in the file, passes on the next one.  What is in the file
 * is thus the effect of what is in the file of the guest before.
 */
static int
run_token(const char *port, const char *path)
{
	char record[RECORD_BYTES] = "0\n", line[32];
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	int port_fd = open(port, O_RDWR);
	uint64_t value;
	int size;

	/* Its blocks are there from the start: later only data is written. */
	if (port_fd == -1 || fd == -1 ||
	    pwrite(fd, record, sizeof(record), 0) != sizeof(record) ||
	    fsync(fd) == -1)
		return rig_fail(path);
	for (;;) {
		if (read_line(port_fd, line, sizeof(line)) == -1)
			return rig_fail(port);
		value = strtoull(line, NULL, 10);
		memset(record, 0, sizeof(record));
		snprintf(record, sizeof(record), "%" PRIu64 "\n", value);
		if (pwrite(fd, record, sizeof(record), 0) != sizeof(record) ||
		    fdatasync(fd) == -1)
			return rig_fail(path);
		size = snprintf(line, sizeof(line), "%" PRIu64 "\n", value + 1);
		if (write(port_fd, line, (size_t)size) != size)
			return rig_fail(port);
	}
}

int
main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "write"))
		return run_writer(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "gap"))
		return print_gap(argv[2], 0);
	if (argc == 3 && !strcmp(argv[1], "reset"))
		return print_gap(argv[2], 1);
	if (argc == 4 && !strcmp(argv[1], "more"))
		return wait_for_write(argv[2], strtoul(argv[3], NULL, 10));
	if (argc == 4 && !strcmp(argv[1], "token"))
		return run_token(argv[2], argv[3]);
	fprintf(stderr, "usage: rig_tool write DIR PROGRESS | gap PROGRESS |"
			" reset PROGRESS | more PROGRESS SECONDS |"
			" token PORT FILE\n");
	return 2;
}
