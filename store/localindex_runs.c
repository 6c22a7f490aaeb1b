/* SPDX-License-Identifier: Apache-2.0 */
/* Which runs a local index has: in its tables, in memory, in its folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "store/checksum.h"
#include "store/localindex_internal.h"

#define RUN_PREFIX "run-"
#define RUN_NAME_SIZE 32
#define DAMAGED "damaged"
#define BROKEN "broken"
#define SEALED "sealed"

static const char runs_name[] = "runs";

static MDB_val
text_val(const char *text)
{
	return (MDB_val){ .mv_size = strlen(text),
		.mv_data = (void *)(uintptr_t)text };
}

/* ---- in the tables ---- */

uint64_t
localindex_counter(struct localindex *li, MDB_txn *txn, const char *name)
{
	MDB_val key = text_val(name), value;

	if (mdb_get(txn, li->meta, &key, &value) != 0 || value.mv_size != 8)
		return 0;
	return be64_get(value.mv_data);
}

int
localindex_counter_put(
    struct localindex *li, MDB_txn *txn, const char *name, uint64_t number)
{
	MDB_val key = text_val(name), value;
	uint8_t bytes[8];

	be64_put(bytes, number);
	value = (MDB_val){ .mv_size = sizeof(bytes), .mv_data = bytes };
	return mdb_put(txn, li->meta, &key, &value, 0);
}

int
localindex_runs_list(uint64_t numbers[LOCALINDEX_RUNS_MAX], unsigned int *count,
    struct localindex *li, MDB_txn *txn)
{
	MDB_val key = text_val(runs_name), value;
	int code = mdb_get(txn, li->meta, &key, &value);
	unsigned int i;

	*count = 0;
	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0)
		return code;
	if (value.mv_size % 8 != 0 || value.mv_size / 8 > LOCALINDEX_RUNS_MAX)
		return MDB_CORRUPTED;
	*count = (unsigned int)(value.mv_size / 8);
	for (i = 0; i < *count; i++)
		numbers[i] = be64_get((const uint8_t *)value.mv_data + 8 * i);
	return 0;
}

int
localindex_runs_set(struct localindex *li, MDB_txn *txn,
    const uint64_t *numbers, unsigned int count)
{
	uint8_t bytes[8 * LOCALINDEX_RUNS_MAX];
	MDB_val key = text_val(runs_name);
	MDB_val value = { .mv_size = (size_t)count * 8, .mv_data = bytes };
	unsigned int i;

	for (i = 0; i < count; i++)
		be64_put(bytes + 8 * i, numbers[i]);
	return mdb_put(txn, li->meta, &key, &value, 0);
}

/* ---- in the folder ---- */

char *
localindex_run_path(const struct localindex *li, uint64_t number)
{
	char name[RUN_NAME_SIZE];

	snprintf(name, sizeof(name), RUN_PREFIX "%" PRIu64, number);
	return io_path(li->dir, name);
}

static bool
is_among(uint64_t number, const uint64_t *numbers, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

void
localindex_runs_sweep(struct localindex *li, uint64_t below,
    const uint64_t *keep, unsigned int count)
{
	const size_t prefix = strlen(RUN_PREFIX);
	DIR *dir = opendir(li->dir);
	struct dirent *e;
	uint64_t number;
	char *end;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, RUN_PREFIX, prefix) != 0)
			continue;
		number = strtoull(e->d_name + prefix, &end, 10);
		if (*end == '\0' && number < below &&
		    !is_among(number, keep, count))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir != NULL)
		closedir(dir);
}

/* ---- damage ---- */

bool
localindex_row_get(
    uint8_t entry[RUN_ENTRY_BYTES], const MDB_val *key, const MDB_val *value)
{
	uint8_t bytes[LOCALINDEX_BLOB_VALUE_BYTES];

	if (key->mv_size != RUN_KEY_BYTES || value->mv_size != sizeof(bytes))
		return false;
	memcpy(entry, key->mv_data, RUN_KEY_BYTES);
	memcpy(entry + RUN_KEY_BYTES, value->mv_data,
	    RUN_ENTRY_BYTES - RUN_KEY_BYTES);
	localindex_row_put(bytes, entry);
	return memcmp(bytes, value->mv_data, sizeof(bytes)) == 0;
}

