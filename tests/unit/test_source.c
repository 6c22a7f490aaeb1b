/* SPDX-License-Identifier: Apache-2.0 */
/* A disk from a real NBD server through the reader into a fake pipeline. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/source/source.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/rate.h"
#include "nbd_fixture.h"
#include "store/store.h"

#define MIB ((uint64_t)1 << 20)
#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define SIZE_BYTES (40 * MIB + 4096) /* Ends within a block. */
#define CHUNKS_MAX 2000

/* The pipeline: chunks in the order of their get, each submitted once. */
struct store_disk {
	struct store_chunk *chunks[CHUNKS_MAX];
	bool submitted[CHUNKS_MAX];
	size_t count, done;
	size_t most_held;
	size_t fail_at; /* That many submits succeed; 0: all. */
	size_t buffers; /* The pipeline has so many; 0: any number. */
};

static struct nbd_fixture fixture;
static struct store_disk disk;

/* As the store: all buffers stand behind the oldest that is not submitted. */
static bool
is_out_of_buffers(const struct store_disk *d)
{
	size_t oldest = 0;

	while (oldest < d->count && d->submitted[oldest])
		oldest++;
	return d->buffers > 0 && d->count - oldest >= d->buffers;
}

int
store_chunk_get(struct store_chunk **out, struct store_disk *d, struct err *err)
{
	struct store_chunk *chunk;

	if (is_out_of_buffers(d))
		return err_set(err, ERR_BUSY, "no buffer");
	chunk = calloc(1, sizeof(*chunk));
	assert_non_null(chunk);
	chunk->data = malloc(STORE_CHUNK_BLOCKS * BLOCK);
	assert_non_null(chunk->data);
	memset(chunk->data, 0xee, STORE_CHUNK_BLOCKS * BLOCK);
	assert_true(d->count < CHUNKS_MAX);
	d->chunks[d->count++] = chunk;
	if (d->count - d->done > d->most_held)
		d->most_held = d->count - d->done;
	*out = chunk;
	return 0;
}

int
store_chunk_submit(
    struct store_disk *d, struct store_chunk *chunk, struct err *err)
{
	size_t i;

	if (d->fail_at > 0 && d->done == d->fail_at)
		return err_set(err, ERR_NO_SPACE, "the store is full");
	for (i = 0; i < d->count; i++)
		if (d->chunks[i] == chunk)
			break;
	assert_true(i < d->count && !d->submitted[i]);
	d->submitted[i] = true;
	d->done++;
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	memset(&disk, 0, sizeof(disk));
	nbd_fixture_init(&fixture, SIZE_BYTES);
	return 0;
}

static int
teardown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < disk.count; i++) {
		free(disk.chunks[i]->data);
		free(disk.chunks[i]);
	}
	nbd_fixture_fini(&fixture);
	return 0;
}

/* The disk as the store would have it; base where it was told nothing. */
static uint8_t *
assemble(uint8_t base)
{
	uint8_t *image = malloc(SIZE_BYTES + BLOCK);
	const struct store_chunk *c;
	uint64_t last = 0;
	size_t i, k;

	assert_non_null(image);
	memset(image, base, SIZE_BYTES + BLOCK);
	for (i = 0; i < disk.count; i++) {
		c = disk.chunks[i];
		assert_true(disk.submitted[i]);
		for (k = 0; k < c->count; k++) {
			assert_true(c->offset[k] >= last);
			assert_int_equal(c->offset[k] % BLOCK, 0);
			memcpy(
			    image + c->offset[k], c->data + k * BLOCK, BLOCK);
			last = c->offset[k] + BLOCK;
		}
		if (c->zero_bytes == 0)
			continue;
		assert_true(c->zero_offset >= last);
		last = c->zero_offset + c->zero_bytes;
		assert_true(last <= SIZE_BYTES);
		assert_true(last % BLOCK == 0 || last == SIZE_BYTES);
		memset(image + c->zero_offset, 0, c->zero_bytes);
	}
	assert_true(disk.most_held <= STORE_CHUNKS_HELD);
	return image;
}

