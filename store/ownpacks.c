/* SPDX-License-Identifier: Apache-2.0 */
/* The list of packs that were put from here: kept, and held to be true. */
#include "store/ownpacks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/endian.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "store/checksum.h"
#include "store/grow.h"
#include "store/store_internal.h"
#include "store/unread.h"

/*
 * The file: 8 bytes, the epoch, and an XXH64 of both; then for each pack id,
 * table, whole, and an XXH64 of these.  Of rows that are damaged nothing is
 * known; if the head is, nobody knows what was doomed since.
 */
#define HEAD_BYTES 24
#define ROW_BYTES (OBJECT_ID_BYTES + 2 * DIGEST_BYTES + 8)
#define FILE_MAX ((size_t)1 << 30)

static const uint8_t magic[8] = { 'H', 'S', 'O', 'W', 'N', 'P', 'K', '1' };

struct file {
	char *path, *lock_path;
	int lock; /* -1: not held. */
};

static void
file_close(struct file *f)
{
	if (f->lock != -1)
		close(f->lock);
	free(f->path);
	free(f->lock_path);
}

/* The list itself is replaced: not to be locked. */
static int
file_open(struct file *f, const struct store *s, struct err *err)
{
	f->lock = -1;
	f->path = io_path(s->cache_dir, "own-packs");
	f->lock_path = io_path(s->cache_dir, "own-packs.lock");
	if (f->path == NULL || f->lock_path == NULL)
		return err_no_memory(err);
	if (io_make_dirs(s->cache_dir, 0700, err) == -1)
		return -1;
	f->lock = open(f->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->lock == -1)
		return err_errno(err, errno, "cannot open '%s'", f->lock_path);
	while (flock(f->lock, LOCK_EX) == -1) {
		if (errno != EINTR)
			return err_errno(
			    err, errno, "cannot lock '%s'", f->lock_path);
	}
	return 0;
}

/* ---- rows ---- */

static void
head_put(uint8_t out[HEAD_BYTES], uint64_t epoch)
{
	memcpy(out, magic, sizeof(magic));
	be64_put(out + 8, epoch);
	be64_put(out + 16, checksum_of(out, 16));
}

static void
row_put(uint8_t out[ROW_BYTES], const struct own_pack *pack)
{
	uint8_t *at = out;

	memcpy(at, pack->id, OBJECT_ID_BYTES);
	at += OBJECT_ID_BYTES;
	memcpy(at, pack->table, DIGEST_BYTES);
	at += DIGEST_BYTES;
	memcpy(at, pack->whole, DIGEST_BYTES);
	be64_put(out + ROW_BYTES - 8, checksum_of(out, ROW_BYTES - 8));
}

static bool
row_get(struct own_pack *out, const uint8_t in[ROW_BYTES])
{
	const uint8_t *at = in;

	if (be64_get(in + ROW_BYTES - 8) != checksum_of(in, ROW_BYTES - 8))
		return false;
	memcpy(out->id, at, OBJECT_ID_BYTES);
	at += OBJECT_ID_BYTES;
	memcpy(out->table, at, DIGEST_BYTES);
	at += DIGEST_BYTES;
	memcpy(out->whole, at, DIGEST_BYTES);
	return true;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(((const struct own_pack *)a)->id,
	    ((const struct own_pack *)b)->id, OBJECT_ID_BYTES);
}

static int
add(struct ownpacks *own, const struct own_pack *pack, struct err *err)
{
	struct own_pack *grown =
	    grow_array(own->packs, own->count, &own->capacity, sizeof(*grown));

	if (grown == NULL)
		return err_no_memory(err);
	own->packs = grown;
	own->packs[own->count++] = *pack;
	return 0;
}

static int
parse(struct ownpacks *out, const uint8_t *bytes, size_t size, struct err *err)
{
	struct own_pack pack;
	size_t at;

	out->dated = size >= HEAD_BYTES &&
		     memcmp(bytes, magic, sizeof(magic)) == 0 &&
		     be64_get(bytes + 16) == checksum_of(bytes, 16);
	out->epoch = out->dated ? be64_get(bytes + 8) : 0;
	for (at = HEAD_BYTES; size >= ROW_BYTES && at <= size - ROW_BYTES;
	     at += ROW_BYTES) {
		if (row_get(&pack, bytes + at) && add(out, &pack, err) == -1)
			return -1;
	}
	if (out->count > 1)
		qsort(out->packs, out->count, sizeof(*out->packs), compare);
	return 0;
}

