/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository of points over a backend: blocks, packs, indexes, maps,
 * manifests.  The format is in docs/format.md and lives in this folder only.
 *
 * Order of a backup (R1): packs, then index, then manifest.  Points stand
 * alone (R3): each has a complete map of each disk.
 *
 * A struct store may be used by several threads; one backup session, one
 * disk reader or one prune by one thread each, except where said.
 */
#ifndef HOLDSTILL_STORE_STORE_H
#define HOLDSTILL_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hexid.h"
#include "store/manifest.h"
#include "store/seal/seal.h"

struct backend;
struct err;
struct slot_cost;
struct slot_list;
struct slot_secret;
struct store;

/* The grain of QEMU's dirty bitmaps, and of everything here. */
#define STORE_BLOCK_BYTES 65536u
/* Data blocks that one chunk carries: one frame. */
#define STORE_CHUNK_BLOCKS 16u
/* Chunks that a session has under way at most, wherever they are. */
#define STORE_CHUNKS 48u
/* Chunks that a caller may hold at once, got and not yet submitted: the
 * pipeline has more buffers than these, or the caller would wait for itself. */
#define STORE_CHUNKS_HELD 12u

/* ---- compression of data blocks ---- */

enum store_compression_mode {
	STORE_COMPRESSION_ZSTD, /* At one level. */
	STORE_COMPRESSION_NONE,
	/* zstd: a faster level while the processors are the limit, a
	 * stronger one while the backend is. */
	STORE_COMPRESSION_AUTO,
};
/* Negative ones are zstd's fast levels; there is no level 0. */
#define STORE_LEVEL_MIN (-9)
#define STORE_LEVEL_MAX 19
struct store_compression {
	enum store_compression_mode mode;
	int level; /* STORE_COMPRESSION_ZSTD only. */
};
extern const struct store_compression store_compression_default;

/* "none", "auto", "zstd:LEVEL"; else ERR_ARG with a hint. */
int store_compression_parse(
    struct store_compression *out, const char *text, struct err *err);
/* The same backwards; returns out. */
#define STORE_COMPRESSION_SIZE 16
char *store_compression_text(
    char out[STORE_COMPRESSION_SIZE], const struct store_compression *c);

/* ---- the repository ---- */

#define STORE_UNDELETE_DAYS 7
#define STORE_UNDELETE_DAYS_MAX 3650

struct store_init_options {  /* Zeroed is all defaults. */
	enum seal_mode mode; /* SEAL_NONE: the others are not read. */
	const enum aead_cipher *cipher;   /* NULL: this machine's faster one. */
	const struct slot_secret *secret; /* Of the first key slot. */
	const char *label;                /* The slot's. */
	const struct slot_cost *cost;     /* The slot's; NULL: the default. */
	struct store_compression compression; /* What backups use. */
	bool has_undelete_days;
	unsigned int undelete_days; /* STORE_UNDELETE_DAYS else. */
};

/*
 * Writes the settings object of a new repository, and before it the first key
 * slot, if it is to be encrypted.  options NULL: it is not.  One that exists
 * already is ERR_EXISTS; a place that holds other files is ERR_EXISTS as
 * well.
 */
int store_init(struct backend *b, const struct store_init_options *options,
    struct err *err);

/* Gives what opens an encrypted repository; what it points to lives until
 * store_open() returns. */
typedef int store_ask_fn(
    void *arg, struct slot_secret *secret, struct err *err);
struct store_open_options {
	const struct slot_secret *secret; /* NULL: ask. */
	/* Called only if the repository is encrypted; NULL: there is none. */
	store_ask_fn *ask;
	void *arg;
};

/*
 * Opens a repository.  options NULL: no key is there.  cache_dir is where local indexes live (a folder is
 * made in it, named by the repository's id); it may be deleted at any time.
 * On success the store owns b; on failure the caller still does.
 * ERR_NOT_FOUND: no repository here (hint says how to make one).  ERR_AUTH:
 * it is encrypted and no key is given, or a wrong one; or a key is given and
 * it is not.  ERR_CORRUPT: settings or key slot were tampered with.
 */
int store_open(struct store **out, struct backend *b, const char *cache_dir,
    const struct store_open_options *options, struct err *err);
void store_close(struct store *s); /* NULL is allowed. */

