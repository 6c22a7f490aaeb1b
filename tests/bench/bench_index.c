/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local index by itself, with simulated blocks:
 *     bench_index DIR BLOCKS [LOOKUPS [add|load]]
 * fills the index in DIR up to BLOCKS, index object by index object as sessions
 * do (add) or many at once as a rebuild does (load), then looks up known and
 * unknown blocks as a backup does; one that is there is only looked at.  Prints
 * rates, bytes and the largest resident memory.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/err.h"
#include "store/checksum.h"
#include "store/localindex.h"

/* About what 32 MiB hold of blocks that compress by half. */
#define PACK_BLOBS 1024u
#define FRAME_BLOBS 16u
#define SET_PACKS 32u
#define SET_BLOBS ((uint64_t)SET_PACKS * PACK_BLOBS)
#define VIEW_LOOKUPS 16u

struct peak {
	uint64_t anon_kib, file_kib, sum_kib;
};

static void
name_of(uint8_t hash[DIGEST_BYTES], uint64_t number)
{
	uint64_t in[2] = { number, 0 }, x;

	for (in[1] = 0; in[1] < DIGEST_BYTES / 8; in[1]++) {
		x = checksum_of(in, sizeof(in));
		memcpy(hash + 8 * in[1], &x, sizeof(x));
	}
}

static uint64_t
status_kib(const char *text, const char *field)
{
	const char *at = strstr(text, field);

	return at == NULL ? 0 : strtoull(at + strlen(field), NULL, 10);
}

/* What is mapped of files counts as well. */
static void
sample(struct peak *p)
{
	char text[4096];
	uint64_t anon, file;
	size_t n;
	FILE *f = fopen("/proc/self/status", "re");

	if (f == NULL)
		return;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	anon = status_kib(text, "RssAnon:");
	file = status_kib(text, "RssFile:");
	if (anon > p->anon_kib)
		p->anon_kib = anon;
	if (file > p->file_kib)
		p->file_kib = file;
	if (anon + file > p->sum_kib)
		p->sum_kib = anon + file;
}

static uint64_t
disk_bytes(const char *dir)
{
	char path[4096];
	struct dirent *e;
	struct stat st;
	uint64_t sum = 0;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_blocks * 512;
	}
	if (d != NULL)
		closedir(d);
	return sum;
}

static int
make_tables(struct index_set *set)
{
	struct pack_table *t;
	unsigned int i;

	for (set->count = 0; set->count < SET_PACKS; set->count++) {
		t = &set->packs[set->count].table;
		t->frame_count = PACK_BLOBS / FRAME_BLOBS;
		t->blob_count = PACK_BLOBS;
		t->frames = calloc(t->frame_count, sizeof(*t->frames));
		t->blobs = calloc(t->blob_count, sizeof(*t->blobs));
		if (t->frames == NULL || t->blobs == NULL)
			return -1;
		for (i = 0; i < t->frame_count; i++)
			t->frames[i] = (struct pack_frame){
				.offset = 48 + i * 524288,
				.stored_size = 524288,
				.raw_size = FRAME_RAW_MAX,
				.coding = 1,
				.first_blob = i * FRAME_BLOBS,
				.blob_count = FRAME_BLOBS,
			};
	}
	return 0;
}

/* The blocks from `first` on; ids follow from the number, too. */
static void
fill(struct index_set *set, uint64_t first)
{
	struct pack_blob *b;
	uint64_t pack;
	unsigned int i, k;

	for (i = 0; i < set->count; i++) {
		pack = first / PACK_BLOBS;
		pack = checksum_of(&pack, sizeof(pack));
		memcpy(set->packs[i].id, &pack, sizeof(pack));
		for (k = 0; k < PACK_BLOBS; k++) {
			b = &set->packs[i].table.blobs[k];
			b->type = BLOB_DATA;
			b->offset = k % FRAME_BLOBS * STORE_BLOCK_BYTES;
			b->size = STORE_BLOCK_BYTES;
			name_of(b->hash, first++);
		}
	}
}

static void
report(const char *dir, uint64_t blocks, uint64_t added, uint64_t ns,
    const struct peak *p)
{
	uint64_t bytes = disk_bytes(dir);

	printf("%-8s blocks %" PRIu64 "  %.0f/s  disk %.1f B/block  "
	       "peak anon %" PRIu64 " file %" PRIu64 " sum %" PRIu64 " MiB\n",
	    "build", blocks, (double)added * 1e9 / (double)(ns + 1),
	    (double)bytes / (double)blocks, p->anon_kib / 1024,
	    p->file_kib / 1024, p->sum_kib / 1024);
	fflush(stdout);
}

