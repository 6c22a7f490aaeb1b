/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds the files of a folder to a fuzz entry: the corpus as a plain test. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/io.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX_BYTES ((size_t)16 * 1024 * 1024)

static int
replay_file(const char *path)
{
	struct err err = ERR_INIT;
	char *bytes;
	size_t size;

	if (io_read_file(&bytes, &size, path, INPUT_MAX_BYTES, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)bytes, size);
	free(bytes);
	return 0;
}

int
main(int argc, char **argv)
{
	struct dirent *entry;
	unsigned int count = 0;
	char *path;
	DIR *dir;

	if (argc != 2 || (dir = opendir(argv[1])) == NULL) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		path = io_path(argv[1], entry->d_name);
		if (path == NULL || replay_file(path) == -1)
			return 1;
		free(path);
		count++;
	}
	closedir(dir);
	printf("%u inputs\n", count);
	/* A corpus that is not found must not pass. */
	return count > 0 ? 0 : 1;
}
