/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes repositories for test_reader.py, each in a folder of its own: repo with
 * three points, in points each disk as it was, called ID-TARGET, and the key
 * file of a sealed one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "store/seal/slot.h"
#include "tests/unit/store_rig.h"

#define DISKS 3
#define BLOCK STORE_BLOCK_BYTES

/* vda: data and zeros, ends inside a block; vdb: its map has three levels,
 * most of it zeros; vdc: nothing. */
static void
first(struct image im[DISKS])
{
	image_init(&im[0], 70 * BLOCK + 3);
	image_fill(&im[0], 0, 30 * BLOCK, 1, true);
	image_fill(&im[0], 40 * BLOCK, 10 * BLOCK, 2, false);
	image_fill(&im[0], 69 * BLOCK, BLOCK + 3, 3, true);
	image_init(&im[1], 4097 * BLOCK);
	image_fill(&im[1], 100 * BLOCK, 3 * BLOCK, 4, false);
	image_fill(&im[1], 4096 * BLOCK, BLOCK, 5, true);
	image_init(&im[2], 5 * BLOCK);
}

/* A guest that writes a map piece to its disk has a data block and no more. */
static void
change(struct image im[DISKS], unsigned int turn)
{
	image_fill(&im[0], turn * 7 * BLOCK, BLOCK / 2, 10 + turn, true);
	image_fill(&im[1], turn * 900 * BLOCK, BLOCK, 20 + turn, false);
	memset(im[0].bytes + 45 * BLOCK, 0, turn * BLOCK);
	memcpy(im[2].bytes, "HSM1", 4);
	im[2].bytes[turn * BLOCK] = 1;
}

/* Sparse: vdb is large. */
static void
keep(const char *folder, const struct manifest *m, const struct image *im,
    unsigned int disk)
{
	char path[512];
	uint64_t at, size;
	int fd;

	snprintf(path, sizeof(path), "%.300s/points/%s-%s", folder, m->id,
	    m->disks[disk].target);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)im->size), 0);
	for (at = 0; at < im->size; at += size) {
		size = im->size - at < BLOCK ? im->size - at : BLOCK;
		if (im->bytes[at] == 0 &&
		    memcmp(im->bytes + at, im->bytes + at + 1, size - 1) == 0)
			continue;
		assert_int_equal(
		    pwrite(fd, im->bytes + at, size, (off_t)at), size);
	}
	assert_int_equal(close(fd), 0);
}

/* A host of the repository, where it is of mode public. */
static struct store *
open_host(struct rig *rig, const char *folder)
{
	char path[300], id[HEXID_SIZE];
	struct slot_secret secret = { SLOT_HOST, path, 1 };
	struct err err = ERR_INIT;
	struct store *s;

	snprintf(path, sizeof(path), "%.250s/host", folder);
	assert_int_equal(store_key_host(rig->store, id, path, &err), 0);
	assert_int_equal(rig_open_with(rig, &s, rig->cache, &secret, &err), 0);
	return s;
}

static void
history(struct store *s, const char *folder)
{
	struct manifest *m, *parent = NULL;
	struct image im[DISKS], base[DISKS];
	struct err err = ERR_INIT;
	unsigned int turn, i;

	first(im);
	for (turn = 0; turn < 3; turn++) {
		for (i = 0; turn > 0 && i < DISKS; i++)
			image_copy(&base[i], &im[i]);
		if (turn > 0)
			change(im, turn);
		if (rig_backup_disks(s, &m, im, DISKS, parent,
			turn > 0 ? base : NULL, &err) == -1)
			fail_msg("backup: %s", err.text);
		for (i = 0; i < DISKS; i++) {
			keep(folder, m, &im[i], i);
			if (turn > 0)
				image_fini(&base[i]);
		}
		manifest_free(parent);
		parent = m;
	}
	manifest_free(parent);
	for (i = 0; i < DISKS; i++)
		image_fini(&im[i]);
}

/* What hsread.py --key-file reads. */
static void
keep_key(const char *folder)
{
	char path[300], hex[2 * SLOT_SECRET_BYTES + 1];
	FILE *f;

	snprintf(path, sizeof(path), "%.250s/key", folder);
	hex_encode(hex, rig_key.bytes, rig_key.size);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "holdstill-key-1 %s\n", hex);
	assert_int_equal(fclose(f), 0);
}

/* One repository in a folder of its own; cipher NULL: plain. */
static void
one(const char *parent, const char *name, const char *cipher, bool host)
{
	char folder[256], points[300];
	struct store *s;
	struct rig rig;

	snprintf(folder, sizeof(folder), "%.150s/%s", parent, name);
	snprintf(points, sizeof(points), "%s/points", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkdir(points, 0700), 0);
	if (cipher != NULL) {
		setenv(RIG_SEAL, cipher, 1);
		keep_key(folder);
	}
	if (host)
		rig_init_public_in(&rig, folder);
	else
		rig_init_in(&rig, folder);
	s = host ? open_host(&rig, folder) : NULL;
	history(host ? s : rig.store, folder);
	/* Not rig_fini(), which takes it all away. */
	store_close(s);
	store_close(rig.store);
	wrap_fault_fini(&rig.fault);
}

int
main(int argc, char **argv)
{
	if (argc != 2 || strlen(argv[1]) > 150)
		return 2;
	unsetenv(RIG_SEAL);
	one(argv[1], "none", NULL, false);
	one(argv[1], "secret", "aes-256-gcm", false);
	one(argv[1], "secret-chacha", "chacha20-poly1305", false);
	one(argv[1], "public", "aes-256-gcm", true);
	return 0;
}
