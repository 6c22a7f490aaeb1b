/* SPDX-License-Identifier: Apache-2.0 */
/* Files with secrets: who may read them, and how they are read. */
#include "store/seal/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "store/seal/secret.h"

static const char title[] = "holdstill-key-1 ";
#define HEX_LENGTH ((size_t)2 * KEYFILE_SECRET_BYTES)
#define TEXT_SIZE (sizeof(title) - 1 + HEX_LENGTH + 2)

static int
check_private(const struct stat *st, const char *path, struct err *err)
{
	mode_t refused = S_IRWXO | S_IWGRP | S_IXGRP;

	if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode))
		return err_set(err, ERR_ARG, "'%s' is no file", path);
	if (st->st_uid == geteuid())
		refused |= S_IRGRP;
	if ((st->st_mode & refused) == 0)
		return 0;
	err_set(err, ERR_AUTH, "others may read or change '%s' (mode %04o)",
	    path, (unsigned int)(st->st_mode & 07777));
	return err_hint(err,
	    "chmod 600 '%s', and think of the secret as known if others "
	    "were there",
	    path);
}

int
keyfile_load(
    char *out, size_t size, size_t *out_size, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int64_t n;
	int rc = -1;

	if (fd == -1)
		return err_errno(err, errno, "cannot open '%s'", path);
	if (fstat(fd, &st) == -1) {
		err_errno(err, errno, "cannot stat '%s'", path);
	} else if (check_private(&st, path, err) == 0) {
		if ((n = io_read_full(fd, out, size)) == -1)
			err_errno(err, errno, "cannot read '%s'", path);
		else if ((size_t)n == size)
			err_set(err, ERR_ARG, "'%s' is too large", path);
		else
			rc = 0;
	}
	close(fd);
	if (rc == -1) {
		secret_wipe(out, size);
		return -1;
	}
	out[n] = '\0';
	*out_size = (size_t)n;
	return 0;
}

int
keyfile_read(
    uint8_t out[KEYFILE_SECRET_BYTES], const char *path, struct err *err)
{
	const size_t head = sizeof(title) - 1;
	char text[TEXT_SIZE + 2];
	size_t n;
	int rc = -1;

	if (keyfile_load(text, sizeof(text), &n, path, err) == -1)
		return -1;
	/* An editor may have changed the line's end. */
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		text[--n] = '\0';
	if (n == head + HEX_LENGTH && strncmp(text, title, head) == 0 &&
	    hex_decode(out, KEYFILE_SECRET_BYTES, text + head) == 0)
		rc = 0;
	else
		err_set(err, ERR_CORRUPT, "'%s' is no key file", path);
	secret_wipe(text, sizeof(text));
	return rc;
}

/* A repository may hang on this file alone: its name is durable, too. */
static int
sync_folder(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	int rc;

	if (slash == NULL)
		return io_sync_dir(".", err);
	folder = strndup(path, (size_t)(slash - path) + 1);
	if (folder == NULL)
		return err_no_memory(err);
	rc = io_sync_dir(folder, err);
	free(folder);
	return rc;
}

int
keyfile_store(const char *path, const char *text, size_t size, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = -1;

	if (fd == -1)
		return err_errno(err, errno, "cannot make '%s'", path);
	if (io_write_full(fd, text, size) == -1 || fsync(fd) == -1) {
		err_errno(err, errno, "cannot write '%s'", path);
	} else {
		rc = sync_folder(path, err);
	}
	close(fd);
	if (rc == -1)
		unlink(path);
	return rc;
}

int
keyfile_make(
    uint8_t out[KEYFILE_SECRET_BYTES], const char *path, struct err *err)
{
	char text[TEXT_SIZE], hex[HEX_LENGTH + 1];
	int rc;

	if (hexid_random(out, KEYFILE_SECRET_BYTES, err) == -1)
		return -1;
	hex_encode(hex, out, KEYFILE_SECRET_BYTES);
	snprintf(text, sizeof(text), "%s%s\n", title, hex);
	rc = keyfile_store(path, text, strlen(text), err);
	secret_wipe(text, sizeof(text));
	secret_wipe(hex, sizeof(hex));
	return rc;
}
