/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes repositories for test_reader.py: DIR/none/repo with three points, and
 * in DIR/none/points each disk as it was, called ID-TARGET.
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
#include "common/io.h"
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

static void
history(struct rig *rig, const char *folder)
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
		if (rig_backup_disks(rig->store, &m, im, DISKS, parent,
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

int
main(int argc, char **argv)
{
	char folder[256], points[300];
	struct rig rig;

	if (argc != 2 || strlen(argv[1]) > 150)
		return 2;
	snprintf(folder, sizeof(folder), "%s/none", argv[1]);
	snprintf(points, sizeof(points), "%s/points", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkdir(points, 0700), 0);
	rig_init_in(&rig, folder);
	history(&rig, folder);
	/* Not rig_fini(), which takes it all away. */
	store_close(rig.store);
	wrap_fault_fini(&rig.fault);
	return 0;
}
