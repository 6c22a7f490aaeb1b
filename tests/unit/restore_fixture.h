/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of restore: a reader of a made-up disk in place of the
 * store's, a temporary folder, child programs.
 */
#ifndef HOLDSTILL_TESTS_RESTORE_FIXTURE_H
#define HOLDSTILL_TESTS_RESTORE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/restore/restore.h"
#include "common/err.h"

/* The disk: data in the first 3 of each 8 blocks, and in the cut last one. */
#define FIXTURE_DISK_BYTES (UINT64_C(96) * 1048576 + 4608)

struct fixture {
	char dir[64];
	char temporary[64]; /* TMPDIR. */
	uint64_t size_bytes;
	/* What the reader does otherwise than well. */
	uint64_t corrupt_after_bytes; /* 0: never. */
	bool endless;                 /* Until fn fails. */
	uint64_t told_bytes;          /* Data bytes told; 0: the truth. */
};
extern struct fixture fixture;

/* cmocka's setup and teardown of each case. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Path of name in the folder; two at a time may be in use. */
const char *fixture_path(const char *name);
bool fixture_exists(const char *name);
/* Names in the folder. */
unsigned int fixture_count_files(void);
/* Bytes of data blocks. */
uint64_t fixture_data_bytes(void);

/* restore_disk() of the made-up disk; a NULL tick is fine. */
int fixture_restore(const char *target, enum restore_format format,
    bool overwrite, restore_tick_fn *tick, void *arg, struct err *err);

/* Writes size bytes of 0xff. */
void fixture_fill(const char *path, uint64_t size_bytes);
/* Fails unless the first bytes of path are the disk. */
void fixture_assert_disk(const char *path);
/* Fails unless [from, to) is 0xff still. */
void fixture_assert_untouched(const char *path, uint64_t from, uint64_t to);

/* Runs a shell command; its status. */
int fixture_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A child of pid whose program is named so, 0 if there is none. */
pid_t fixture_find_child(pid_t pid, const char *name);
/* Has pid ended?  Waits for up to 10 s. */
bool fixture_wait_gone(pid_t pid);
/* Nothing in TMPDIR, which is the case's own, and no child of ours. */
void fixture_assert_clean(void);

#endif