static int
build(struct localindex *li, struct localindex_load *load, const char *dir,
    uint64_t blocks, struct peak *p, struct err *err)
{
	struct index_set *set = calloc(1, sizeof(*set));
	uint64_t at, ns = 0, before, told = 0, next = SET_BLOBS * 32;
	uint8_t id[OBJECT_ID_BYTES] = { 0 };
	int rc = -1;

	if (set == NULL || make_tables(set) == -1) {
		err_no_memory(err);
		goto out;
	}
	for (at = 0; at < blocks; at += SET_BLOBS) {
		fill(set, at);
		memcpy(id, &at, sizeof(at));
		before = clock_monotonic_ns();
		if (load == NULL)
			rc =
			    localindex_add(li, id, set->packs, set->count, err);
		else
			rc = localindex_load_add(
			    load, id, set->packs, set->count, err);
		if (rc == 0 && load != NULL && at + SET_BLOBS >= blocks)
			rc = localindex_load_end(load, err);
		if (rc == -1)
			goto out;
		ns += clock_monotonic_ns() - before;
		sample(p);
		if (at + SET_BLOBS >= next || at + SET_BLOBS >= blocks) {
			report(
			    dir, at + SET_BLOBS, at + SET_BLOBS - told, ns, p);
			told = at + SET_BLOBS;
			ns = 0;
			next *= 2;
		}
	}
	rc = 0;
out:
	index_set_free(set);
	return rc;
}

/* Anywhere among the known, or none of them. */
static int
look_up(struct localindex *li, uint64_t blocks, uint64_t count, bool known,
    struct peak *p, struct err *err)
{
	uint8_t hash[VIEW_LOOKUPS][DIGEST_BYTES];
	uint64_t done, n, ns = 0, before, found = 0;
	struct localindex_view v;
	struct blob_place place;
	unsigned int i, notes;
	int rc = 0;

	for (done = 0; rc != -1 && done < count; done += VIEW_LOOKUPS) {
		for (i = 0; i < VIEW_LOOKUPS; i++) {
			n = done + i;
			n = checksum_of(&n, sizeof(n)) % blocks;
			name_of(hash[i], known ? n : n + (UINT64_C(1) << 62));
		}
		before = clock_monotonic_ns();
		if (localindex_view_begin(&v, li, err) == -1)
			return -1;
		for (i = 0; rc != -1 && i < VIEW_LOOKUPS; i++) {
			rc = localindex_view_find(
			    &v, BLOB_DATA, hash[i], &place, &notes, err);
			found += rc == 1;
		}
		localindex_view_end(&v);
		ns += clock_monotonic_ns() - before;
		if (done % (VIEW_LOOKUPS * 256) == 0)
			sample(p);
	}
	sample(p);
	printf("%-8s lookups %" PRIu64 "  found %" PRIu64 "  %.0f/s  peak anon "
	       "%" PRIu64 " file %" PRIu64 " sum %" PRIu64 " MiB\n",
	    known ? "known" : "unknown", count, found,
	    (double)count * 1e9 / (double)(ns + 1), p->anon_kib / 1024,
	    p->file_kib / 1024, p->sum_kib / 1024);
	fflush(stdout);
	if (rc != -1 && found != (known ? done : 0))
		return err_set(err, ERR_BUG, "the index answers wrongly");
	return rc == -1 ? -1 : 0;
}

int
main(int argc, char **argv)
{
	struct peak building = { 0 }, looking = { 0 };
	struct localindex_load *load = NULL;
	struct localindex *li = NULL;
	struct err err = ERR_INIT;
	uint64_t blocks, lookups;
	struct stat st;
	char marker[4096];
	int rc;

	if (argc < 3) {
		fprintf(stderr, "usage: bench_index DIR BLOCKS "
				"[LOOKUPS [add|load]]\n");
		return 2;
	}
	blocks = (strtoull(argv[2], NULL, 10) + SET_BLOBS - 1) / SET_BLOBS *
		 SET_BLOBS;
	lookups = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
	/* One that is there is only looked at. */
	snprintf(marker, sizeof(marker), "%s/data.mdb", argv[1]);
	rc = stat(marker, &st);
	if (blocks == 0 ||
	    localindex_open(&li, argv[1], LOCALINDEX_PLAIN, &err) == -1 ||
	    (argc > 4 && strcmp(argv[4], "load") == 0 &&
		localindex_load_new(&load, li, &err) == -1) ||
	    (rc == -1 &&
		build(li, load, argv[1], blocks, &building, &err) == -1) ||
	    look_up(li, blocks, lookups, true, &looking, &err) == -1 ||
	    look_up(li, blocks, lookups, false, &looking, &err) == -1) {
		fprintf(stderr, "bench_index: %s\n", err.text);
		rc = 1;
	} else {
		rc = 0;
	}
	localindex_load_free(load);
	localindex_close(li);
	return rc;
}
