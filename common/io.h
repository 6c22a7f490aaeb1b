/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File work that every layer needs: whole reads and writes, durable
 * replacement of a small file, folders made and removed.  Thread-safe.
 */
#ifndef HOLDSTILL_COMMON_IO_H
#define HOLDSTILL_COMMON_IO_H

#include <stddef.h>
#include <stdint.h>

struct err;

/* Writes all of buf, through short writes and EINTR.  0 or -1 with errno. */
int io_write_full(int fd, const void *buf, size_t size);
int io_pwrite_full(int fd, const void *buf, size_t size, uint64_t offset);

/* Reads up to size bytes until end of file; returns the count or -1. */
int64_t io_read_full(int fd, void *buf, size_t size);
int64_t io_pread_full(int fd, void *buf, size_t size, uint64_t offset);

/* Makes a folder with mode, missing parents with 0755, all durably; an
 * existing one is fine. */
int io_make_dirs(const char *path, unsigned int mode, struct err *err);

/* fsyncs the folder itself, so that names in it are durable. */
int io_sync_dir(const char *path, struct err *err);

/* Replaces path by the bytes, durably or not at all (temporary + rename). */
int io_replace_file(const char *path, const void *buf, size_t size,
    unsigned int mode, struct err *err);

/*
 * Reads a whole file of at most max bytes into *out (malloc, one NUL behind
 * the last byte, caller frees); a larger one is ERR_ARG.
 */
int io_read_file(char **out, size_t *out_size, const char *path, size_t max,
    struct err *err);

/* Removes a folder with all that is in it; an absent one is fine. */
int io_remove_tree(const char *path, struct err *err);

/* "DIR/NAME" in new memory, or NULL. */
char *io_path(const char *dir, const char *name);

#endif
