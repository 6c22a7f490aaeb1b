/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the points that curves.sh measures, through the store alone:
 *     bench_curves URL CACHE disk SIZE DATA PIECE SEED [BASE]
 *         a point of a disk of SIZE bytes with DATA bytes in pieces of PIECE
 *         bytes at equal distances; over point BASE nothing else is looked at
 *     bench_curves URL CACHE read POINT
 *         reads its disk back
 *     bench_curves URL CACHE points COUNT
 *         COUNT points, each one block off the first
 *     bench_curves URL CACHE blocks COUNT
 *         a point of a disk of COUNT different blocks, whose names and content
 *         are made up: good for all that does not read data
 * The repository is made if it is not there.  Prints seconds, new and stored
 * bytes, the largest resident size in KiB, and the last point.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "backends/backend.h"
#include "common/clock.h"
#include "common/err.h"
#include "store/checksum.h"
#include "store/frame.h"
#include "store/index.h"
#include "store/map_build.h"
#include "store/store_internal.h"
#include "tests/unit/plain_manifest.h"

#define CHUNK_BYTES ((uint64_t)STORE_CHUNK_BLOCKS * STORE_BLOCK_BYTES)
#define POINTS_AT_ONCE 1000u
#define POINTS_DISK_BYTES (UINT64_C(1) << 30)
/* About what 32 MiB hold of blocks that compress by half. */
#define PACK_BLOBS 1024u
#define MADE_UP_PIECES 8u

struct curves {
	struct store *store;
	uint64_t new_bytes, stored_bytes;
	char point[HEXID_SIZE];
};

static int
open_store(
    struct store **out, const char *url, const char *cache, struct err *err)
{
	struct store_init_options init = { .mode = SEAL_NONE };
	struct store_open_options options = { .secret = NULL };
	struct backend *b;

	if (backend_open(&b, url, BACKEND_CREATE, err) == -1)
		return -1;
	if (store_init(b, &init, err) == -1) {
		if (err->class != ERR_EXISTS)
			return -1;
		err_clear(err);
	}
	return store_open(out, b, cache, &options, err);
}

static struct manifest *
describe(uint64_t size, const struct manifest *base)
{
	struct manifest *m = plain_manifest(
	    "curve", "00000000-0000-0000-0000-000000000000", "bench", 1, base);

	m->time_ms = clock_wall_ms();
	m->disks[0].size_bytes = size;
	return m;
}

/* Half of it compresses well, half not at all. */
static void
fill_block(uint8_t *block, uint64_t seed, uint64_t offset)
{
	uint64_t in[2] = { seed, offset };
	uint64_t x = checksum_of(in, sizeof(in)) | 1;
	size_t i;

	for (i = 0; i < STORE_BLOCK_BYTES / 2; i += sizeof(x)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(block + i, &x, sizeof(x));
	}
	memset(block + i, 'h', STORE_BLOCK_BYTES - i);
}

/* ---- a disk ---- */

struct layout {
	uint64_t size, data, piece, seed;
	bool whole; /* What lies between is told as zeros. */
};

/* From offset to end; zeros to `zero_to` behind it. */
static int
feed_piece(struct store_disk *disk, const struct layout *l, uint64_t offset,
    uint64_t end, uint64_t zero_to, struct err *err)
{
	struct store_chunk *c;

	while (offset < end) {
		if (store_chunk_get(&c, disk, err) == -1)
			return -1;
		for (; c->count < STORE_CHUNK_BLOCKS && offset < end;
		     offset += STORE_BLOCK_BYTES) {
			fill_block(
			    c->data + (size_t)c->count * STORE_BLOCK_BYTES,
			    l->seed, offset);
			c->offset[c->count++] = offset;
		}
		if (offset >= end && l->whole && zero_to > end) {
			c->zero_offset = end;
			c->zero_bytes = zero_to - end;
		}
		if (store_chunk_submit(disk, c, err) == -1)
			return -1;
	}
	return 0;
}

static int
feed_disk(struct store_disk *disk, const struct layout *l, struct err *err)
{
	uint64_t pieces = l->data / l->piece, i;
	uint64_t step =
	    l->size / pieces / STORE_BLOCK_BYTES * STORE_BLOCK_BYTES;

	for (i = 0; i < pieces; i++) {
		if (feed_piece(disk, l, i * step, i * step + l->piece,
			i + 1 < pieces ? (i + 1) * step : l->size, err) == -1)
			return -1;
	}
	return 0;
}

