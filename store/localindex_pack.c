/* SPDX-License-Identifier: Apache-2.0 */
/* What a pack holds, as the local index has it. */
#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/grow.h"
#include "store/localindex_internal.h"

struct names {
	uint32_t number; /* The pack's. */
	struct blob_name *names;
	size_t count, capacity;
	bool failed; /* No memory. */
};

void
blob_name_put(struct blob_name *out, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES])
{
	memcpy(out->bytes, hash, DIGEST_BYTES);
	out->bytes[DIGEST_BYTES] = (uint8_t)type;
}

struct blob_place
blob_place_of_frame(
    const uint8_t pack[OBJECT_ID_BYTES], const struct pack_frame *f)
{
	struct blob_place place = { .frame_offset = f->offset,
		.stored_size = f->stored_size,
		.raw_size = f->raw_size,
		.coding = f->coding };

	memcpy(place.pack, pack, OBJECT_ID_BYTES);
	return place;
}

static void
note(struct names *n, const uint8_t entry[RUN_ENTRY_BYTES])
{
	struct blob_name *grown;

	if (be32_get(entry + RUN_NAME_BYTES) != n->number)
		return;
	grown = grow_array(n->names, n->count, &n->capacity, sizeof(*grown));
	if (grown == NULL) {
		n->failed = true;
		return;
	}
	n->names = grown;
	memcpy(n->names[n->count++].bytes, entry, RUN_NAME_BYTES);
}

static int
note_newest(struct names *n, struct localindex_view *v)
{
	uint8_t entry[RUN_ENTRY_BYTES];
	MDB_val key, value;
	MDB_cursor *cursor;
	int code = mdb_cursor_open(v->txn, v->li->blobs, &cursor);

	if (code != 0)
		return code;
	while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (localindex_row_get(entry, &key, &value))
			note(n, entry);
		else
			localindex_note_damage(v->li, "a row of it is damaged");
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

static int
note_run(struct names *n, const struct run *run)
{
	struct run_cursor *cursor;
	const uint8_t *entry;
	int code = localindex_run_cursor_new(&cursor, run);

	if (code != 0)
		return code;
	while ((code = localindex_run_cursor_next(&entry, cursor)) == 0 &&
	       entry != NULL)
		note(n, entry);
	localindex_run_cursor_free(cursor);
	return code;
}

static int
note_runs(struct names *n, struct localindex_view *v)
{
	const struct run_set *runs = v->runs;
	unsigned int i;
	int code;

	for (i = 0; i < runs->count; i++) {
		if (runs->run[i] == NULL)
			continue;
		code = note_run(n, runs->run[i]);
		if (code == MDB_CORRUPTED)
			localindex_note_damage(
			    v->li, "a file of it is damaged");
		else if (code != 0)
			return code;
	}
	return 0;
}

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct blob_name));
}

int
localindex_blobs_in(struct blob_name **out, size_t *count,
    struct localindex *li, const uint8_t pack[OBJECT_ID_BYTES], struct err *err)
{
	struct names names = { .names = NULL };
	struct localindex_view v;
	int code = 0, rc = 0;

	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	/* Of a pack without a number there are no entries. */
	localindex_pack_notes(li, v.txn, pack, &names.number);
	if (names.number != 0 && (code = note_newest(&names, &v)) == 0)
		code = note_runs(&names, &v);
	localindex_view_end(&v);
	if (code != 0)
		rc = localindex_error(li, code, err);
	else if (names.failed)
		rc = err_no_memory(err);
	if (rc == -1) {
		free(names.names);
		return -1;
	}
	if (names.count > 1)
		qsort(names.names, names.count, sizeof(*names.names),
		    compare_names);
	*out = names.names;
	*count = names.count;
	return 0;
}