/* 32 hex digits that name the repository for ever. */
const char *store_id(const struct store *s);
/* As its settings say. */
const struct store_compression *store_compression(const struct store *s);
enum seal_mode store_seal_mode(const struct store *s);
/* Was it opened with a host key?  Then it adds points, and all that reads,
 * forgets or removes is ERR_AUTH; of its own newest points it knows the
 * manifests and maps. */
bool store_is_host(const struct store *s);
/* 0, or ERR_AUTH on a host; what: "no point can be read". */
int store_need_owner(const struct store *s, const char *what, struct err *err);

/* ---- key slots of an encrypted repository (store/seal/slot.h) ----
 * ERR_ARG in all: the repository is not encrypted. */

/* Adds a slot and gives its id.  ERR_EXISTS: one opens with it already. */
int store_key_add(struct store *s, char id[HEXID_SIZE],
    const struct slot_secret *secret, const char *label,
    const struct slot_cost *cost, struct err *err);
/* The caller calls slot_list_fini(). */
int store_key_list(struct slot_list *out, struct store *s, struct err *err);
/* ERR_BUSY: the last whole one stays.  ERR_NOT_FOUND. */
int store_key_remove(struct store *s, const char *id, struct err *err);
/* Is there a key, but for that of an id (may be NULL), that opens with the
 * secret?  1 and its id, 0, or -1. */
int store_key_find(struct store *s, char id[HEXID_SIZE],
    const struct slot_secret *secret, const char *but, struct err *err);
/* The slot that opened this store. */
void store_key_opened(char id[HEXID_SIZE], const struct store *s);

/*
 * Makes a host key of a repository of mode public and writes it to path, a
 * new file.  id: the host's.  ERR_ARG: another mode.  ERR_AUTH: the store was
 * opened with a host key.  ERR_EXISTS.
 */
int store_key_host(
    struct store *s, char id[HEXID_SIZE], const char *path, struct err *err);

/* For so many days a forgotten point may be kept after all. */
unsigned int store_undelete_days(const struct store *s);

/* ---- points ---- */

typedef int store_point_fn(void *arg, const char *id);

/* Visits the id of each point that is not forgotten, in any order; non-zero
 * from fn ends it, with 0.  One that was given up may be among them: reading
 * it is ERR_NOT_FOUND. */
int store_points(
    struct store *s, store_point_fn *fn, void *arg, struct err *err);

/* Reads and checks a manifest.  ERR_NOT_FOUND, ERR_CORRUPT.  Caller owns. */
int store_manifest_read(
    struct manifest **out, struct store *s, const char *id, struct err *err);

/* Is there no such point (any more)?  For whoever misses a piece of it: a
 * prune may have removed a forgotten point while it was read. */
bool store_point_gone(struct store *s, const char *id);

/*
 * Forgets a point: it is listed no more, and a prune removes it when its
 * settings say so.  Until then it is there with all it needs, and may be kept
 * after all.  Both are done if that is so already.  ERR_NOT_FOUND: there is no
 * such point, or it is too late.
 */
int store_point_forget(struct store *s, const char *id, struct err *err);
int store_point_unforget(struct store *s, const char *id, struct err *err);

/* 1: somebody has forgotten the point and said so, 0: nobody has. */
int store_point_was_forgotten(struct store *s, const char *id, struct err *err);

/* The points that are forgotten and still there, and since when (for people).
 * Non-zero from fn ends it, with 0. */
typedef int store_forgotten_fn(void *arg, const char *id, int64_t time_ms);
int store_forgotten(
    struct store *s, store_forgotten_fn *fn, void *arg, struct err *err);

/* ---- writing points: one session, any number of points and disks ---- */

struct store_session;
struct store_disk; /* One disk being written. */

struct store_session_options {
	unsigned int threads; /* Compressors; 0: as many as processors. */
	/* NULL: the repository's.  Borrowed for the call. */
	const struct store_compression *compression;
	unsigned int points; /* That it may make; 0: one. */
	int64_t beat_ms;     /* 0: STORE_BEAT_MS. */
};

/* A session shows at such times that it is alive; a prune gives up one that
 * has not for so long. */
#define STORE_BEAT_MS 30000
#define STORE_SILENCE_MS 300000

/*
 * Registers, which keeps prunes from removing what is used (docs/prune.md),
 * syncs the local index, adopts finished packs of interrupted runs (R8),
 * starts the pipeline.  A mark of damage that cannot be read is an error: nobody
 * knows what pack is not to be built upon.
 */
int store_session_begin(struct store_session **out, struct store *s,
    const struct store_session_options *options, struct err *err);

