/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that hold secrets, and the key file: one line, 32 random bytes.
 *
 * Who else may read such a file is decided as ssh does, and a little harder:
 * nobody else may, but the reader may be in the file's group if the file is
 * another user's (root:backup 0640); the group may never write, others may
 * never do anything.
 */
#ifndef HOLDSTILL_STORE_SEAL_KEYFILE_H
#define HOLDSTILL_STORE_SEAL_KEYFILE_H

#include <stddef.h>
#include <stdint.h>

#define KEYFILE_SECRET_BYTES 32

struct err;

/*
 * Reads a whole small file that nobody else may read into out, with a NUL
 * behind it; *out_size is without that.  A pipe serves, too.  ERR_AUTH: its
 * permissions are too wide.  ERR_ARG: not a file, or larger than size - 1.
 * The caller wipes out.
 */
int keyfile_load(char *out, size_t size, size_t *out_size, const char *path,
    struct err *err);

/* Writes a new small file, mode 0600, durably; one that is there is
 * ERR_EXISTS and stays. */
int keyfile_store(
    const char *path, const char *text, size_t size, struct err *err);

/* ERR_CORRUPT: it is no key file, or was changed.  The caller wipes. */
int keyfile_read(
    uint8_t out[KEYFILE_SECRET_BYTES], const char *path, struct err *err);
/* Makes a new one with random bytes, mode 0600; one that is there is
 * ERR_EXISTS and stays. */
int keyfile_make(
    uint8_t out[KEYFILE_SECRET_BYTES], const char *path, struct err *err);

#endif
