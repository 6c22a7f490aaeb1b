/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local index: where each blob lies, in files of the cache folder: the
 * newest entries and all small tables in LMDB, the others in sorted runs
 * (localindex_run.h), merged now and then.  Memory does not grow with it but
 * for 8 bytes a page of 73 blobs.  A cache and nothing more: what is damaged
 * or of another version is thrown away and read anew from the index objects.
 * Several processes may use one folder at once, and several threads one handle.
 */
#ifndef HOLDSTILL_STORE_LOCALINDEX_H
#define HOLDSTILL_STORE_LOCALINDEX_H

#include "store/idset.h"
#include "store/index.h"

struct err;
struct localindex;

struct blob_place {
	uint8_t pack[OBJECT_ID_BYTES];
	uint32_t frame_offset; /* In the pack. */
	uint32_t stored_size;
	uint32_t raw_size;
	uint32_t offset; /* In the frame. */
	uint32_t size;
	uint32_t ordinal; /* Among the pack's blobs. */
	unsigned int coding;
};
/* Of a frame of that pack: what is about a blob in it is 0. */
struct blob_place blob_place_of_frame(
    const uint8_t pack[OBJECT_ID_BYTES], const struct pack_frame *f);

/* Holds each marker. */
#define LOCALINDEX_MARKER_SIZE 64
/*
 * dir is made if absent.  marker says whose names the blobs have: an index
 * with another one is thrown away.  ERR_AUTH: it is to be of plain names now,
 * but was of a key's: the repository is not what this host knows.
 */
#define LOCALINDEX_PLAIN "plain"

int localindex_open(struct localindex **out, const char *dir,
    const char *marker, struct err *err);
void localindex_close(struct localindex *li); /* NULL is allowed. */

/*
 * A consistent look; short-lived, of one thread, and nothing may be added by
 * that thread meanwhile, nor a second look begun: that could wait for the
 * first one's end.
 */
struct localindex_view {
	struct localindex *li;
	void *txn;
	void *cursor; /* NULL until there is something to look for. */
	void *runs;
	/* The lists of all epochs up to this were looked at, if any were. */
	bool any_lists;
	uint64_t lists_to;
};
int localindex_view_begin(
    struct localindex_view *v, struct localindex *li, struct err *err);
void localindex_view_end(struct localindex_view *v);
/* What is noted of a pack. */
enum localindex_note {
	LOCALINDEX_INDEXED = 1, /* An index object names it. */
	/* Found in the repository, or put, at a time since when no list of an
	 * epoch up to lists_to has it: it needs no look (ALL_LISTS). */
	LOCALINDEX_FOUND = 2,
	LOCALINDEX_LISTED = 4, /* On the list of epoch lists_to. */
	LOCALINDEX_LOADED = 8, /* Its blobs are in here. */
};
/*
 * 1: found, 0: unknown, -1: error.  notes (may be NULL): LOCALINDEX_* of the
 * blob's pack.  Of several packs with the blob it is the one to be relied on
 * most: indexed and off the list; of several of those the one added last (a
 * prune has copied the blob, and the old copy is about to go), of others the
 * first.
 */
int localindex_view_find(struct localindex_view *v, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct blob_place *out,
    unsigned int *notes, struct err *err);

/* The same for one blob. */
int localindex_find(struct localindex *li, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct blob_place *out, struct err *err);

/* A blob's hash and type; sorted as bytes. */
struct blob_name {
	uint8_t bytes[1 + DIGEST_BYTES];
};
void blob_name_put(struct blob_name *out, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES]);

/* The sorted names of the blobs of that pack, by a look at every entry that
 * there is; caller frees. */
int localindex_blobs_in(struct blob_name **out, size_t *count,
    struct localindex *li, const uint8_t pack[OBJECT_ID_BYTES],
    struct err *err);

/*
 * Adds the blobs of packs in one transaction.  index_id: the index object
 * they come from, or NULL: read from the packs themselves, not trusted.
 */
int localindex_add(struct localindex *li, const uint8_t *index_id,
    const struct index_pack *packs, unsigned int count, struct err *err);

/*
 * The same for many index objects: gathered, and put in some 500 000 blobs at
 * once, which is many times as fast.  Nothing of it counts before it is put.
 */
struct localindex_load;
int localindex_load_new(
    struct localindex_load **out, struct localindex *li, struct err *err);
int localindex_load_add(struct localindex_load *load, const uint8_t *index_id,
    const struct index_pack *packs, unsigned int count, struct err *err);
/* Puts what is left. */
int localindex_load_end(struct localindex_load *load, struct err *err);
void localindex_load_free(struct localindex_load *load); /* NULL is allowed. */

/*
 * Makes one run of all: for whoever is about to look for most of what there
 * is, for a look reads a page of each run.  Without room for it they stay.
 */
int localindex_merge_all(struct localindex *li, struct err *err);

/*
 * The lists of the epochs up to `to` have been looked at: listed is the last,
 * touched has the packs of all since the last call, NULL if they could not
 * all be read.  Both sorted.  Does nothing if others have gone further.
 * from: what lists_to was when the epochs to be looked at were chosen.
 */
int localindex_advance(struct localindex *li, uint64_t from, bool any_from,
    uint64_t to, const struct idset *listed, const struct idset *touched,
    struct err *err);
/* Packs were found, or put, in epoch number `epoch`. */
int localindex_found(struct localindex *li, uint64_t epoch,
    const struct idset *packs, struct err *err);

/* Of a prune's own index: nothing is noted but the list of an epoch. */
int localindex_relist(struct localindex *li, uint64_t epoch,
    const struct idset *listed, struct err *err);

/*
 * The packs `gone` (sorted) are in the repository no longer: forgets them, and
 * the index objects that name any, which may be loaded again.  *behind: there
 * is more to forget than that, clear all: an index that is not among `indexes`
 * named packs that are still there.
 */
int localindex_forget(struct localindex *li, bool *behind,
    const struct idset *gone, const struct idset *indexes, struct err *err);
/* Something in its files is not what was written: clear it. */
bool localindex_damaged(struct localindex *li);
/* Forgets everything but what advance and found have noted. */
int localindex_clear(struct localindex *li, struct err *err);

/* Sorted ids of the index objects loaded; caller finis. */
int localindex_indexes(
    struct idset *out, struct localindex *li, struct err *err);
/* Sorted ids of the packs known; trusted_only: those an index names. */
int localindex_packs(struct idset *out, struct localindex *li,
    bool trusted_only, struct err *err);

#endif
