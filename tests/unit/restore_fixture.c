/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up disk and what the tests of restore share. */
#include "tests/unit/restore_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/io.h"
#include "store/manifest.h"
#include "store/store.h"

#define BLOCK STORE_BLOCK_BYTES
#define READERS 3

struct fixture fixture;

static bool
has_data(uint64_t block)
{
	return block % 8 < 3 || block == FIXTURE_DISK_BYTES / BLOCK;
}

static size_t
block_bytes(uint64_t block)
{
	uint64_t left = fixture.size_bytes - block * BLOCK;

	return left < BLOCK ? (size_t)left : BLOCK;
}

static void
fill_block(uint8_t *out, uint64_t block)
{
	uint64_t *words = (uint64_t *)(void *)out;
	size_t i;

	for (i = 0; i < BLOCK / sizeof(*words); i++)
		words[i] = (block * BLOCK + i * 8) * 0x9e3779b97f4a7c15u + 1;
}

/* ---- the store's reader, as restore sees it ---- */

struct store_reader {
	store_data_fn *fn;
	void *arg;
	pthread_mutex_t lock;
	uint64_t next;
	uint64_t sent_bytes;
	int rc;
	struct err err;
};

int
store_reader_open(struct store_reader **out, struct store *s,
    const struct manifest_disk *disk, struct err *err)
{
	(void)s;
	assert_int_equal(disk->size_bytes, fixture.size_bytes);
	if ((*out = calloc(1, sizeof(**out))) == NULL)
		return err_no_memory(err);
	pthread_mutex_init(&(*out)->lock, NULL);
	return 0;
}

void
store_reader_close(struct store_reader *r)
{
	free(r);
}

void
store_reader_salvage(struct store_reader *r, store_range_fn *lost, void *arg)
{
	(void)r;
	(void)lost;
	(void)arg;
	fail();
}

int
store_reader_data_bytes(struct store_reader *r, uint64_t *out, struct err *err)
{
	(void)r;
	(void)err;
	*out =
	    fixture.told_bytes != 0 ? fixture.told_bytes : fixture_data_bytes();
	return 0;
}

