/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job works with: repository, catalog, journal, libvirt.  Each is
 * opened when it is first asked for, so that a restore on a bare host needs
 * the repository only.
 *
 * One thread.
 */
#ifndef HOLDSTILL_AGENT_JOB_CONTEXT_H
#define HOLDSTILL_AGENT_JOB_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/catalog.h"

struct backend;
struct domain_connection;
struct err;
struct journal;
struct manifest;
struct slot_secret;
struct store;
struct store_compression;

/* What a job tells while it works; every member may be NULL. */
struct job_events {
	void *arg;
	/* A step has begun, in words. */
	void (*step)(void *arg, const char *domain, const char *what);
	/* Bytes of one disk and of the whole. */
	void (*progress)(void *arg, const char *disk, uint64_t disk_done,
	    uint64_t disk_total, uint64_t all_done, uint64_t all_total);
	/* How many of something are done. */
	void (*count)(
	    void *arg, const char *what, uint64_t done, uint64_t total);
	/* The progress of this piece of work is over. */
	void (*progress_end)(void *arg);
};

/* Where the keys of encrypted repositories come from. */
struct job_keys {
	void *arg;
	/* 1: *out was given for the repository at url, 0: nothing was, -1.
	 * NULL: nothing ever is. */
	int (*given)(void *arg, const char *url, const struct slot_secret **out,
	    struct err *err);
	/* Set by given(): where that came from, for people, or NULL. */
	const char *origin;
	/* Asks a person; NULL: nobody is there.  As store_ask_fn. */
	int (*ask)(void *arg, struct slot_secret *out, struct err *err);
};

struct job_context {
	/* Borrowed, set by the caller. */
	const char *repository_url;
	const char *connect_uri; /* NULL: libvirt's default system URI. */
	const char *state_dir;
	const char *scratch_dir; /* NULL: STATE_DIR/scratch. */
	/* Bytes a second; 0: no limit.  Of the repository's objects, to and
	 * fro; set before it is opened. */
	uint64_t limit_rate;
	uint64_t limit_read; /* Of the guests' disks. */
	/* Of what is backed up; NULL: as the repository says. */
	const struct store_compression *compression;
	struct job_events events;
	struct job_keys keys;

	/* Opened by the functions below. */
	struct store *store;
	struct catalog *catalog;
	struct journal *journal;
	struct domain_connection *connection;
	bool catalog_synced;
	struct catalog_sync_result synced; /* What came of that. */
};

/* Each opens its part once; 0 if it is open already. */
int job_open_store(struct job_context *ctx, struct err *err);
/* Also the store; synced with it once. */
int job_open_catalog(struct job_context *ctx, struct err *err);
/* The same, not synced: for the history that it keeps. */
int job_open_history(struct job_context *ctx, struct err *err);
int job_open_journal(struct job_context *ctx, struct err *err);
int job_connect(struct job_context *ctx, struct err *err);

/* Closes the store alone, before it is opened for another repository. */
void job_close_store(struct job_context *ctx);

/* Closes all that was opened. */
void job_context_fini(struct job_context *ctx);

/* Says that a step begins. */
void job_step(struct job_context *ctx, const char *domain, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- find_point.c ---- */
/*
 * The id of a POINT as a person names it; opens the catalog.
 * ERR_CORRUPT: it is looked for by domain, and a point that cannot be read may
 * be the one; else as catalog_resolve().  Of one that is not there it is said
 * whether it was forgotten, or whether the key at hand is a host's.
 */
int job_resolve(char out_id[HEXID_SIZE], struct job_context *ctx,
    const char *point, struct err *err);
/* The same, and reads its manifest.  The caller owns *out. */
int job_find_point(struct manifest **out, struct job_context *ctx,
    const char *point, struct err *err);

#endif