static void
expect(const uint8_t *image, uint64_t from, uint64_t to, uint8_t value)
{
	for (; from < to; from++)
		if (image[from] != value)
			fail_msg("byte %llu is %#x, not %#x",
			    (unsigned long long)from, image[from], value);
}

static int
copy(bool incremental, uint64_t base, source_tick_fn *tick, void *arg,
    struct source_result *result, struct err *err)
{
	struct source_disk source = { .socket_path = fixture.socket,
		.target = "vda",
		.incremental = incremental,
		.base_size_bytes = base };

	return source_copy(&source, &disk, tick, arg, result, err);
}

static void
test_source_full_copies_data_and_zeros(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	uint8_t *image;

	(void)state;
	nbd_fixture_io(&fixture, "write -P 1 0 20M");
	nbd_fixture_io(&fixture, "write -P 2 30M 100k");
	nbd_fixture_io(&fixture, "write -P 3 40M 4k");
	nbd_fixture_serve(&fixture, NULL, false);
	if (copy(false, 0, NULL, NULL, &result, &err) == -1)
		fail_msg("%s", err.text);
	image = assemble(0);
	expect(image, 0, 20 * MIB, 1);
	expect(image, 20 * MIB, 30 * MIB, 0);
	expect(image, 30 * MIB, 30 * MIB + 100 * 1024, 2);
	expect(image, 30 * MIB + 100 * 1024, 40 * MIB, 0);
	expect(image, 40 * MIB, SIZE_BYTES, 3);
	expect(image, SIZE_BYTES, 40 * MIB + BLOCK, 0);
	assert_int_equal(result.changed_bytes, 20 * MIB + 3 * BLOCK);
	assert_int_equal(result.read_bytes, 20 * MIB + 2 * BLOCK + 4096);
	/* Data on both sides of a hole shares a chunk, and so a frame. */
	assert_int_equal(
	    disk.count, (20 * MIB / BLOCK + 3 + STORE_CHUNK_BLOCKS - 1) /
			    STORE_CHUNK_BLOCKS);
	free(image);
}

/* A slow read must not end the backup when others have overtaken it. */
static void
test_source_waits_when_the_store_has_no_buffer(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	uint8_t *image;

	(void)state;
	disk.buffers = 2;
	nbd_fixture_io(&fixture, "write -P 1 0 20M");
	nbd_fixture_serve(&fixture, NULL, false);
	if (copy(false, 0, NULL, NULL, &result, &err) == -1)
		fail_msg("%s", err.text);
	image = assemble(0);
	expect(image, 0, 20 * MIB, 1);
	assert_true(disk.most_held <= 2);
	free(image);
}

static void
test_source_incremental_copies_what_is_dirty(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	uint8_t *image;

	(void)state;
	nbd_fixture_io(&fixture, "write -P 1 0 20M");
	nbd_fixture_bitmap(&fixture, "backup-vda");
	nbd_fixture_io(&fixture, "write -P 2 1M 4k");
	nbd_fixture_io(&fixture, "write -z 2M 128k");
	nbd_fixture_io(&fixture, "write -P 3 19M 1M");
	nbd_fixture_serve(&fixture, "backup-vda", false);
	if (copy(true, SIZE_BYTES, NULL, NULL, &result, &err) == -1)
		fail_msg("%s", err.text);
	image = assemble(0xaa);
	expect(image, 0, MIB, 0xaa);
	expect(image, MIB, MIB + 4096, 2);
	expect(image, MIB + 4096, MIB + BLOCK, 1);
	expect(image, MIB + BLOCK, 2 * MIB, 0xaa);
	expect(image, 2 * MIB, 2 * MIB + 2 * BLOCK, 0);
	expect(image, 2 * MIB + 2 * BLOCK, 19 * MIB, 0xaa);
	expect(image, 19 * MIB, 20 * MIB, 3);
	expect(image, 20 * MIB, SIZE_BYTES, 0xaa);
	assert_int_equal(result.changed_bytes, MIB + 3 * BLOCK);
	assert_int_equal(result.read_bytes, MIB + BLOCK);
	free(image);
}

