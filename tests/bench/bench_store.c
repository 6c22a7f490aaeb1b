/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the store takes a file and gives it back:
 *     bench_store REPO-URL CACHE-DIR FILE [THREADS [COMPRESSION [RATE [CIPHER]]]]
 * The repository is made if it is not there, sealed if a cipher is named, by a
 * key that is no secret.  Prints rates, processor time
 * and the largest resident size; to be held against `zstd -1`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/backend.h"
#include "backends/wrap_rate.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "store/seal/slot.h"
#include "store/store.h"

struct bench {
	struct store *store;
	unsigned int threads;
	const char *cipher;                          /* NULL: plain. */
	const struct store_compression *compression; /* NULL: the default. */
	uint64_t rate;                               /* 0: no limit. */
	int fd;
	uint64_t size;
};

static double
cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
report(const char *what, uint64_t bytes, int64_t start_ms, double start_cpu)
{
	double s = (double)(clock_monotonic_ms() - start_ms) / 1000;
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("%-8s %8.1f MiB/s  wall %7.2f s  cpu %7.2f s  peak %ld MiB\n",
	    what, (double)bytes / 1048576 / (s > 0 ? s : 0.001), s,
	    cpu_seconds() - start_cpu, u.ru_maxrss / 1024);
}

static int
open_store(struct bench *b, const char *url, const char *cache, struct err *err)
{
	static const struct slot_secret key = { .kind = SLOT_FILE,
		.bytes = "0123456789abcdef0123456789abcdef",
		.size = SLOT_SECRET_BYTES };
	struct store_init_options init = { .mode = SEAL_NONE };
	struct store_open_options options = { .secret = NULL };
	enum aead_cipher cipher;
	struct backend *backend;

	if (b->cipher != NULL) {
		if (aead_cipher_parse(&cipher, b->cipher) == -1)
			return err_set(err, ERR_ARG, "no cipher of that name");
		init.mode = SEAL_SECRET;
		init.cipher = &cipher;
		init.label = "bench";
		init.secret = options.secret = &key;
	}
	if (backend_open(&backend, url, BACKEND_CREATE, err) == -1)
		return -1;
	if (store_init(backend, &init, err) == -1 && err->class != ERR_EXISTS)
		return -1;
	if (b->rate > 0 &&
	    wrap_rate_open(&backend, backend, b->rate, err) == -1)
		return -1;
	return store_open(&b->store, backend, cache, &options, err);
}

static int
fill_chunk(
    const struct bench *b, struct store_chunk *c, uint64_t at, struct err *err)
{
	int64_t n = io_pread_full(
	    b->fd, c->data, (size_t)STORE_CHUNK_BLOCKS * STORE_BLOCK_BYTES, at);
	unsigned int i;

	if (n < 0)
		return err_errno(err, errno, "cannot read");
	c->count =
	    (unsigned int)((n + STORE_BLOCK_BYTES - 1) / STORE_BLOCK_BYTES);
	memset(
	    c->data + n, 0, (size_t)c->count * STORE_BLOCK_BYTES - (size_t)n);
	for (i = 0; i < c->count; i++)
		c->offset[i] = at + (uint64_t)i * STORE_BLOCK_BYTES;
	return 0;
}

static int
write_disk(const struct bench *b, struct store_session *session,
    struct manifest_disk *out, struct err *err)
{
	const uint64_t step = (uint64_t)STORE_CHUNK_BLOCKS * STORE_BLOCK_BYTES;
	struct store_disk *disk;
	struct store_chunk *c;
	uint64_t at;

	if (store_disk_begin(&disk, session, b->size, NULL, 0, err) == -1)
		return -1;
	for (at = 0; at < b->size; at += step) {
		if (store_chunk_get(&c, disk, err) == -1 ||
		    fill_chunk(b, c, at, err) == -1 ||
		    store_chunk_submit(disk, c, err) == -1) {
			store_disk_abort(disk);
			return -1;
		}
	}
	return store_disk_end(disk, out, err);
}

static int
run_backup(const struct bench *b, struct manifest *m, struct err *err)
{
	struct store_session_options options = {
		.threads = b->threads,
		.compression = b->compression,
	};
	struct store_session *session;
	int rc = -1;

	if (store_session_begin(&session, b->store, &options, err) == -1)
		return -1;
	if (write_disk(b, session, &m->disks[0], err) == 0)
		rc = store_session_commit(session, m, err);
	store_session_end(session);
	return rc;
}

static int
drop(void *arg, uint64_t offset, const void *buf, size_t size, struct err *err)
{
	(void)arg;
	(void)offset;
	(void)buf;
	(void)size;
	(void)err;
	return 0;
}

static int
run(struct bench *b, struct err *err)
{
	struct manifest_disk disk = { .size_bytes = b->size };
	struct manifest m = { .disks = &disk, .disk_count = 1 };
	struct store_reader *r;
	int64_t start = clock_monotonic_ms();
	double cpu = cpu_seconds();
	int rc;

	if (run_backup(b, &m, err) == -1)
		return -1;
	report("backup", b->size, start, cpu);
	printf("new %.1f MiB, stored %.1f MiB\n",
	    (double)disk.new_bytes / 1048576,
	    (double)disk.stored_bytes / 1048576);
	start = clock_monotonic_ms();
	cpu = cpu_seconds();
	if (store_reader_open(&r, b->store, &disk, err) == -1)
		return -1;
	rc = store_reader_stream(r, b->threads, drop, NULL, err);
	store_reader_close(r);
	report("read", b->size, start, cpu);
	return rc;
}

int
main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct bench b = { .fd = -1 };
	struct store_compression compression;
	struct stat st;
	int rc;

	if (argc < 4) {
		fprintf(stderr, "usage: bench_store URL CACHE FILE [THREADS "
				"[COMPRESSION [RATE [CIPHER]]]]\n");
		return 2;
	}
	if (argc > 5) {
		b.compression = &compression;
		if (store_compression_parse(&compression, argv[5], &err) == -1)
			return 2;
	}
	if (argc > 6 && bytes_parse(&b.rate, argv[6]) == -1)
		return 2;
	b.threads = argc > 4 ? (unsigned int)atoi(argv[4]) : 0;
	b.cipher = argc > 7 ? argv[7] : NULL;
	b.fd = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (b.fd == -1 || fstat(b.fd, &st) == -1) {
		perror(argv[3]);
		return 1;
	}
	b.size = (uint64_t)st.st_size;
	rc = open_store(&b, argv[1], argv[2], &err);
	if (rc == 0)
		rc = run(&b, &err);
	if (rc == -1)
		fprintf(stderr, "bench_store: %s\n", err.text);
	store_close(b.store);
	close(b.fd);
	return rc == 0 ? 0 : 1;
}
