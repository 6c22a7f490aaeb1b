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

/* The boot id, "expedited" if it is so, then the mount points, each with a
 * NUL behind it: a mount point may hold any other byte, and begins with a
 * slash. */
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
			fprintf(stream, "%s%c", m->items[i].mount_point, 0);
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

static unsigned int
thaw_path(const char *mount_point)
{
	int fd = open(mount_point, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned int thawed = 0;

	if (fd == -1)
		return 0;
	if (freeze_thaw(fd) == 0)
		thawed = 1;
	close(fd);
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
thaw_all(const char *text, size_t size, const char *expedite_path)
{
	unsigned int thawed = 0;
	const char *p;

	for (p = text + strlen(text) + 1; p < text + size; p += strlen(p) + 1) {
		if (strcmp(p, expedited_word) == 0)
			undo_expedited(expedite_path);
		else
			thawed += thaw_path(p);
	}
	if (thawed > 0)
		log_line(LOG_WARNING,
		    "thawed %u file systems that a predecessor left frozen",
		    thawed);
	return thawed;
}

unsigned int
record_thaw_leftovers(const char *dir, const char *expedite_path)
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
		thawed = thaw_all(text, size, expedite_path);
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