static void
test_source_incremental_reads_all_beyond_the_base(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	uint8_t *image;

	(void)state;
	nbd_fixture_io(&fixture, "write -P 1 0 40M");
	nbd_fixture_bitmap(&fixture, "backup-vda");
	nbd_fixture_serve(&fixture, "backup-vda", false);
	if (copy(true, 39 * MIB + 5, NULL, NULL, &result, &err) == -1)
		fail_msg("%s", err.text);
	image = assemble(0xaa);
	expect(image, 0, 39 * MIB, 0xaa);
	expect(image, 39 * MIB, 40 * MIB, 1);
	expect(image, 40 * MIB, SIZE_BYTES, 0);
	free(image);
}

static void
test_source_incremental_needs_the_bitmap(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	nbd_fixture_serve(&fixture, NULL, false);
	assert_int_equal(copy(true, SIZE_BYTES, NULL, NULL, &result, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

/* 2 MiB at 4 MiB a second, in requests no larger than the limit's pieces. */
static void
test_source_keeps_to_the_limit(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	struct rate rate;
	struct source_disk source = {
		.socket_path = fixture.socket, .target = "vda", .rate = &rate
	};
	uint64_t start;
	uint8_t *image;

	(void)state;
	nbd_fixture_io(&fixture, "write -P 5 1M 2M");
	nbd_fixture_serve(&fixture, NULL, false);
	rate_init(&rate, 4 * MIB);
	start = clock_monotonic_ns();
	if (source_copy(&source, &disk, NULL, NULL, &result, &err) == -1)
		fail_msg("%s", err.text);
	assert_true(clock_monotonic_ns() - start >=
		    (500 - RATE_BURST_MS) * UINT64_C(1000000));
	assert_int_equal(result.read_bytes, 2 * MIB);
	image = assemble(0);
	expect(image, MIB, 3 * MIB, 5);
	free(image);
	rate_fini(&rate);
}

struct refusal {
	int ticks, at; /* Of the tick that is refused. */
	enum err_class class;
	const char *text;
};

static int
refuse(void *arg, uint64_t done, uint64_t total, struct err *err)
{
	struct refusal *r = arg;

	(void)done;
	(void)total;
	if (++r->ticks < r->at)
		return 0;
	return err_set(err, r->class, "%s", r->text);
}

static const struct refusal full_at_third = {
	.at = 3, .class = ERR_NO_SPACE, .text = "scratch is full"
};

/* At this limit the first block would take a minute, the disk half a day. */
static void
test_source_stops_while_the_limit_holds_it(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	struct rate rate;
	struct source_disk source = {
		.socket_path = fixture.socket, .target = "vda", .rate = &rate
	};
	uint64_t start;
	struct refusal enough = {
		.at = 2, .class = ERR_CANCELLED, .text = "enough"
	};

	(void)state;
	nbd_fixture_io(&fixture, "write -P 5 0 40M");
	nbd_fixture_serve(&fixture, NULL, false);
	rate_init(&rate, 1024);
	start = clock_monotonic_ns();
	assert_int_equal(
	    source_copy(&source, &disk, refuse, &enough, &result, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_true(clock_monotonic_ns() - start < UINT64_C(30000000000));
	rate_fini(&rate);
}

static int
kill_server(void *arg, uint64_t done, uint64_t total, struct err *err)
{
	int *ticks = arg;

	(void)done;
	(void)total;
	(void)err;
	if (++*ticks == 1)
		nbd_fixture_kill(&fixture);
	return 0;
}

static void
test_source_fails_when_the_server_dies(void **state)
{
	struct source_result result = { 0 };
	struct nbd_fixture *f = &fixture;
	struct err err = ERR_INIT;
	uint64_t size = 0;
	struct source_disk source = { .socket_path = f->socket,
		.target = "vda" };
	int ticks = 0;

	(void)state;
	nbd_fixture_io(f, "write -P 1 0 40M");
	nbd_fixture_serve(f, NULL, false);
	assert_int_equal(source_size(&source, &size, &err), 0);
	assert_int_equal(size, SIZE_BYTES);
	kill(f->server, SIGSTOP);
	assert_int_equal(
	    copy(false, 0, kill_server, &ticks, &result, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_true(ticks >= 1);
}

/* Also while the server hangs, which would hold the reader for ever. */
static void
test_source_ends_when_tick_says_so(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	uint64_t size;
	struct source_disk source = { .socket_path = fixture.socket,
		.target = "vda" };
	struct refusal full = full_at_third;
	int64_t start;

	(void)state;
	nbd_fixture_serve(&fixture, NULL, false);
	assert_int_equal(source_size(&source, &size, &err), 0);
	kill(fixture.server, SIGSTOP);
	start = clock_monotonic_ms();
	assert_int_equal(copy(false, 0, refuse, &full, &result, &err), -1);
	assert_int_equal(err.class, ERR_NO_SPACE);
	assert_string_equal(err.text, "scratch is full");
	assert_int_equal(full.ticks, 3);
	assert_true(clock_monotonic_ms() - start < 5000);
}

static void
test_source_passes_the_store_failure_on(void **state)
{
	struct source_result result = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	disk.fail_at = 3;
	nbd_fixture_io(&fixture, "write -P 1 0 40M");
	nbd_fixture_serve(&fixture, NULL, false);
	assert_int_equal(copy(false, 0, NULL, NULL, &result, &err), -1);
	assert_int_equal(err.class, ERR_NO_SPACE);
	assert_string_equal(err.text, "the store is full");
}

/* A block that was lost from the repository is read though it is clean. */
static void
test_source_incremental_reads_what_is_asked_for(void **state)
{
	static const struct store_range also[] = { { 5 * MIB, 2 * BLOCK },
		{ 40 * MIB, 4096 } };
	struct source_disk source = { .socket_path = fixture.socket,
		.target = "vda",
		.incremental = true,
		.base_size_bytes = SIZE_BYTES,
		.also = also,
		.also_count = 2 };
	struct source_result result = { 0 };
	struct err err = ERR_INIT;
	uint8_t *image;

	(void)state;
	nbd_fixture_io(&fixture, "write -P 1 0 20M");
	nbd_fixture_bitmap(&fixture, "backup-vda");
	nbd_fixture_serve(&fixture, "backup-vda", false);
	if (source_copy(&source, &disk, NULL, NULL, &result, &err) == -1)
		fail_msg("%s", err.text);
	image = assemble(0xaa);
	expect(image, 0, 5 * MIB, 0xaa);
	expect(image, 5 * MIB, 5 * MIB + 2 * BLOCK, 1);
	expect(image, 5 * MIB + 2 * BLOCK, 40 * MIB, 0xaa);
	expect(image, 40 * MIB, SIZE_BYTES, 0);
	free(image);
}

/* ---- the audit ---- */

/* The base, as the store would know it: bytes of one value a block. */
static struct {
	uint8_t value[SIZE_BYTES / BLOCK + 1];
	unsigned int asked[SIZE_BYTES / BLOCK + 1];
	uint64_t last;
} base;

static int
is_same(void *arg, uint64_t block, const void *data, struct err *err)
{
	const uint8_t *bytes = data;
	uint64_t size = BLOCK, i;

	(void)arg;
	(void)err;
	assert_true(block < sizeof(base.value));
	assert_true(base.last == UINT64_MAX || block > base.last);
	base.last = block;
	base.asked[block]++;
	if (block == SIZE_BYTES / BLOCK)
		size = SIZE_BYTES % BLOCK;
	for (i = 0; i < BLOCK; i++)
		if (bytes[i] != (i < size ? base.value[block] : 0))
			return 0;
	return 1;
}

static struct source_audit
audit(unsigned int permille)
{
	struct source_disk source = { .socket_path = fixture.socket,
		.target = "vda",
		.incremental = true,
		.base_size_bytes = SIZE_BYTES };
	struct source_audit out;
	struct err err = ERR_INIT;

	base.last = UINT64_MAX;
	if (source_audit(&source, permille, is_same, NULL, NULL, &out, &err) ==
	    -1)
		fail_msg("%s", err.text);
	return out;
}

/* 40 MiB: the first 16 blocks are dirty. */
static void
make_base(void)
{
	memset(&base, 0, sizeof(base));
	memset(base.value, 1, 20 * MIB / BLOCK);
	nbd_fixture_io(&fixture, "write -P 1 0 20M");
	nbd_fixture_bitmap(&fixture, "backup-vda");
	nbd_fixture_io(&fixture, "write -P 2 0 1M");
}

static void
test_source_audit_reads_clean_blocks_by_chance(void **state)
{
	struct source_audit a;
	unsigned int i, blocks = SIZE_BYTES / BLOCK + 1, rounds, seen = 0;

	(void)state;
	make_base();
	nbd_fixture_serve(&fixture, "backup-vda", false);
	for (rounds = 0; rounds < 30; rounds++) {
		a = audit(SOURCE_AUDIT_AUTO);
		assert_int_equal(a.audited_blocks, 16);
		assert_int_equal(a.missed_blocks, 0);
	}
	for (i = 0; i < blocks; i++) {
		seen += base.asked[i] > 0;
		if (i < 16)
			assert_int_equal(base.asked[i], 0);
	}
	/* 480 draws of 625: half of them at least are different, in all
	 * parts of the disk. */
	assert_true(seen > 240);
	/* All there are, each once, the last one cut. */
	memset(base.asked, 0, sizeof(base.asked));
	a = audit(1000);
	assert_int_equal(a.audited_blocks, blocks - 16);
	assert_int_equal(a.missed_blocks, 0);
	for (i = 16; i < blocks; i++)
		assert_int_equal(base.asked[i], 1);
	assert_int_equal(audit(100).audited_blocks, (blocks - 16) / 10);
}

/* A bitmap that lies: written to without a record, data and what were
 * zeros. */
static void
test_source_audit_finds_a_bitmap_that_lies(void **state)
{
	struct source_audit a;

	(void)state;
	make_base();
	base.value[100] = 7;
	base.value[600] = 7;
	nbd_fixture_serve(&fixture, "backup-vda", false);
	a = audit(1000);
	assert_int_equal(a.missed_blocks, 2);
	assert_int_equal(a.first_missed, 100);
}

static void
test_source_audit_of_a_dirty_disk_is_empty(void **state)
{
	(void)state;
	memset(&base, 0, sizeof(base));
	nbd_fixture_bitmap(&fixture, "backup-vda");
	nbd_fixture_io(&fixture, "write -P 2 0 41947136");
	nbd_fixture_serve(&fixture, "backup-vda", false);
	assert_int_equal(audit(SOURCE_AUDIT_AUTO).audited_blocks, 0);
}

static void
test_source_audit_ends_when_tick_says_so(void **state)
{
	struct source_disk source = { .socket_path = fixture.socket,
		.target = "vda",
		.incremental = true,
		.base_size_bytes = SIZE_BYTES };
	struct source_audit out;
	struct err err = ERR_INIT;
	uint64_t size;
	struct refusal full = full_at_third;

	(void)state;
	make_base();
	nbd_fixture_serve(&fixture, "backup-vda", false);
	assert_int_equal(source_size(&source, &size, &err), 0);
	kill(fixture.server, SIGSTOP);
	assert_int_equal(
	    source_audit(&source, 1, is_same, refuse, &full, &out, &err), -1);
	assert_string_equal(err.text, "scratch is full");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_source_full_copies_data_and_zeros, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_waits_when_the_store_has_no_buffer, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_incremental_copies_what_is_dirty, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_incremental_reads_all_beyond_the_base, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_incremental_needs_the_bitmap, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_keeps_to_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_stops_while_the_limit_holds_it, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_fails_when_the_server_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_ends_when_tick_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_passes_the_store_failure_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_incremental_reads_what_is_asked_for, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_audit_reads_clean_blocks_by_chance, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_audit_finds_a_bitmap_that_lies, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_audit_of_a_dirty_disk_is_empty, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_source_audit_ends_when_tick_says_so, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