void
localindex_row_put(uint8_t value[LOCALINDEX_BLOB_VALUE_BYTES],
    const uint8_t entry[RUN_ENTRY_BYTES])
{
	const size_t rest = RUN_ENTRY_BYTES - RUN_KEY_BYTES;

	memcpy(value, entry + RUN_KEY_BYTES, rest);
	be32_put(value + rest, (uint32_t)checksum_of(entry, RUN_ENTRY_BYTES));
}

/* True if it is the first to be. */
static bool
make_sign(const struct localindex *li, const char *name)
{
	char *path = io_path(li->dir, name);
	int fd;

	if (path == NULL)
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd != -1)
		close(fd);
	free(path);
	return fd != -1;
}

static bool
has_sign(const struct localindex *li, const char *name)
{
	char *path = io_path(li->dir, name);
	bool there = path != NULL && access(path, F_OK) == 0;

	free(path);
	return there;
}

void
localindex_note_damage(struct localindex *li, const char *what)
{
	if (make_sign(li, DAMAGED))
		log_line(LOG_WARNING,
		    "local index '%s': %s; it will be read anew", li->dir,
		    what);
}

bool
localindex_damaged(struct localindex *li)
{
	return has_sign(li, DAMAGED);
}

void
localindex_note_broken(struct localindex *li)
{
	make_sign(li, BROKEN);
}

bool
localindex_broken(const struct localindex *li)
{
	return has_sign(li, BROKEN);
}

void
localindex_note_key(struct localindex *li)
{
	make_sign(li, SEALED);
}

bool
localindex_key_known(const struct localindex *li)
{
	return has_sign(li, SEALED);
}

void
localindex_forget_damage(struct localindex *li)
{
	char *path = io_path(li->dir, DAMAGED);

	if (path != NULL)
		unlink(path);
	free(path);
}

/* ---- in memory ---- */

static void
set_free(struct run_set *set)
{
	unsigned int i;

	for (i = 0; i < set->count; i++)
		localindex_run_close(set->run[i]);
	free(set);
}

static int
set_open(struct run_set **out, struct localindex *li, const uint64_t *numbers,
    unsigned int count, bool current)
{
	struct run_set *set = calloc(1, sizeof(*set));
	int code = 0;
	char *path;

	if (set == NULL)
		return ENOMEM;
	set->users = 1; /* The index itself. */
	while (code == 0 && set->count < count) {
		set->number[set->count] = numbers[set->count];
		if ((path = localindex_run_path(li, numbers[set->count])) ==
		    NULL) {
			code = ENOMEM;
			break;
		}
		code = localindex_run_open(&set->run[set->count], path);
		free(path);
		if (code == MDB_CORRUPTED || (code == ENOENT && current)) {
			localindex_note_damage(
			    li, "a file of it is damaged or missing");
			code = 0;
		}
		set->count++;
	}
	if (code != 0)
		set_free(set);
	else
		*out = set;
	return code;
}

static void
drop_user(struct run_set *set)
{
	if (set != NULL && --set->users == 0)
		set_free(set);
}

int
localindex_runs_get(
    struct run_set **out, struct localindex *li, MDB_txn *txn, bool current)
{
	uint64_t numbers[LOCALINDEX_RUNS_MAX];
	struct run_set *set;
	unsigned int count;
	int code = localindex_runs_list(numbers, &count, li, txn);

	if (code != 0)
		return code;
	pthread_mutex_lock(&li->runs_lock);
	set = li->runs;
	if (set == NULL || set->count != count ||
	    memcmp(set->number, numbers, count * sizeof(*numbers)) != 0) {
		code = set_open(&set, li, numbers, count, current);
		if (code == 0) {
			drop_user(li->runs);
			li->runs = set;
		}
	}
	if (code == 0) {
		set->users++;
		*out = set;
	}
	pthread_mutex_unlock(&li->runs_lock);
	return code;
}

void
localindex_runs_put(struct localindex *li, struct run_set *set)
{
	pthread_mutex_lock(&li->runs_lock);
	drop_user(set);
	pthread_mutex_unlock(&li->runs_lock);
}