/* The id of the session's n-th point, from 0 on; out has HEXID_SIZE bytes. */
void store_session_point(
    const struct store_session *session, unsigned int n, char *out);

/*
 * May disks be built on those of this point?  1: yes; 0: no, a prune may be
 * about to remove some of it: the disks have to be written whole.  -1.
 */
int store_session_base(
    struct store_session *session, const struct manifest *m, struct err *err);

/*
 * Ends the session; NULL is allowed.  Points that were not committed are given
 * up.  Packs that were finished stay and serve the next run.
 */
void store_session_end(struct store_session *session);

/*
 * Starts a disk.  base_root, of a point that store_session_base() allowed: the map this disk's unwritten ranges keep (the
 * parent point's root for an incremental), or NULL: they read as zeros.
 * base_size_bytes is that map's disk size.  A disk is written in rising
 * offsets; disks of one session follow one another.  Where a base of another
 * size ends inside a block, the caller has to write that block anew.
 */
int store_disk_begin(struct store_disk **out, struct store_session *session,
    uint64_t size_bytes, const uint8_t *base_root, uint64_t base_size_bytes,
    struct err *err);

/*
 * A buffer of the bounded pipeline.  The caller fills data[i] for the block
 * at offset[i] (a multiple of the block size, rising through the disk; the
 * last block of a disk is padded with zeros by the caller) and sets count,
 * then submits.  Chunks take their place in the order of store_chunk_get();
 * they may be filled and submitted out of that order, each exactly once.
 */
struct store_chunk {
	uint64_t offset[STORE_CHUNK_BLOCKS];
	uint8_t *data; /* STORE_CHUNK_BLOCKS blocks, one after the other. */
	unsigned int count;
	/*
	 * A range, block-aligned except at the disk's end, that reads as
	 * zeros and lies behind all data blocks of this chunk and before
	 * those of the next; length 0: none.
	 */
	uint64_t zero_offset;
	uint64_t zero_bytes;
};

/*
 * Waits for a free buffer.  The pipeline's failure comes out here and at
 * submit, with the text of the stage that failed.  ERR_BUSY, which is no
 * failure: all STORE_CHUNKS buffers are taken and the oldest is still the
 * caller's own to submit, so that a wait would never end.
 */
int store_chunk_get(
    struct store_chunk **out, struct store_disk *disk, struct err *err);
int store_chunk_submit(
    struct store_disk *disk, struct store_chunk *chunk, struct err *err);

/* Waits until all is written, closes the map, fills root, new_bytes and
 * stored_bytes of *out (nothing else).  Frees disk in every case. */
int store_disk_end(
    struct store_disk *disk, struct manifest_disk *out, struct err *err);
/* Gives up on a disk; its session can then only be ended.  NULL allowed. */
void store_disk_abort(struct store_disk *disk);

/*
 * Makes the packs, then the index, then the manifest durable (R1).  A manifest
 * without an id is given the session's next.  0: the point exists.  -1: it
 * does not; ERR_TIMEOUT: a prune has given it up.  May be called once for each
 * of the session's points.
 */
int store_session_commit(
    struct store_session *session, struct manifest *m, struct err *err);

/* ---- reading a disk of a point ---- */

struct store_reader;

/* Opens the map; syncs the local index if it lacks a block. */
int store_reader_open(struct store_reader **out, struct store *s,
    const struct manifest_disk *disk, struct err *err);
void store_reader_close(struct store_reader *r); /* NULL is allowed. */

/*
 * Called in any order and from several threads for ranges that hold data.
 * offset is block-aligned; buf is borrowed for the call.  Non-zero ends the
 * read; fn must then have filled err.
 */
typedef int store_data_fn(
    void *arg, uint64_t offset, const void *buf, size_t size, struct err *err);

/*
 * Streams the whole disk through fn, reading and decompressing in parallel
 * (threads 0: as many as processors); zeros and holes are not reported.  The
 * last block is cut at the disk's size.  Every byte is checked against its
 * hash before fn sees it (R7): a damaged one is ERR_CORRUPT naming object and
 * disk range.
 */
int store_reader_stream(struct store_reader *r, unsigned int threads,
    store_data_fn *fn, void *arg, struct err *err);

/*
 * From now on what cannot be read is passed over, and told to lost while the
 * disk is streamed: in any order, from any thread, one call at a time.
 */
typedef int store_range_fn(
    void *arg, uint64_t offset, uint64_t bytes, struct err *err);
