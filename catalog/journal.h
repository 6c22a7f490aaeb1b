/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effect journal: everything done to a guest or host is written here,
 * durably, before it is done, and struck after it is undone.  A later
 * command finds what a dead process left and undoes it, the freeze first.
 *
 * SQLite file STATE_DIR/journal.db with synchronous=FULL.  The journal only
 * records; agent/job/recover.c knows how to undo.
 */
#ifndef HOLDSTILL_CATALOG_JOURNAL_H
#define HOLDSTILL_CATALOG_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/hexid.h"

struct err;
struct journal;

/* The numbers are stored; a new kind goes to the end. */
enum journal_kind {
	JOURNAL_FREEZE = 1,     /* subject: who froze; see manifest.h. */
	JOURNAL_JOB = 2,        /* subject: socket path of the backup job. */
	JOURNAL_CHECKPOINT = 3, /* subject: checkpoint name; provisional. */
	JOURNAL_DIR = 4,        /* subject: path of a run's scratch folder. */
	JOURNAL_COMMITTED = 5,  /* subject: session; the guest is to be told. */
};

struct journal_effect {
	int64_t id;
	char run[HEXID_SIZE]; /* The run that caused it. */
	enum journal_kind kind;
	const char *connect_uri; /* libvirt's, or "". */
	const char *domain_uuid; /* or "". */
	const char *subject;
	const char *point_id; /* The point this run will make, or "". */
	int64_t pid;
	bool owner_alive; /* pid, its start time and the boot id agree. */
};

/* Makes the file if absent.  A damaged one is ERR_CORRUPT with a hint: it
 * is no cache. */
int journal_open(struct journal **out, const char *state_dir, struct err *err);
void journal_close(struct journal *j); /* NULL is allowed. */

/* Durable when it returns 0.  Fills effect->id; pid and start time are this
 * process's.  Call it before the deed. */
int journal_add(
    struct journal *j, struct journal_effect *effect, struct err *err);

/* Strikes an effect that is undone or has become permanent. */
int journal_strike(struct journal *j, int64_t id, struct err *err);

/*
 * Effects of dead processes, of one domain (uuid) or of all (NULL): by kind,
 * guests are thawed first; of a kind the newest first.  A visit may strike.
 * Non-zero ends the visit.
 */
typedef int journal_fn(void *arg, const struct journal_effect *effect);
int journal_leftovers(struct journal *j, const char *domain_uuid,
    journal_fn *fn, void *arg, struct err *err);

#endif