static int
write_disk(struct store_session *s, const struct layout *l,
    struct manifest_disk *out, const struct manifest *base, struct err *err)
{
	struct store_disk *disk;

	if (store_disk_begin(&disk, s, l->size,
		base == NULL ? NULL : base->disks[0].root,
		base == NULL ? 0 : base->disks[0].size_bytes, err) == -1)
		return -1;
	if (feed_disk(disk, l, err) == -1) {
		store_disk_abort(disk);
		return -1;
	}
	return store_disk_end(disk, out, err);
}

static void
note(struct curves *c, const struct manifest *m)
{
	c->new_bytes += m->disks[0].new_bytes;
	c->stored_bytes += m->disks[0].stored_bytes;
	memcpy(c->point, m->id, sizeof(c->point));
}

static int
make_disk(struct curves *c, const struct layout *l, const char *base_id,
    struct err *err)
{
	struct store_session_options options = { .threads = 0 };
	struct manifest *m, *base = NULL;
	struct store_session *s = NULL;
	int rc = -1;

	if (base_id != NULL &&
	    store_manifest_read(&base, c->store, base_id, err) == -1)
		return -1;
	m = describe(l->size, base);
	if (store_session_begin(&s, c->store, &options, err) == -1)
		goto out;
	if (base != NULL && (rc = store_session_base(s, base, err)) != 1) {
		if (rc == 0)
			err_set(err, ERR_BUG, "the base is not usable");
		rc = -1;
		goto out;
	}
	rc = write_disk(s, l, &m->disks[0], base, err);
	if (rc == 0)
		rc = store_session_commit(s, m, err);
	note(c, m);
out:
	store_session_end(s);
	manifest_free(m);
	manifest_free(base);
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
read_disk(struct curves *c, const char *id, struct err *err)
{
	struct store_reader *r;
	struct manifest *m;
	int rc;

	if (store_manifest_read(&m, c->store, id, err) == -1)
		return -1;
	rc = store_reader_open(&r, c->store, &m->disks[0], err);
	if (rc == 0) {
		rc = store_reader_stream(r, 0, drop, NULL, err);
		store_reader_close(r);
	}
	manifest_free(m);
	return rc;
}

/* ---- many points ---- */

/* All disks before all points: so they share packs. */
static int
make_some_points(struct curves *c, const struct manifest *base, uint64_t first,
    unsigned int count, struct err *err)
{
	struct store_session_options options = { .points = count };
	struct layout l = { .size = POINTS_DISK_BYTES,
		.data = STORE_BLOCK_BYTES,
		.piece = STORE_BLOCK_BYTES };
	struct manifest **m = calloc(count, sizeof(struct manifest *));
	struct store_session *s;
	unsigned int i;
	int rc;

	if (m == NULL)
		return err_no_memory(err);
	rc = store_session_begin(&s, c->store, &options, err);
	if (rc == 0 && store_session_base(s, base, err) != 1)
		rc = -1;
	for (i = 0; rc == 0 && i < count; i++) {
		l.seed = first + i;
		m[i] = describe(l.size, base);
		rc = write_disk(s, &l, &m[i]->disks[0], base, err);
	}
	for (i = 0; rc == 0 && i < count; i++) {
		rc = store_session_commit(s, m[i], err);
		note(c, m[i]);
	}
	store_session_end(s);
	for (i = 0; i < count; i++)
		manifest_free(m[i]);
	free(m);
	return rc;
}

static int
make_points(struct curves *c, uint64_t count, struct err *err)
{
	const struct layout first = { .size = POINTS_DISK_BYTES,
		.data = STORE_BLOCK_BYTES,
		.piece = STORE_BLOCK_BYTES,
		.whole = true };
	struct manifest *base = NULL;
	uint64_t done, n;
	int rc = make_disk(c, &first, NULL, err);

	if (rc == 0)
		rc = store_manifest_read(&base, c->store, c->point, err);
	for (done = 1; rc == 0 && done < count; done += n) {
		n = count - done < POINTS_AT_ONCE ? count - done
						  : POINTS_AT_ONCE;
		rc = make_some_points(c, base, done, (unsigned int)n, err);
	}
	manifest_free(base);
	return rc;
}

/* ---- many blocks ---- */

struct made_up {
	struct store *store;
	struct frame_codec *codec;
	struct index_set *set;
	struct pack *pack;
	uint8_t *raw, *stored;
	size_t stored_size; /* Of a frame of zeros. */
	struct pack_blob blob[STORE_CHUNK_BLOCKS];
	unsigned int blobs;
	struct pack *map_pack;
	struct pack_blob piece[MADE_UP_PIECES];
	uint8_t piece_raw[MADE_UP_PIECES * MAP_PIECE_BYTES];
	unsigned int pieces;
};

static int
flush_set(struct made_up *u, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	int rc = 0;

	if (u->set->count > 0)
		rc = index_put(
		    u->store->backend, u->store->seal, u->set, id, err);
	index_set_fini(u->set);
	return rc;
}

static int
put_pack(struct made_up *u, struct pack **pack, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct pack *p = *pack;
	int rc = -1;

	if (p == NULL)
		return 0;
	*pack = NULL;
	if (pack_finish(p, err) == 0 &&
	    backend_put(u->store->backend, object_key(key, OBJECT_PACK, p->id),
		p->data, p->size, err) == 0) {
		index_set_add(u->set, p->id, p->size, &p->table);
		rc = index_set_full(u->set) ? flush_set(u, err) : 0;
	}
	pack_free(p);
	return rc;
}

static int
add_frame(struct made_up *u, struct pack **pack, const void *stored,
    size_t stored_size, size_t raw_size, const struct pack_blob *blobs,
    unsigned int count, enum frame_coding coding, struct err *err)
{
	if (count == 0)
		return 0;
	if (*pack == NULL && pack_new(pack, u->store->seal, err) == -1)
		return -1;
	if (pack_add_frame(*pack, coding, stored, stored_size, raw_size, blobs,
		count, err) == -1)
		return -1;
	return (*pack)->table.blob_count >= PACK_BLOBS ? put_pack(u, pack, err)
						       : 0;
}

static int
flush_pieces(struct made_up *u, struct err *err)
{
	size_t raw = (size_t)u->pieces * MAP_PIECE_BYTES;
	unsigned int count = u->pieces;

	u->pieces = 0;
	return add_frame(u, &u->map_pack, u->piece_raw, raw, raw, u->piece,
	    count, FRAME_RAW, err);
}

static int
take_piece(void *arg, const uint8_t hash[DIGEST_BYTES],
    const uint8_t piece[MAP_PIECE_BYTES], struct err *err)
{
	struct made_up *u = arg;
	struct pack_blob *b = &u->piece[u->pieces];

	*b = (struct pack_blob){ .type = BLOB_MAP,
		.offset = u->pieces * MAP_PIECE_BYTES,
		.size = MAP_PIECE_BYTES };
	memcpy(b->hash, hash, DIGEST_BYTES);
	memcpy(u->piece_raw + b->offset, piece, MAP_PIECE_BYTES);
	return ++u->pieces == MADE_UP_PIECES ? flush_pieces(u, err) : 0;
}

static int
flush_blocks(struct made_up *u, struct err *err)
{
	unsigned int count = u->blobs;

	u->blobs = 0;
	return add_frame(u, &u->pack, u->stored, u->stored_size,
	    (size_t)count * STORE_BLOCK_BYTES, u->blob, count, FRAME_ZSTD, err);
}

static int
take_block(
    struct made_up *u, struct map_build *map, uint64_t n, struct err *err)
{
	struct pack_blob *b = &u->blob[u->blobs];
	uint64_t in[2] = { n, 0 }, x;