/* 1: *block is to be sent.  0: no more. */
static int
next_block(struct store_reader *r, uint64_t *block)
{
	uint64_t blocks = (fixture.size_bytes + BLOCK - 1) / BLOCK;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (r->next < blocks && !has_data(r->next))
		r->next++;
	if (r->next == blocks && fixture.endless)
		r->next = 0;
	if (r->rc == 0 && fixture.corrupt_after_bytes != 0 &&
	    r->sent_bytes >= fixture.corrupt_after_bytes)
		r->rc = err_set(&r->err, ERR_CORRUPT, "pack 'x' is damaged");
	if (r->rc == 0 && r->next < blocks) {
		*block = r->next++;
		r->sent_bytes += BLOCK;
		rc = 1;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static void *
reader_thread(void *arg)
{
	struct store_reader *r = arg;
	uint8_t *buf = malloc(BLOCK);
	struct err err = ERR_INIT;
	uint64_t block;

	while (next_block(r, &block)) {
		fill_block(buf, block);
		if (r->fn(r->arg, block * BLOCK, buf, block_bytes(block),
			&err) == 0)
			continue;
		pthread_mutex_lock(&r->lock);
		r->rc = -1;
		r->err = err;
		pthread_mutex_unlock(&r->lock);
	}
	free(buf);
	return NULL;
}

int
store_reader_stream(struct store_reader *r, unsigned int threads,
    store_data_fn *fn, void *arg, struct err *err)
{
	pthread_t readers[READERS];
	size_t i;

	(void)threads;
	r->fn = fn;
	r->arg = arg;
	for (i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, reader_thread, r);
	for (i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	if (r->rc == -1)
		*err = r->err;
	return r->rc;
}

/* ---- folder and disk ---- */

int
fixture_setup(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	fixture.size_bytes = FIXTURE_DISK_BYTES;
	strcpy(fixture.dir, "/var/tmp/test_restore.XXXXXX");
	strcpy(fixture.temporary, "/var/tmp/test_restore.tmp.XXXXXX");
	if (mkdtemp(fixture.dir) == NULL || mkdtemp(fixture.temporary) == NULL)
		return -1;
	return setenv("TMPDIR", fixture.temporary, 1);
}

int
fixture_teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	umount2(fixture.dir, MNT_DETACH); /* A case that failed. */
	unsetenv("TMPDIR");
	if (io_remove_tree(fixture.temporary, &err) == -1)
		return -1;
	return io_remove_tree(fixture.dir, &err);
}

const char *
fixture_path(const char *name)
{
	static char paths[2][256];
	static unsigned int turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture.dir, name);
	return path;
}

bool
fixture_exists(const char *name)
{
	return access(fixture_path(name), F_OK) == 0;
}

static unsigned int
count_files(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

unsigned int
fixture_count_files(void)
{
	return count_files(fixture.dir);
}

uint64_t
fixture_data_bytes(void)
{
	uint64_t blocks = (fixture.size_bytes + BLOCK - 1) / BLOCK;
	uint64_t block, sum = 0;

	for (block = 0; block < blocks; block++)
		sum += has_data(block) ? block_bytes(block) : 0;
	return sum;
}

int
fixture_restore(const char *target, enum restore_format format, bool overwrite,
    restore_tick_fn *tick, void *arg, struct err *err)
{
	struct manifest_disk disk = { .size_bytes = fixture.size_bytes };
	struct restore_options options = {
		.target = target,
		.format = format,
		.overwrite = overwrite,
		.tick = tick,
		.arg = arg,
	};

	err_clear(err);
	return restore_disk(NULL, &disk, &options, err);
}

void
fixture_fill(const char *path, uint64_t size_bytes)
{
	uint8_t *buf = malloc(BLOCK);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	uint64_t at;
	size_t n;

	assert_int_not_equal(fd, -1);
	memset(buf, 0xff, BLOCK);
	for (at = 0; at < size_bytes; at += n) {
		n = size_bytes - at < BLOCK ? size_bytes - at : BLOCK;
		assert_int_equal(io_pwrite_full(fd, buf, n, at), 0);
	}
	assert_int_equal(fsync(fd), 0);
	close(fd);
	free(buf);
}

void
fixture_assert_disk(const char *path)
{
	uint64_t blocks = (fixture.size_bytes + BLOCK - 1) / BLOCK, block;
	uint8_t *want = malloc(BLOCK), *got = malloc(BLOCK);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	for (block = 0; block < blocks; block++) {
		memset(want, 0, BLOCK);
		if (has_data(block))
			fill_block(want, block);
		assert_int_equal(
		    io_pread_full(fd, got, block_bytes(block), block * BLOCK),
		    block_bytes(block));
		if (memcmp(got, want, block_bytes(block)) != 0)
			fail_msg("'%s' differs in block %ju", path,
			    (uintmax_t)block);
	}
	close(fd);
	free(want);
	free(got);
}

void
fixture_assert_untouched(const char *path, uint64_t from, uint64_t to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t byte;

	assert_int_not_equal(fd, -1);
	for (; from < to; from++) {
		assert_int_equal(io_pread_full(fd, &byte, 1, from), 1);
		assert_int_equal(byte, 0xff);
	}
	close(fd);
}

/* ---- programs ---- */

int
fixture_run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* "PID (NAME) STATE PPID ..." of /proc/PID/stat; false: it is gone. */
static bool
read_stat(pid_t pid, char name[32], char *state, pid_t *parent)
{
	char path[64];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	n = fscanf(f, "%*d (%31[^)]) %c %d", name, state, parent);
	fclose(f);
	return n == 3;
}

pid_t
fixture_find_child(pid_t pid, const char *name)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char comm[32], state;
	pid_t found = 0, parent, child;

	while (found == 0 && (entry = readdir(dir)) != NULL) {
		child = (pid_t)atoi(entry->d_name);
		if (child > 0 && read_stat(child, comm, &state, &parent) &&
		    parent == pid && (name == NULL || strcmp(comm, name) == 0))
			found = child;
	}
	closedir(dir);
	return found;
}

bool
fixture_wait_gone(pid_t pid)
{
	int64_t deadline_ms = clock_monotonic_ms() + 10000;
	char comm[32], state;
	pid_t parent;

	while (read_stat(pid, comm, &state, &parent) && state != 'Z') {
		if (clock_monotonic_ms() > deadline_ms)
			return false;
		poll(NULL, 0, 10);
	}
	return true;
}

void
fixture_assert_clean(void)
{
	assert_int_equal(fixture_find_child(getpid(), NULL), 0);
	assert_int_equal(count_files(fixture.temporary), 0);
}