static int
read_file(struct ownpacks *out, const struct file *f, struct err *err)
{
	size_t size;
	char *bytes;
	int rc;

	if (io_read_file(&bytes, &size, f->path, FILE_MAX, err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	rc = parse(out, (const uint8_t *)bytes, size, err);
	free(bytes);
	return rc;
}

static int
write_file(const struct ownpacks *own, const struct file *f, struct err *err)
{
	size_t i, size = HEAD_BYTES + own->count * ROW_BYTES;
	uint8_t *bytes = malloc(size);
	int rc;

	if (bytes == NULL)
		return err_no_memory(err);
	head_put(bytes, own->epoch);
	for (i = 0; i < own->count; i++)
		row_put(bytes + HEAD_BYTES + i * ROW_BYTES, &own->packs[i]);
	rc = io_replace_file(f->path, bytes, size, 0600, err);
	free(bytes);
	return rc;
}

/* ---- what is to be dropped ---- */

static void
drop_doomed(struct ownpacks *own, const struct epoch *e)
{
	const struct epoch_entry *entry;
	size_t i, kept = 0;

	for (i = 0; i < own->count; i++) {
		entry = epoch_find(e, own->packs[i].id);
		if (entry == NULL || !entry->doomed)
			own->packs[kept++] = own->packs[i];
	}
	own->count = kept;
}

/* 1: by all lists since then; 0: they cannot all be read. */
static int
drop_by_lists(struct ownpacks *own, struct store *s, const struct epoch *e,
    struct err *err)
{
	struct epoch between;
	uint64_t n;

	if (!own->dated || own->epoch > e->number ||
	    e->number - own->epoch > EPOCH_ROLLS_KEPT)
		return 0;
	for (n = own->epoch + 1; n < e->number; n++) {
		if (epochs_get(&between, s, n, err) == -1) {
			if (!unread_is_wrong(err))
				return -1;
			err_clear(err);
			return 0;
		}
		drop_doomed(own, &between);
		epoch_fini(&between);
	}
	drop_doomed(own, e);
	return 1;
}

/* 1: it is there, byte for byte; 0: it is not. */
static int
is_as_put(struct store *s, const struct own_pack *pack, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	uint8_t hash[DIGEST_BYTES];
	void *bytes;
	size_t size;
	int rc;

	if (backend_get_all(s->backend, object_key(key, OBJECT_PACK, pack->id),
		BACKEND_OBJECT_MAX, &bytes, &size, err) == -1) {
		if (!unread_is_useless(err))
			return -1;
		err_clear(err);
		return 0;
	}
	rc = digest_once(hash, bytes, size, err);
	free(bytes);
	if (rc == -1 || memcmp(hash, pack->whole, sizeof(hash)) == 0)
		return rc == -1 ? -1 : 1;
	log_line(LOG_WARNING, "'%s' is not what a prune has put there", key);
	return 0;
}

static int
drop_by_bytes(struct ownpacks *own, struct store *s, struct err *err)
{
	size_t i, kept = 0;
	int rc = 0;

	for (i = 0; i < own->count; i++) {
		if (cancel_check(err) == -1 ||
		    (rc = is_as_put(s, &own->packs[i], err)) == -1)
			return -1;
		if (rc == 1)
			own->packs[kept++] = own->packs[i];
	}
	own->count = kept;
	return 0;
}

static int
bring_up(struct ownpacks *own, struct store *s, const struct epoch *e,
    struct err *err)
{
	int rc = drop_by_lists(own, s, e, err);

	if (rc == 0)
		rc = drop_by_bytes(own, s, err);
	own->dated = true;
	own->epoch = e->number;
	return rc == -1 ? -1 : 0;
}

int
ownpacks_load(struct ownpacks *out, struct store *s, const struct epoch *e,
    bool dry, struct err *err)
{
	struct file f;
	bool current;
	int rc = -1;

	*out = (struct ownpacks){ .packs = NULL };
	if (file_open(&f, s, err) == 0 && read_file(out, &f, err) == 0) {
		current = out->dated && out->epoch == e->number;
		if (current || !(out->dated || out->count > 0))
			rc = 0;
		else if ((rc = bring_up(out, s, e, err)) == 0 && !dry)
			rc = write_file(out, &f, err);
	}
	file_close(&f);
	if (rc == -1)
		ownpacks_fini(out);
	return rc;
}

void
ownpacks_fini(struct ownpacks *own)
{
	free(own->packs);
	*own = (struct ownpacks){ .packs = NULL };
}

/* ---- one more ---- */

/* Behind the last row that is whole. */
static int
append(const struct file *f, const struct own_pack *pack, struct err *err)
{
	int fd = open(f->path, O_WRONLY | O_CLOEXEC), rc = -1;
	uint8_t row[ROW_BYTES];
	struct stat st;

	if (fd == -1)
		return err_errno(err, errno, "cannot open '%s'", f->path);
	row_put(row, pack);
	if (fstat(fd, &st) == 0 && st.st_size >= HEAD_BYTES) {
		st.st_size -= (st.st_size - HEAD_BYTES) % ROW_BYTES;
		rc = io_pwrite_full(fd, row, sizeof(row), (uint64_t)st.st_size);
		if (rc == 0)
			rc = fdatasync(fd);
	}
	if (rc == -1)
		err_errno(err, errno, "cannot write '%s'", f->path);
	close(fd);
	return rc;
}

static bool
has_head(const struct file *f)
{
	struct stat st;

	return stat(f->path, &st) == 0 && st.st_size >= HEAD_BYTES;
}

int
ownpacks_add(struct store *s, uint64_t number, const struct own_pack *pack,
    struct err *err)
{
	const struct ownpacks none = { .epoch = number };
	struct file f;
	int rc = -1;

	if (file_open(&f, s, err) == 0 &&
	    (has_head(&f) || write_file(&none, &f, err) == 0))
		rc = append(&f, pack, err);
	file_close(&f);
	return rc;
}

const struct own_pack *
ownpacks_find(const struct ownpacks *own, const uint8_t id[OBJECT_ID_BYTES])
{
	struct own_pack wanted;

	if (own->count == 0)
		return NULL;
	memcpy(wanted.id, id, OBJECT_ID_BYTES);
	return bsearch(
	    &wanted, own->packs, own->count, sizeof(*own->packs), compare);
}
