/* SPDX-License-Identifier: Apache-2.0 */
/* Index objects, written and read. */
#include "store/index.h"

#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/log.h"
#include "store/unread.h"

#define INDEX_HEAD_BYTES 4
#define PACK_ENTRY_BYTES 28
/* What INDEX_PACKS_MAX packs could come to at the very most. */
#define INDEX_BODY_MAX (128u << 20)

void
index_set_fini(struct index_set *set)
{
	while (set->count > 0)
		pack_table_fini(&set->packs[--set->count].table);
	set->blobs = 0;
}

void
index_set_free(struct index_set *set)
{
	if (set == NULL)
		return;
	index_set_fini(set);
	free(set);
}

bool
index_set_full(const struct index_set *set)
{
	return set->count == INDEX_PACKS_MAX ||
	       set->blobs >= INDEX_BLOBS_TARGET;
}

void
index_set_add(struct index_set *set, const uint8_t id[OBJECT_ID_BYTES],
    uint64_t size, struct pack_table *table)
{
	struct index_pack *p = &set->packs[set->count++];

	memcpy(p->id, id, OBJECT_ID_BYTES);
	p->size = size;
	p->table = *table;
	set->blobs += table->blob_count;
	*table = (struct pack_table){ .frames = NULL };
}

static size_t
encoded_size(const struct index_set *set)
{
	size_t size = INDEX_HEAD_BYTES;
	unsigned int i;

	for (i = 0; i < set->count; i++)
		size +=
		    PACK_ENTRY_BYTES + pack_table_size(&set->packs[i].table);
	return size;
}

int
index_put(struct backend *b, const struct seal *seal,
    const struct index_set *set, uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	size_t size = encoded_size(set), table_size;
	uint8_t *body = malloc(size), *at = body;
	char key[OBJECT_KEY_SIZE];
	unsigned int i;
	int rc = -1;

	if (body == NULL)
		return err_no_memory(err);
	be32_put(at, set->count);
	at += INDEX_HEAD_BYTES;
	for (i = 0; i < set->count; i++) {
		table_size = pack_table_size(&set->packs[i].table);
		memcpy(at, set->packs[i].id, OBJECT_ID_BYTES);
		be64_put(at + 16, set->packs[i].size);
		be32_put(at + 24, (uint32_t)table_size);
		pack_table_encode(at + PACK_ENTRY_BYTES, &set->packs[i].table);
		at += PACK_ENTRY_BYTES + table_size;
	}
	if (hexid_random(id, OBJECT_ID_BYTES, err) == 0)
		rc = envelope_put(b, seal, object_key(key, OBJECT_INDEX, id),
		    OBJECT_INDEX, id, body, size, true, err);
	free(body);
	return rc;
}

static int
decode(struct index_set *set, const uint8_t *in, size_t size, bool sealed,
    struct err *err)
{
	struct pack_table table;
	uint32_t count, i, table_size;

	if (size < INDEX_HEAD_BYTES || be32_get(in) > INDEX_PACKS_MAX)
		return err_set(err, ERR_CORRUPT,
		    "its number of packs is "
		    "wrong");
	count = be32_get(in);
	in += INDEX_HEAD_BYTES;
	size -= INDEX_HEAD_BYTES;
	for (i = 0; i < count; i++) {
		if (size < PACK_ENTRY_BYTES ||
		    be32_get(in + 24) > size - PACK_ENTRY_BYTES)
			return err_set(err, ERR_CORRUPT, "it is cut short");
		table_size = be32_get(in + 24);
		if (pack_table_decode(&table, in + PACK_ENTRY_BYTES, table_size,
			be64_get(in + 16), sealed, err) == -1)
			return -1;
		index_set_add(set, in, be64_get(in + 16), &table);
		in += PACK_ENTRY_BYTES + table_size;
		size -= PACK_ENTRY_BYTES + table_size;
	}
	if (size != 0)
		return err_set(err, ERR_CORRUPT, "it is too long");
	return 0;
}

int
index_get(struct index_set **out, struct backend *b, const struct seal *seal,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE], *body;
	struct index_set *set;
	size_t size;
	int rc;

	object_key(key, OBJECT_INDEX, id);
	if (envelope_get(b, seal, key, OBJECT_INDEX, id, NULL, INDEX_BODY_MAX,
		&body, &size, err) == -1)
		return -1;
	if ((set = calloc(1, sizeof(*set))) == NULL) {
		free(body);
		return err_no_memory(err);
	}
	rc = decode(set, (const uint8_t *)body, size, seal != NULL, err);
	free(body);
	if (rc == -1) {
		index_set_free(set);
		return err_prefix(err, "object '%s'", key);
	}
	*out = set;
	return 0;
}

static int
check_tables(struct index_set *set, struct backend *b, const struct seal *seal,
    bool sure, struct err *err)
{
	unsigned int i, kept = 0;
	struct index_pack *p;

	if (seal_mode(seal) != SEAL_PUBLIC)
		return 0;
	for (i = 0; i < set->count; i++) {
		p = &set->packs[i];
		pack_table_fini(&p->table);
		if (pack_read_table(&p->table, &p->size, b, seal, p->id, err) ==
		    0) {
			if (kept != i) {
				set->packs[kept] = *p;
				p->table =
				    (struct pack_table){ .frames = NULL };
			}
			kept++;
			continue;
		}
		p->table = (struct pack_table){ .frames = NULL };
		if ((sure && err->class == ERR_IO) || !unread_is_own(b, err))
			return -1;
		if (err->class != ERR_NOT_FOUND)
			log_line(LOG_WARNING, "left out: %s", err->text);
		err_clear(err);
	}
	set->count = kept;
	return 0;
}

int
index_check_tables(struct index_set *set, struct backend *b,
    const struct seal *seal, struct err *err)
{
	return check_tables(set, b, seal, false, err);
}

int
index_check_tables_sure(struct index_set *set, struct backend *b,
    const struct seal *seal, struct err *err)
{
	return check_tables(set, b, seal, true, err);
}
