/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup session: the caller fills chunks, workers hash and compress them
 * in any order, the committer takes them in their order to packs and map,
 * the uploader puts the packs.  Nobody else includes this.
 *
 *   chunk_get -> [caller fills] -> submit -> workers -> committer -> uploader
 *                  SESSION_CHUNKS buffers go round         packs, bounded
 */
#ifndef HOLDSTILL_STORE_SESSION_INTERNAL_H
#define HOLDSTILL_STORE_SESSION_INTERNAL_H

#include "common/err.h"
#include "store/claims.h"
#include "store/compression.h"
#include "store/map_build.h"
#include "store/sessions.h"
#include "store/store_internal.h"
#include "store/uploader.h"

#define SESSION_CHUNKS STORE_CHUNKS
#define SESSION_THREADS_MAX 64u
/* Pieces of maps are read one at a time: small frames. */
#define MAP_FRAME_PIECES 32u
/* Pieces that a host remembers in one go. */
#define KEPT_PIECES 256u

enum job_state { JOB_FREE, JOB_FILLING, JOB_QUEUED, JOB_WORKING, JOB_DONE };

struct job {                      /* A chunk on its way. */
	struct store_chunk chunk; /* First: the caller's pointer is ours. */
	enum job_state state;     /* Guarded by the session's lock. */
	uint8_t *frame;           /* FRAME_RAW_MAX bytes. */
	/* Filled by a worker, read by the committer: */
	uint8_t hash[STORE_CHUNK_BLOCKS][DIGEST_BYTES]; /* Zero hash: zeros. */
	struct pack_blob blobs[STORE_CHUNK_BLOCKS];     /* The new ones. */
	unsigned int blob_count;
	enum frame_coding coding;
	size_t stored_size, raw_size; /* Of the frame; 0: nothing new. */
};

struct store_session {
	struct store *store;
	struct epoch epoch; /* In which it has registered. */
	struct session_name name;
	struct session_object self;
	bool registered;
	int host_fd; /* Of host_session_begin(). */
	bool *used;  /* For each of self.points: committed, or refused. */
	struct usable *usable;
	uint8_t (*bases)[DIGEST_BYTES]; /* Roots that may be built on. */
	size_t base_count;
	struct claims *claims;
	struct uploader *uploader;
	struct level level; /* The committer learns, the workers use it. */

	/* The beats: see session_life.c. */
	pthread_t life;
	bool life_started;
	pthread_mutex_t life_lock; /* Guards life_stop. */
	pthread_cond_t life_wake;
	bool life_stop;
	int64_t beat_ms;
	uint64_t beats; /* Of the thread, until it is joined. */

	pthread_t workers[SESSION_THREADS_MAX];
	unsigned int worker_count;
	unsigned int thread_count; /* Of workers, as begun with. */
	pthread_t committer;
	bool committer_started;

	pthread_mutex_t lock; /* Guards from here to jobs. */
	pthread_cond_t work;  /* A job is queued, or all is over. */
	pthread_cond_t done;  /* A job is done. */
	pthread_cond_t room;  /* A job is free, or all is committed. */
	bool stop;
	bool failed;
	struct err failure;
	uint64_t idle_ns; /* In which a worker had nothing to do; of all. */
	/* Jobs go round: number n uses jobs[n % SESSION_CHUNKS]. */
	uint64_t next_get;    /* Number of the next chunk handed out. */
	uint64_t next_commit; /* Number that the committer waits for. */
	struct job jobs[SESSION_CHUNKS];

	/* Of the committer, or of the caller once all is committed: */
	struct store_disk *disk;
	struct pack *data_pack;
	struct pack *map_pack;
	/* When the last one was handed over; 0: none was. */
	uint64_t pack_ns, pack_idle_ns;
	struct frame_codec *map_codec;
	uint8_t *map_raw; /* MAP_FRAME_PIECES pieces, and as much again. */
	struct pack_blob map_blobs[MAP_FRAME_PIECES];
	unsigned int map_count;
	/* Pieces on their way to a host's memory; else NULL. */
	uint8_t *kept_raw;
	uint8_t (*kept_hash)[DIGEST_BYTES];
	unsigned int kept_count;
};

struct store_disk {
	struct store_session *session;
	struct piece_reader *pieces;
	struct map_build *map;
	uint64_t size_bytes;
	uint64_t new_bytes, stored_bytes; /* Committer's, as above. */
};

/* Remembers the first failure and wakes everybody. */
void session_fail(struct store_session *session, const struct err *err);

/* ---- session_life.c: from registering to the last word on its points ---- */
/* Draws the points' ids and registers; starts the beats. */
int session_register(struct store_session *session,
    const struct store_session_options *options, struct err *err);
/* Stops the beats and gives up the points that were not made. */
void session_unregister(struct store_session *session);
/* The packs of a session bear its tag. */
void session_tag_pack(const struct store_session *session, struct pack *pack);
/* Number of the point among the session's, which is given to m if it has no
 * id; -1: it is none of them. */
int session_point(
    const struct store_session *session, struct manifest *m, struct err *err);
bool session_base_known(
    const struct store_session *session, const uint8_t *root);

/* ---- session_work.c: the threads ---- */
void *session_worker(void *session);
void *session_committer(void *session);

/* ---- session_commit.c: in order, to packs and map ---- */
int session_commit_job(
    struct store_session *session, struct job *job, struct err *err);
/* The map_emit_fn of every disk; arg is the session. */
int session_emit_piece(void *arg, const uint8_t hash[DIGEST_BYTES],
    const uint8_t piece[MAP_PIECE_BYTES], struct err *err);
/* Writes what a host is to remember of its maps. */
int session_flush_kept(struct store_session *session, struct err *err);
/* Hands the unfinished packs to the uploader. */
int session_flush_packs(struct store_session *session, struct err *err);

#endif
