/* SPDX-License-Identifier: Apache-2.0 */
/* A store as the files of this folder see it; nobody else includes this. */
#ifndef HOLDSTILL_STORE_STORE_INTERNAL_H
#define HOLDSTILL_STORE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/backend.h"
#include "store/copies.h"
#include "store/idset.h"
#include "store/store.h"

struct store {
	struct backend *backend;
	char id[HEXID_SIZE];
	struct seal *seal;             /* NULL: the repository is plain. */
	struct salts *salts;           /* Of its packs; NULL as well. */
	uint8_t slot[OBJECT_ID_BYTES]; /* That opened it, if sealed. */
	struct store_compression compression;
	unsigned int undelete_days;
	struct localindex *index;
	struct copies *copies; /* NULL: other copies are not asked. */
	/* Packs that count as marked already, for this handle alone: what a
	 * repair is about to mark.  NULL: none; borrowed. */
	const struct idset *hidden;
	bool quiet;      /* Who syncs names what is damaged by other means. */
	char *cache_dir; /* Of this repository. */
	pthread_mutex_t sync_lock;   /* One sync at a time. */
	_Atomic uint64_t epoch_seen; /* There is one of this number. */
	/* Mode public (store/host.h): a host's chain and folder, or what the
	 * owner checks marks with. */
	struct chain *chain;
	char *host_dir;
	struct chain_checker *checker;
	struct host_links *links; /* While somebody takes them down; or NULL. */
	pthread_mutex_t mark_lock; /* Guards checker and links. */
};

struct epoch;

/* The marker of local indexes of the store's blobs. */
int store_index_marker(
    char out[LOCALINDEX_MARKER_SIZE], const struct store *s, struct err *err);

enum sync_mode {
	SYNC_INDEXES, /* What the index objects say. */
	SYNC_TABLES,  /* And, untrusted, packs that no index names. */
	SYNC_ADOPT,   /* Writes an index object for those (R8). */
};

/*
 * Brings the local index up to the repository.  rebuild: from nothing.  Index
 * objects and pack tables that are damaged are left out with a note; verify
 * names them.
 */
int store_sync(
    struct store *s, enum sync_mode mode, bool rebuild, struct err *err);
/* SYNC_ADOPT for a session of this epoch: packs on its list are left. */
int store_sync_session(
    struct store *s, const struct epoch *epoch, struct err *err);

/* Reads frames; belongs to one thread at a time. */
struct frame_reader;
int frame_reader_new(
    struct frame_reader **out, struct store *s, struct err *err);
void frame_reader_free(struct frame_reader *r); /* NULL is allowed. */
/* Reads and decompresses a frame into out (place->raw_size bytes). */
int frame_reader_fetch(struct frame_reader *r, uint8_t *out,
    const struct blob_place *place, struct err *err);
/* ERR_CORRUPT if the blob's bytes are not those of its name. */
int frame_reader_check(struct frame_reader *r, const uint8_t *blob, size_t size,
    const uint8_t hash[DIGEST_BYTES], const struct blob_place *place,
    struct err *err);

#endif
