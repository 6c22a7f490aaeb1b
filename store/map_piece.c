/* SPDX-License-Identifier: Apache-2.0 */
/* Reading pieces of maps, with the last frames kept. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/hostmemory.h"
#include "store/unread.h"

#define KEPT_FRAMES 16u

struct kept_frame {
	struct blob_place place; /* pack and frame_offset name it. */
	uint8_t *raw;            /* NULL: the slot is empty. */
};

struct piece_reader {
	struct store *store;
	struct frame_reader *frames;
	struct kept_frame kept[KEPT_FRAMES];
	unsigned int next; /* The slot to be reused. */
	bool resynced;
};

int
piece_reader_new(struct piece_reader **out, struct store *s, struct err *err)
{
	struct piece_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_no_memory(err);
	r->store = s;
	if (frame_reader_new(&r->frames, s, err) == -1) {
		free(r);
		return -1;
	}
	*out = r;
	return 0;
}

void
piece_reader_free(struct piece_reader *r)
{
	unsigned int i;

	if (r == NULL)
		return;
	for (i = 0; i < KEPT_FRAMES; i++)
		free(r->kept[i].raw);
	frame_reader_free(r->frames);
	free(r);
}

const struct seal *
piece_reader_seal(const struct piece_reader *r)
{
	return r->store->seal;
}

void
piece_reader_trust_index(struct piece_reader *r)
{
	r->resynced = true;
}

static const uint8_t *
find_kept(const struct piece_reader *r, const struct blob_place *place)
{
	unsigned int i;

	for (i = 0; i < KEPT_FRAMES; i++) {
		if (r->kept[i].raw != NULL &&
		    r->kept[i].place.frame_offset == place->frame_offset &&
		    r->kept[i].place.raw_size == place->raw_size &&
		    memcmp(r->kept[i].place.pack, place->pack,
			OBJECT_ID_BYTES) == 0)
			return r->kept[i].raw;
	}
	return NULL;
}

static int
frame_of(const uint8_t **out, struct piece_reader *r,
    const struct blob_place *place, struct err *err)
{
	struct kept_frame *slot;
	uint8_t *raw;

	if ((*out = find_kept(r, place)) != NULL)
		return 0;
	if ((raw = malloc(place->raw_size + 1u)) == NULL)
		return err_no_memory(err);
	if (frame_reader_fetch(r->frames, raw, place, err) == -1) {
		free(raw);
		return -1;
	}
	slot = &r->kept[r->next++ % KEPT_FRAMES];
	free(slot->raw);
	slot->raw = raw;
	slot->place = *place;
	*out = raw;
	return 0;
}

static int
decode(struct map_piece *out, const uint8_t *blob, unsigned int level,
    struct err *err)
{
	if (memcmp(blob, "HSM1", 4) != 0 || blob[4] != level)
		return err_set(err, ERR_CORRUPT,
		    "a map piece is not of level "
		    "%u",
		    level);
	memcpy(out->entry, blob + MAP_PIECE_HEAD_BYTES, sizeof(out->entry));
	return 0;
}

/* On a host: none is read back, but those of the newest points are kept. */
static int
get_kept(struct piece_reader *r, struct map_piece *out, const uint8_t *hash,
    unsigned int level, struct err *err)
{
	static const struct blob_place nowhere;
	uint8_t raw[MAP_PIECE_BYTES];
	int rc = hostmemory_piece(r->store->index, raw, hash, err);

	if (rc == -1)
		return -1;
	if (rc == 0 || frame_reader_check(r->frames, raw, sizeof(raw), hash,
			   &nowhere, err) == -1)
		return err_set(err, ERR_CORRUPT,
		    "a piece of the disk's map is not in this host's memory");
	return decode(out, raw, level, err);
}

static int
get_at(struct piece_reader *r, struct map_piece *out, const uint8_t *hash,
    unsigned int level, const struct blob_place *place, struct err *err)
{
	char hex[2 * DIGEST_BYTES + 1];
	const uint8_t *frame;

	if (place->size != MAP_PIECE_BYTES) {
		hex_encode(hex, hash, DIGEST_BYTES);
		return err_set(
		    err, ERR_CORRUPT, "map piece %s has a wrong size", hex);
	}
	if (frame_of(&frame, r, place, err) == -1 ||
	    frame_reader_check(r->frames, frame + place->offset, place->size,
		hash, place, err) == -1)
		return -1;
	return decode(out, frame + place->offset, level, err);
}

static int
get_once(struct piece_reader *r, struct map_piece *out, const uint8_t *hash,
    unsigned int level, struct err *err)
{
	char hex[2 * DIGEST_BYTES + 1];
	struct blob_place place;
	int rc;

	rc = localindex_find(r->store->index, BLOB_MAP, hash, &place, err);
	if (rc == 1)
		return get_at(r, out, hash, level, &place, err);
	hex_encode(hex, hash, DIGEST_BYTES);
	return rc == -1 ? -1
			: err_set(err, ERR_CORRUPT,
			      "no pack holds map piece %s", hex);
}

/* The same piece in other packs.  If none serves, err stays as it is. */
static int
get_copy(struct piece_reader *r, struct map_piece *out, const uint8_t *hash,
    unsigned int level, struct err *err)
{
	struct copies_walk others;
	struct err first = *err;
	struct blob_place place;
	int rc;

	err_clear(err);
	rc = localindex_find(r->store->index, BLOB_MAP, hash, &place, err);
	if (rc == 1)
		copies_begin(&others, r->store, BLOB_MAP, hash, &place);
	while (rc == 1 && (rc = copies_next(&others, &place, err)) == 1) {
		if (get_at(r, out, hash, level, &place, err) == 0)
			return 0;
		if (!unread_is_useless(err))
			return -1;
		err_clear(err);
	}
	if (rc == 0)
		*err = first;
	return -1;
}

int
piece_reader_get(struct piece_reader *r, struct map_piece *out,
    const uint8_t hash[DIGEST_BYTES], unsigned int level, struct err *err)
{
	struct err first;

	if (store_is_host(r->store))
		return get_kept(r, out, hash, level, err);
	if (get_once(r, out, hash, level, err) == 0)
		return 0;
	if (!unread_is_wrong(err) || r->resynced)
		goto failed;
	/* The local index may be behind, or a prune has moved the piece. */
	first = *err;
	r->resynced = true;
	if (store_sync(r->store, SYNC_TABLES, true, err) == -1) {
		/* What is there is not known, then. */
		if (unread_is_wrong(err))
			*err = first;
		goto failed;
	}
	if (get_once(r, out, hash, level, err) == 0)
		return 0;
failed:
	if (unread_is_useless(err) && get_copy(r, out, hash, level, err) == 0) {
		err_clear(err);
		return 0;
	}
	if (err->class == ERR_NOT_FOUND)
		err->class = ERR_CORRUPT;
	return -1;
}
