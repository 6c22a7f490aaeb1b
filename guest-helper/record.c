/* SPDX-License-Identifier: Apache-2.0 */
/* What is about to be frozen, for a successor. */
#include "guest-helper/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "guest-helper/expedite.h"
#include "guest-helper/freeze_linux.h"

#define RECORD_MAX_BYTES (4 * 1024 * 1024)

static const char expedited_word[] = "expedited";

int
record_open_dir(const char *dir)
{
	struct err err = ERR_INIT;
	int fd = -1;

	if (io_make_dirs(dir, 0700, &err) == 0) {
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			err_errno(&err, errno, "cannot open '%s'", dir);
	}
	if (fd == -1)
		log_line(LOG_WARNING, "no record of freezes: %s", err.text);
	return fd;
}

/* The boot id, "expedited" if it is so, then "MAJOR:MINOR" of each, all with a
 * NUL behind them.  No mount points: another mount may cover one, and one of
 * another namespace is nothing that could be opened. */
int
record_write(const char *dir, const char *boot_id, const struct mounts *m,
    bool expedited, struct err *err)
{
	char *path = io_path(dir, RECORD_NAME), *text = NULL;
	size_t size = 0, i;
	FILE *stream = open_memstream(&text, &size);
	int rc = -1;

	if (path == NULL || stream == NULL) {
		err_no_memory(err);
		goto out;
	}
	fprintf(stream, "%s%c", boot_id, 0);
	if (expedited)
		fprintf(stream, "%s%c", expedited_word, 0);
	for (i = 0; i < m->count; i++)
		if (m->items[i].fd != -1)
			fprintf(stream, "%u:%u%c", m->items[i].major,
			    m->items[i].minor, 0);
	rc = fclose(stream) == 0 ? 0 : err_no_memory(err);
	stream = NULL;
	if (rc == 0)
		rc = io_replace_file(path, text, size, 0600, err);
out:
	if (stream != NULL)
		fclose(stream);
	free(text);
	free(path);
	return rc;
}

void
record_boot_id(char *out, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	*out = '\0';
	if (file == NULL)
		return;
	if (fgets(out, (int)size, file) == NULL)
		*out = '\0';
	out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

/* Through whichever mount of it can be reached, in any namespace. */
static unsigned int
thaw_number(const char *number, const struct mounts_paths *paths)
{
	struct mounts_filesystem fs = { .fd = -1, .state = MESSAGE_FS_PLANNED };
	struct mounts one = { .items = &fs, .count = 1 };
	unsigned int thawed = 0;

	if (sscanf(number, "%u:%u", &fs.major, &fs.minor) != 2)
		return 0;
	mounts_open(&one, paths);
	if (fs.fd != -1 && freeze_thaw(fs.fd) == 0)
		thawed = 1;
	mounts_close(&one);
	return thawed;
}

static void
undo_expedited(const char *path)
{
	struct expedite e = { .begun = true };

	e.fd = open(path, O_WRONLY | O_CLOEXEC);
	if (e.fd == -1)
		return;
	expedite_end(&e);
	expedite_close(&e);
}

/* Its log may end on one of them: nothing is logged before all are thawed. */
static unsigned int
thaw_all(const char *text, size_t size, const char *expedite_path,
    const struct mounts_paths *paths)
{
	unsigned int thawed = 0;
	const char *p;

	for (p = text + strlen(text) + 1; p < text + size; p += strlen(p) + 1) {
		if (strcmp(p, expedited_word) == 0)
			undo_expedited(expedite_path);
		else
			thawed += thaw_number(p, paths);
	}
	if (thawed > 0)
		log_line(LOG_WARNING,
		    "thawed %u file systems that a predecessor left frozen",
		    thawed);
	return thawed;
}

unsigned int
record_thaw_leftovers(const char *dir, const char *expedite_path,
    const struct mounts_paths *paths)
{
	char *path = io_path(dir, RECORD_NAME), *text = NULL;
	char boot_id[MESSAGE_NAME_SIZE];
	struct err err = ERR_INIT;
	unsigned int thawed = 0;
	size_t size = 0;

	if (path == NULL)
		return 0;
	if (io_read_file(&text, &size, path, RECORD_MAX_BYTES, &err) == -1)
		goto out;
	record_boot_id(boot_id, sizeof(boot_id));
	if (strcmp(text, boot_id) == 0)
		thawed = thaw_all(text, size, expedite_path, paths);
	unlink(path);
out:
	free(text);
	free(path);
	return thawed;
}

void
record_remove(const char *dir)
{
	char *path = io_path(dir, RECORD_NAME);

	if (path != NULL)
		unlink(path);
	free(path);
}
