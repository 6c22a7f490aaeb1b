/* SPDX-License-Identifier: Apache-2.0 */
/* Files of tables: one of each session of a host that is at work or was. */
#include "store/pending.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "common/log.h"
#include "store/checksum.h"
#include "store/store_internal.h"

/*
 * A record: epoch, id, size of the pack, size of the table, table, and an
 * XXH64 of all that.  Who is at work holds a lock on its file.
 */
#define HEAD_BYTES (8 + OBJECT_ID_BYTES + 8 + 4)
#define FILE_MAX ((size_t)256 << 20)

static const char prefix[] = "pending-";

struct pending {
	uint64_t epoch;
	char *path;
	int fd;
	uint64_t size; /* Of what is whole. */
};

int
pending_new(
    struct pending **out, struct store *s, uint64_t epoch, struct err *err)
{
	struct pending *p;
	char hex[HEXID_SIZE];
	uint8_t id[OBJECT_ID_BYTES];

	*out = NULL;
	if (!store_is_host(s))
		return 0;
	if (hexid_random(id, sizeof(id), err) == -1)
		return -1;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return err_no_memory(err);
	hex_encode(hex, id, sizeof(id));
	p->epoch = epoch;
	p->fd = -1;
	if (asprintf(&p->path, "%s/%s%s", s->host_dir, prefix, hex) == -1) {
		free(p);
		return err_no_memory(err);
	}
	*out = p;
	return 0;
}

void
pending_free(struct pending *p)
{
	if (p == NULL)
		return;
	if (p->fd != -1 && p->size == 0)
		unlink(p->path);
	if (p->fd != -1)
		close(p->fd);
	free(p->path);
	free(p);
}

static int
open_file(struct pending *p)
{
	if (p->fd == -1)
		p->fd = open(
		    p->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return p->fd == -1 ? -1 : flock(p->fd, LOCK_EX | LOCK_NB);
}

static uint8_t *
make_record(size_t *size, const struct pending *p, const struct index_pack *k)
{
	size_t table = pack_table_size(&k->table);
	uint8_t *out;

	*size = HEAD_BYTES + table + 8;
	if ((out = malloc(*size)) == NULL)
		return NULL;
	be64_put(out, p->epoch);
	memcpy(out + 8, k->id, OBJECT_ID_BYTES);
	be64_put(out + 8 + OBJECT_ID_BYTES, k->size);
	be32_put(out + HEAD_BYTES - 4, (uint32_t)table);
	pack_table_encode(out + HEAD_BYTES, &k->table);
	be64_put(out + *size - 8, checksum_of(out, *size - 8));
	return out;
}

void
pending_add(struct pending *p, const struct index_pack *pack)
{
	uint8_t *record;
	size_t size;

	if (p == NULL || (record = make_record(&size, p, pack)) == NULL)
		return;
	if (open_file(p) == 0 &&
	    io_pwrite_full(p->fd, record, size, p->size) == 0 &&
	    fdatasync(p->fd) == 0)
		p->size += size;
	free(record);
}

void
pending_clear(struct pending *p)
{
	/* What stays although it should not gets a second index. */
	if (p != NULL && p->fd != -1 && ftruncate(p->fd, 0) == 0)
		p->size = 0;
}

/* ---- what others left ---- */

struct adoption {
	struct store *store;
	struct usable *usable;
	struct index_set *set;
};

static int
flush(struct adoption *a, struct err *err)
{
	struct store *s = a->store;
	uint8_t id[OBJECT_ID_BYTES];
	int rc = 0;

	if (a->set->count > 0 &&
	    (index_put(s->backend, s->seal, a->set, id, err) == -1 ||
		usable_put(a->usable, a->set->packs, a->set->count, err) ==
		    -1 ||
		localindex_add(
		    s->index, id, a->set->packs, a->set->count, err) == -1))
		rc = -1;
	index_set_fini(a->set);
	return rc;
}

/* The index will stay, so the pack has to. */
static int
adopt(struct adoption *a, uint64_t epoch, struct index_pack *k, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	int rc = usable_left(a->usable, epoch, k->id, k->size, err);

	if (rc == 1 && backend_settle(a->store->backend,
			   object_key(key, OBJECT_PACK, k->id), err) == -1)
		rc = -1;
	if (rc == 1)
		index_set_add(a->set, k->id, k->size, &k->table);
	pack_table_fini(&k->table);
	if (rc == 1 && index_set_full(a->set))
		return flush(a, err);
	return rc == -1 ? -1 : 0;
}

/* Bytes of the record; 0: nothing behind here is whole. */
static size_t
record_size(const uint8_t *in, size_t size)
{
	size_t whole;

	if (size < HEAD_BYTES + 8 ||
	    be32_get(in + HEAD_BYTES - 4) > size - HEAD_BYTES - 8)
		return 0;
	whole = HEAD_BYTES + be32_get(in + HEAD_BYTES - 4) + 8;
	return be64_get(in + whole - 8) == checksum_of(in, whole - 8) ? whole
								      : 0;
}

static int
adopt_records(
    struct adoption *a, const uint8_t *in, size_t size, struct err *err)
{
	struct index_pack k;
	size_t each;

	for (; (each = record_size(in, size)) > 0; in += each, size -= each) {
		memcpy(k.id, in + 8, OBJECT_ID_BYTES);
		k.size = be64_get(in + 8 + OBJECT_ID_BYTES);
		if (pack_table_decode(&k.table, in + HEAD_BYTES,
			each - HEAD_BYTES - 8, k.size, true, err) == -1) {
			if (err->class != ERR_CORRUPT)
				return -1;
			err_clear(err);
			return 0;
		}
		if (adopt(a, be64_get(in), &k, err) == -1)
			return -1;
	}
	return 0;
}

/* Unless its session is at work. */
static int
adopt_file(struct adoption *a, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	size_t size;
	char *bytes;

	if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1)
		goto out;
	if (io_read_file(&bytes, &size, path, FILE_MAX, err) == -1) {
		log_line(LOG_WARNING, "left out: %s", err->text);
		err_clear(err);
		goto out;
	}
	rc = adopt_records(a, (const uint8_t *)bytes, size, err);
	free(bytes);
	if (rc == 0 && (rc = flush(a, err)) == 0)
		unlink(path);
out:
	if (fd != -1)
		close(fd);
	return rc;
}

static int
adopt_all(struct adoption *a, struct err *err)
{
	DIR *dir = opendir(a->store->host_dir);
	const struct dirent *e;
	char *path;
	int rc = 0;

	if (dir == NULL)
		return err_errno(
		    err, errno, "cannot open '%s'", a->store->host_dir);
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		if ((path = io_path(a->store->host_dir, e->d_name)) == NULL) {
			rc = err_no_memory(err);
			break;
		}
		rc = adopt_file(a, path, err);
		free(path);
	}
	closedir(dir);
	return rc;
}

int
pending_adopt(struct store *s, struct usable *u, struct err *err)
{
	struct adoption a = { .store = s, .usable = u };
	int rc;

	if (!store_is_host(s))
		return 0;
	if ((a.set = calloc(1, sizeof(*a.set))) == NULL)
		return err_no_memory(err);
	rc = adopt_all(&a, err);
	index_set_free(a.set);
	return rc;
}