void store_reader_salvage(
    struct store_reader *r, store_range_fn *lost, void *arg);

/* Bytes of data blocks (not zeros) in the map. */
int store_reader_data_bytes(
    struct store_reader *r, uint64_t *out, struct err *err);

/* ---- comparing with a disk of a point ---- */

struct store_comparer; /* Of one thread at a time. */

int store_comparer_new(struct store_comparer **out, struct store *s,
    const struct manifest_disk *disk, struct err *err);
void store_comparer_free(struct store_comparer *c); /* NULL is allowed. */
/* Is data, a whole block, the disk's block of that number?  1, 0, or -1;
 * ERR_CORRUPT: the map cannot be read. */
int store_compare_block(struct store_comparer *c, uint64_t block,
    const void *data, struct err *err);

/* ---- care ---- */

struct store_damage {
	const char *object; /* Key of the damaged or missing object. */
	const char *what;   /* One line. */
	const char *point;  /* Id of a point that it hurts, or "". */
	const char *disk;   /* Its disk, or "". */
};
/* Called for each damaged object and each point it hurts. */
typedef void store_damage_fn(void *arg, const struct store_damage *damage);

struct store_range { /* Of a disk. */
	uint64_t offset, bytes;
};
#define STORE_HURT_RANGES_MAX 1024u

struct store_hurt { /* What of a disk of a point cannot be read back. */
	const char *point;
	const char *disk;
	uint64_t size_bytes; /* The disk's. */
	uint64_t bytes;      /* What is hurt of it. */
	/* Rising, neighbours joined, STORE_HURT_RANGES_MAX at most. */
	const struct store_range *ranges;
	size_t range_count;
	bool more; /* There are further ranges. */
};
typedef void store_hurt_fn(void *arg, const struct store_hurt *hurt);

#define STORE_PACK_ID_BYTES 16

/* What is remembered of packs from one verify to the next. */
struct store_verify_memory {
	void *arg;
	/* Once, before packs are read: the sorted ids of all of them.  Fills
	 * checked_ms, which is zeroed: when each was found whole, in
	 * milliseconds since 1970, or 0. */
	int (*begin)(void *arg, const uint8_t (*packs)[STORE_PACK_ID_BYTES],
	    size_t count, int64_t *checked_ms, struct err *err);
	/* From any thread, one at a time: packs[i] was read. */
	void (*checked)(void *arg, size_t i, bool whole);
};

struct store_verify_options {
	const char *const *points; /* Ids; NULL: all, and every object. */
	size_t point_count;
	/* Of the packs, chosen by chance; 0 or 100: all. */
	unsigned int sample_percent;
	uint64_t seed; /* Of that chance; 0: a new one each time. */
	/* No pack is begun after this; 0: no limit.  Those that were not read
	 * for longest come first.  One at least is read. */
	uint64_t budget_ms;
	unsigned int threads;
	const struct store_verify_memory *memory; /* NULL: none. */
	store_hurt_fn *hurt; /* Of each disk that is hurt; NULL: not told. */
};
struct store_verify_result {
	uint64_t objects_checked;
	uint64_t bytes_checked;
	uint64_t points_checked;
	uint64_t packs, packs_checked;
	uint64_t packs_wanted; /* To know all that was asked for. */
	uint64_t damaged_objects;
	uint64_t damaged_points;
	/* Marked by a repair, so neither read nor counted above. */
	uint64_t marked_packs;
	uint64_t marks_removed; /* Of points that lack nothing any more. */
	uint64_t marks_of_gone; /* Removed as well: of points that are gone. */
};
/*
 * Reads back and checks.  0 even if damage was found (see result); -1 when
 * the check itself could not be done.  fn may be NULL.  Marks of points that
 * are whole again are taken away, where the repository can be written.
 */
int store_verify(struct store *s, const struct store_verify_options *options,
    store_damage_fn *fn, void *arg, struct store_verify_result *result,
    struct err *err);

/* A point that nobody has forgotten and of which the manifest cannot be read:
 * why, and whether it is set aside (or would be). */
typedef void store_lost_point_fn(
    void *arg, const char *id, const char *why, bool aside);