	*b = (struct pack_blob){ .type = BLOB_DATA,
		.offset = u->blobs * STORE_BLOCK_BYTES,
		.size = STORE_BLOCK_BYTES };
	for (; in[1] < DIGEST_BYTES / 8; in[1]++) {
		x = checksum_of(in, sizeof(in));
		memcpy(b->hash + 8 * in[1], &x, sizeof(x));
	}
	if (map_build_set(map, n, b->hash, err) == -1)
		return -1;
	return ++u->blobs == STORE_CHUNK_BLOCKS ? flush_blocks(u, err) : 0;
}

static int
make_up(struct made_up *u, struct manifest_disk *disk, uint64_t count,
    struct err *err)
{
	struct piece_reader *pieces = NULL;
	struct map_build *map = NULL;
	uint64_t i;
	int rc;

	u->stored_size = FRAME_RAW_MAX;
	frame_compress(
	    u->codec, u->stored, &u->stored_size, u->raw, FRAME_RAW_MAX);
	rc = piece_reader_new(&pieces, u->store, err);
	if (rc == 0)
		rc = map_build_new(&map, pieces, disk->size_bytes, NULL, 0,
		    take_piece, u, err);
	for (i = 0; rc == 0 && i < count; i++)
		rc = take_block(u, map, i, err);
	if (rc == 0 && (flush_blocks(u, err) == -1 ||
			   map_build_finish(map, disk->root, err) == -1 ||
			   flush_pieces(u, err) == -1 ||
			   put_pack(u, &u->pack, err) == -1 ||
			   put_pack(u, &u->map_pack, err) == -1 ||
			   flush_set(u, err) == -1))
		rc = -1;
	map_build_free(map);
	piece_reader_free(pieces);
	return rc;
}

static int
make_blocks(struct curves *c, uint64_t count, struct err *err)
{
	struct store_session_options options = { .threads = 1 };
	struct manifest *m = describe(count * STORE_BLOCK_BYTES, NULL);
	struct made_up *u = calloc(1, sizeof(*u));
	struct store_session *s = NULL;
	int rc = -1;

	if (u == NULL)
		return err_no_memory(err);
	u->store = c->store;
	u->codec = frame_codec_new();
	u->set = calloc(1, sizeof(*u->set));
	u->raw = calloc(1, FRAME_RAW_MAX);
	u->stored = malloc(FRAME_RAW_MAX);
	if (u->codec == NULL || u->set == NULL || u->raw == NULL ||
	    u->stored == NULL)
		err_no_memory(err);
	else if (store_session_begin(&s, c->store, &options, err) == 0 &&
		 make_up(u, &m->disks[0], count, err) == 0)
		rc = store_session_commit(s, m, err);
	note(c, m);
	store_session_end(s);
	manifest_free(m);
	index_set_free(u->set);
	frame_codec_free(u->codec);
	pack_free(u->pack);
	pack_free(u->map_pack);
	free(u->raw);
	free(u->stored);
	free(u);
	return rc;
}

/* ---- the command ---- */

static uint64_t
number(char **argv, int argc, int i)
{
	return i < argc ? strtoull(argv[i], NULL, 10) : 0;
}

static int
run(struct curves *c, int argc, char **argv, struct err *err)
{
	struct layout l = { .size = number(argv, argc, 4),
		.data = number(argv, argc, 5),
		.piece = number(argv, argc, 6),
		.seed = number(argv, argc, 7),
		.whole = argc <= 8 };

	if (strcmp(argv[3], "read") == 0)
		return read_disk(c, argv[4], err);
	if (strcmp(argv[3], "points") == 0)
		return make_points(c, l.size, err);
	if (strcmp(argv[3], "blocks") == 0)
		return make_blocks(c, l.size, err);
	if (strcmp(argv[3], "disk") == 0 && l.piece > 0 && l.data >= l.piece &&
	    l.size >= l.data && l.piece % STORE_BLOCK_BYTES == 0)
		return make_disk(c, &l, argc > 8 ? argv[8] : NULL, err);
	return err_set(err, ERR_ARG, "the first comment of the source tells");
}

int
main(int argc, char **argv)
{
	struct curves c = { .store = NULL };
	struct err err = ERR_INIT;
	int64_t start;
	struct rusage u;
	int rc = -1;

	if (argc < 5) {
		fprintf(stderr, "usage: bench_curves URL CACHE WHAT ...\n");
		return 2;
	}
	start = clock_monotonic_ms();
	if (open_store(&c.store, argv[1], argv[2], &err) == 0)
		rc = run(&c, argc, argv, &err);
	store_close(c.store);
	if (rc == -1) {
		fprintf(stderr, "bench_curves: %s\n", err.text);
		return 1;
	}
	getrusage(RUSAGE_SELF, &u);
	printf("%.3f %" PRIu64 " %" PRIu64 " %ld %s\n",
	    (double)(clock_monotonic_ms() - start) / 1000, c.new_bytes,
	    c.stored_bytes, u.ru_maxrss, c.point);
	return 0;
}
