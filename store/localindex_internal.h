/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the local index share; nobody else includes this. */
#ifndef HOLDSTILL_STORE_LOCALINDEX_INTERNAL_H
#define HOLDSTILL_STORE_LOCALINDEX_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>

#include "store/localindex.h"
#include "store/localindex_run.h"

struct localindex {
	struct localindex *next; /* Of the process; guarded by open_lock. */
	unsigned int users;      /* Guarded by open_lock. */
	char *dir;
	int alive_fd; /* -1: nobody counts how it ends. */
	char format[LOCALINDEX_MARKER_SIZE + 64]; /* As in meta. */
	MDB_env *env;
	MDB_dbi meta;    /* "format" -> text, "lists" -> epoch, ... */
	MDB_dbi blobs;   /* The newest entries: key -> rest (..._run.h) */
	MDB_dbi packs;   /* pack id -> LOCALINDEX_* bits, its number or 0 */
	MDB_dbi numbers; /* number -> pack id; entries of others are dead */
	MDB_dbi indexes; /* index id -> ids of the packs loaded from it */
	MDB_dbi pieces;  /* hash -> piece: store/hostmemory.h */
	MDB_dbi points;  /* point id -> manifest: the same */
	pthread_mutex_t runs_lock;
	struct run_set *runs; /* As last seen, or NULL; by runs_lock. */
	/* Held for reading through each transaction: the map may only be
	 * resized while there is none. */
	pthread_rwlock_t resize;
};

#define LOCALINDEX_PACK_VALUE_BYTES 5
/* Of blobs: the rest of the entry, and 4 bytes of a checksum of it all. */
#define LOCALINDEX_BLOB_VALUE_BYTES (RUN_ENTRY_BYTES - RUN_KEY_BYTES + 4)

/* Fills err from an LMDB or errno code; returns -1. */
int localindex_error(struct localindex *li, int code, struct err *err);

/* Holds the resize lock until the caller unlocks it, after the end. */
int localindex_txn_begin(
    struct localindex *li, unsigned int flags, MDB_txn **txn);
/* Doubles the map; no transaction may be open in this thread. */
int localindex_grow(struct localindex *li);

/*
 * One change in a transaction of its own, begun anew with a larger map as
 * often as it takes.  fn returns a code; on any but 0 nothing has changed.
 */
typedef int localindex_change_fn(
    struct localindex *li, MDB_txn *txn, void *arg);
int localindex_change(
    struct localindex *li, localindex_change_fn *fn, void *arg);

/* ---- localindex_blobs.c ---- */
/* The ids that a table's keys are, sorted; caller finis.  need: of packs, only
 * those with one of these LOCALINDEX_* bits; 0: all. */
int localindex_ids(struct idset *out, struct localindex *li, MDB_dbi table,
    unsigned int need, struct err *err);

/* ---- localindex_alive.c; with the folder's guard held ---- */
/* Notes it broken if the last ones to have it open did not live to close it. */
void localindex_alive_begin(struct localindex *li);
void localindex_alive_end(struct localindex *li);
/* Has no other process it open? */
bool localindex_alive_alone(struct localindex *li);

/* ---- localindex_notes.c ---- */
/* Which lists were looked at; false: none. */
bool localindex_lists(struct localindex *li, MDB_txn *txn, uint64_t *out);
/* Packs are in here no longer, but what is noted of them stays. */
int localindex_unload(struct localindex *li, MDB_txn *txn);
/* 0 and no number: not a word of it. */
unsigned int localindex_pack_notes(struct localindex *li, MDB_txn *txn,
    const uint8_t id[OBJECT_ID_BYTES], uint32_t *number);
int localindex_pack_put(struct localindex *li, MDB_txn *txn,
    const uint8_t id[OBJECT_ID_BYTES], unsigned int notes, uint32_t number);

/* ---- localindex_runs.c ---- */
/* A number of meta's; 0: there is none. */
uint64_t localindex_counter(
    struct localindex *li, MDB_txn *txn, const char *name);
int localindex_counter_put(
    struct localindex *li, MDB_txn *txn, const char *name, uint64_t value);
#define LOCALINDEX_NEXT_PACK "next pack"
#define LOCALINDEX_NEXT_RUN "next run"

/*
 * The runs of a transaction's moment; the caller puts them back.  current: it
 * cannot be that others have merged them since, so one that is not there is
 * lost; else that is ENOENT.
 */
int localindex_runs_get(
    struct run_set **out, struct localindex *li, MDB_txn *txn, bool current);
void localindex_runs_put(struct localindex *li, struct run_set *set);
int localindex_runs_list(uint64_t numbers[LOCALINDEX_RUNS_MAX],
    unsigned int *count, struct localindex *li, MDB_txn *txn);
int localindex_runs_set(struct localindex *li, MDB_txn *txn,
    const uint64_t *numbers, unsigned int count);
/* Removes the files of runs below `below` that are not among keep. */
void localindex_runs_sweep(struct localindex *li, uint64_t below,
    const uint64_t *keep, unsigned int count);
char *localindex_run_path(const struct localindex *li, uint64_t number);
/* Of a row of blobs; false: it is not what was written. */
bool localindex_row_get(
    uint8_t entry[RUN_ENTRY_BYTES], const MDB_val *key, const MDB_val *value);
void localindex_row_put(uint8_t value[LOCALINDEX_BLOB_VALUE_BYTES],
    const uint8_t entry[RUN_ENTRY_BYTES]);
/* Something in a file was not what was written: all is to be read anew. */
void localindex_note_damage(struct localindex *li, const char *what);
void localindex_forget_damage(struct localindex *li);
/* LMDB's file itself: the next to open it makes a new one. */
void localindex_note_broken(struct localindex *li);
bool localindex_broken(const struct localindex *li);
/* It was of a key's names once: that outlives a new one. */
void localindex_note_key(struct localindex *li);
bool localindex_key_known(const struct localindex *li);

/* ---- localindex_merge.c ---- */
/* Entries that were gathered: sorted, with places in number[] for numbers. */
struct localindex_gathered {
	const uint8_t (*entry)[RUN_ENTRY_BYTES];
	size_t count;
	const uint32_t *number; /* 0: the pack is in here already. */
};
/*
 * Makes a new run of what was gathered, the newest entries, and all runs that
 * are not much larger than it.  For localindex_change; sweeps after it.
 */
struct localindex_merge {
	const struct localindex_gathered *gathered; /* NULL: none. */
	uint64_t below; /* Files to be looked at after it. */
	uint64_t keep[LOCALINDEX_RUNS_MAX];
	unsigned int keep_count;
	bool alone; /* Some run is damaged: none is read. */
	bool all;   /* However large they are. */
};
int localindex_merge(
    struct localindex *li, MDB_txn *txn, struct localindex_merge *m);
void localindex_merge_done(
    struct localindex *li, const struct localindex_merge *m);

#endif
