/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scattered 4 KiB writes, the same on each disk that holds the same:
 *     scatter DISK SEED COUNT [DIRTY]
 * COUNT times a piece of 4 KiB is copied from somewhere on DISK (a file or a
 * device) to somewhere else, and turned round, so that it is new and about as
 * compressible as the rest.  DIRTY gets the 64 KiB blocks that were written,
 * one behind the other.  Ends when all is on stable storage.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE 4096
#define BLOCK 65536

static uint64_t state;

static uint64_t
draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
turn_round(uint8_t *piece)
{
	uint8_t swap;
	size_t i;

	for (i = 0; i < PIECE / 2; i++) {
		swap = piece[i];
		piece[i] = piece[PIECE - 1 - i];
		piece[PIECE - 1 - i] = swap;
	}
}

/* Returns where it wrote. */
static uint64_t
copy_one(int disk, uint64_t pieces)
{
	off_t from = (off_t)(draw(pieces) * PIECE);
	off_t to = (off_t)(draw(pieces) * PIECE);
	uint8_t piece[PIECE];

	if (pread(disk, piece, PIECE, from) != PIECE)
		die("read");
	turn_round(piece);
	if (pwrite(disk, piece, PIECE, to) != PIECE)
		die("write");
	return (uint64_t)to;
}

static void
write_dirty(int disk, const char *path, const uint8_t *dirty, uint64_t blocks)
{
	static uint8_t block[BLOCK];
	FILE *out = fopen(path, "w");
	uint64_t i;

	if (out == NULL)
		die(path);
	for (i = 0; i < blocks; i++) {
		if (!dirty[i])
			continue;
		if (pread(disk, block, BLOCK, (off_t)(i * BLOCK)) != BLOCK)
			die("read");
		if (fwrite(block, 1, BLOCK, out) != BLOCK)
			die(path);
	}
	if (fclose(out) == EOF)
		die(path);
}

int
main(int argc, char **argv)
{
	uint64_t size, i, count;
	uint8_t *dirty;
	off_t end;
	int disk;

	if (argc < 4) {
		fprintf(stderr, "usage: scatter DISK SEED COUNT [DIRTY]\n");
		return 2;
	}
	if ((disk = open(argv[1], O_RDWR)) == -1 ||
	    (end = lseek(disk, 0, SEEK_END)) == -1)
		die(argv[1]);
	size = (uint64_t)end / BLOCK * BLOCK;
	state = strtoull(argv[2], NULL, 10) * UINT64_C(0x9e3779b97f4a7c15) + 1;
	count = strtoull(argv[3], NULL, 10);
	if (size == 0 || (dirty = calloc(size / BLOCK, 1)) == NULL)
		die("disk");
	for (i = 0; i < count; i++)
		dirty[copy_one(disk, size / PIECE) / BLOCK] = 1;
	if (fdatasync(disk) == -1)
		die("sync");
	if (argc > 4)
		write_dirty(disk, argv[4], dirty, size / BLOCK);
	free(dirty);
	close(disk);
	return 0;
}