struct store_repair_options {
	bool dry_run;
	unsigned int threads;
	store_hurt_fn *hurt;       /* As of verify. */
	store_lost_point_fn *lost; /* NULL: not told. */
};
struct store_repair_result {
	struct store_verify_result found;
	/* Damaged or missing ones, which count as not there from now on; or
	 * of an earlier repair, but whole after all. */
	uint64_t packs_marked, packs_back;
	/* Blobs of marked packs: copied to new packs, or in none that can be
	 * read. */
	uint64_t blobs_saved, blobs_lost;
	/* Damaged ones of which nothing says what they held: all of it is
	 * lost, and in no count. */
	uint64_t packs_unknown;
	/* Indexes, manifests and marks that cannot be read: under "aside/". */
	uint64_t objects_aside;
	uint64_t points_lost;   /* Not forgotten, and cannot be read. */
	uint64_t points_marked; /* Anew. */
	uint64_t marks_removed; /* Of points that lack nothing any more. */
	uint64_t marks_of_gone; /* Of points that are gone. */
	/* Damaged objects that stay as they are: keys, and what a disk cannot
	 * read. */
	uint64_t objects_left;
	/* That neither a session nor an epoch named, and now one does. */
	uint64_t points_entered;
	/* Behind a chain of epochs that nobody could go on from. */
	bool epoch_begun;
};
/*
 * Reads everything, takes out of use what is damaged, saves what is good in
 * damaged packs, and marks the points that are hurt.  Removes no pack and
 * no readable object: what was taken for damaged by mistake comes back with
 * the next repair.  May be killed at any time and begun again.
 * ERR_UNSUPPORTED: something was made by a later program; nothing is done.
 */
int store_repair(struct store *s, const struct store_repair_options *options,
    store_damage_fn *fn, void *arg, struct store_repair_result *result,
    struct err *err);

/* Visits each hurt disk of each marked point. */
int store_marks(struct store *s, store_hurt_fn *fn, void *arg, struct err *err);

/* Is each block of the point in a pack that counts?  Reads the maps. */
int store_point_whole(
    bool *out, struct store *s, const struct manifest *m, struct err *err);

/* Is anything marked as damaged, so that maps may name what is lost? */
int store_any_damage(bool *out, struct store *s, struct err *err);

/*
 * Visits the ranges of a disk that are in no pack that counts, rising.
 * *map_lost: some of the map itself is lost, and not all ranges were told.
 */
int store_disk_lost(struct store *s, const struct manifest_disk *disk,
    bool *map_lost, store_range_fn *fn, void *arg, struct err *err);

struct store_prune_options {
	/* Puts and removes nothing, and waits for nobody: each session without
	 * an end counts as alive. */
	bool dry_run;
	/* A forgotten point goes when it was forgotten so long ago, by this
	 * host's clock; 0: at once.  A clock that is wrong ends the time to
	 * change one's mind early or late, and harms no other point. */
	int64_t undelete_ms;
	/* A session that shows no sign of life for so long, while the prune
	 * looks on, is given up; 0: STORE_SILENCE_MS. */
	int64_t silence_ms;
	/* Packs of which less than this is used are written anew; 0: 75. */
	unsigned int live_percent;
	/* Of packs to be written anew, but marked ones, in one prune: bytes,
	 * or percent of all that is stored, whichever is more; both 0: no
	 * limit. */
	uint64_t repack_bytes;
	unsigned int repack_percent;
	/* May be NULL: says what is done now, and how far it is. */
	void (*progress)(
	    void *arg, const char *what, uint64_t done, uint64_t total);
	void *arg;
};

struct store_prune_result {
	uint64_t packs_before, packs_removed, packs_rewritten;
	uint64_t bytes_before, bytes_freed;
	uint64_t blocks_kept, blocks_removed;
	uint64_t points_removed; /* Forgotten ones, for ever. */
	/* Kept, though neither a session nor an epoch names them: objects of
	 * sessions are missing, and a repair is due. */
	uint64_t points_stray;
	/* Forgotten, and kept for now: the first to go does so with a prune
	 * after this time, by this host's clock. */
	uint64_t points_waiting;
	int64_t waiting_until_ms;
	uint64_t sessions_dead;  /* Given up. */
	uint64_t sessions_alive; /* What is in bytes_waiting waits for them. */
	uint64_t bytes_waiting;  /* Condemned, not yet removed. */
};

/*
 * Gives back the space of blocks that no point uses, beside any number of
 * sessions and prunes (docs/prune.md).  May be killed at any time: nothing is
 * decided until all can read it.
 */
int store_prune(struct store *s, const struct store_prune_options *options,
    struct store_prune_result *out, struct err *err);

#endif
