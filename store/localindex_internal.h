/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the local index share; nobody else includes this. */
#ifndef HOLDSTILL_STORE_LOCALINDEX_INTERNAL_H
#define HOLDSTILL_STORE_LOCALINDEX_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>

#include "store/localindex.h"

struct localindex {
	struct localindex *next; /* Of the process; guarded by open_lock. */
	unsigned int users;      /* Guarded by open_lock. */
	char *dir;
	char format[LOCALINDEX_MARKER_SIZE + 64]; /* As in meta. */
	MDB_env *env;
	MDB_dbi meta;    /* "format" -> text, "lists" -> epoch */
	MDB_dbi blobs;   /* type, hash -> place */
	MDB_dbi packs;   /* pack id -> LOCALINDEX_* bits */
	MDB_dbi indexes; /* index id -> nothing */
	MDB_dbi pieces;  /* hash -> piece: store/hostmemory.h */
	MDB_dbi points;  /* point id -> manifest: the same */
	/* Held for reading through each transaction: the map may only be
	 * resized while there is none. */
	pthread_rwlock_t resize;
};

/* Fills err from an LMDB or errno code; returns -1. */
int localindex_error(struct localindex *li, int code, struct err *err);

/* Holds the resize lock until the caller unlocks it, after the end. */
int localindex_txn_begin(
    struct localindex *li, unsigned int flags, MDB_txn **txn);

/* ---- localindex_notes.c ---- */
/* Which lists were looked at; false: none. */
bool localindex_lists(struct localindex *li, MDB_txn *txn, uint64_t *out);
/* Packs are in here no longer, but what is noted of them stays. */
int localindex_unload(struct localindex *li, MDB_txn *txn);

/* Doubles the map; no transaction may be open in this thread. */
int localindex_grow(struct localindex *li);

#endif
