/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writers of a session: one process for each application, spoken to in
 * lines (docs/writers.md), and QEMU's fsfreeze hooks as one-shot writers.
 * A step is asked of all at once, except where `after` orders them; it ends
 * when each has answered, failed, or run out of its time.  A writer that
 * hangs, dies, floods or answers nonsense fails by itself and hurts nobody.
 *
 * Nothing here blocks.  One thread.
 */
#ifndef HOLDSTILL_GUEST_WRITERS_H
#define HOLDSTILL_GUEST_WRITERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/message.h"

struct conf;
struct err;
struct spawner;
struct writers;

enum writers_step {
	WRITERS_NONE,
	WRITERS_PREPARE,
	WRITERS_FREEZE,
	WRITERS_THAW,
	WRITERS_COMMITTED,
	WRITERS_ABORT, /* Whatever was asked before; ends the processes. */
};

/* The step is over for all; writers_begin() may be called from it, but not
 * writers_free(). */
typedef void writers_done_fn(void *arg, enum writers_step step);

/*
 * conf and spawner are the caller's and outlive the set.  run_dir: the open
 * folder RUN_DIR, the caller's; -1: there is none.  Needs SIGPIPE ignored.
 */
int writers_new(struct writers **out, const struct conf *conf,
    struct spawner *spawner, int run_dir, writers_done_fn *done, void *arg,
    struct err *err);

/* Closes the processes' input, which makes them thaw and end; the spawner
 * ends those that do not, once it is closed.  NULL is allowed. */
void writers_free(struct writers *w);

/* To poll for input; then call writers_turn(), which calls done. */
int writers_fd(const struct writers *w);
void writers_turn(struct writers *w);

/*
 * Begins a step; a step that was under way is over without a call of done
 * (only THAW and ABORT may cut one short).  Each writer has as long as its
 * configuration gives it, and at most limit_ms.  With nobody to ask, done is
 * called from the next writers_turn().
 *
 * PREPARE  looks for writers anew and starts them; id: the session.
 * FREEZE   those that prepared.
 * THAW     those that froze or were asked to.  told: they have been sent
 *          "thaw" already, by the dead-man.  again: perhaps ahead of their
 *          "freeze", so they are told once more, and answer both.
 * COMMITTED  id: the point.  Those of *metas (a message whose writers hold
 *          what they said in that session, which metas->session names),
 *          started if need be; metas is not used after the call.  A writer
 *          that serves another session just now is left alone and keeps its
 *          state: it has not been told.
 */
struct writers_request {
	enum writers_step step;
	const char *id;
	unsigned int limit_ms;
	bool told, again;
	const struct message *metas;
};
void writers_begin(struct writers *w, const struct writers_request *request);

/*
 * After PREPARE: asks covers for each path in which a writer that serves has
 * said its data to be, and with NULL for one that said none, as hooks do.  One
 * for which that is false fails with the reason, and its process leaves.
 */
typedef bool writers_covers_fn(
    void *arg, const char *path, char reason[MESSAGE_REASON_SIZE]);
void writers_check_data(
    struct writers *w, writers_covers_fn *covers, void *arg);

/* The step under way. */
enum writers_step writers_step(const struct writers *w);

/*
 * The level that the writers leave reachable: APPLICATION while there is at
 * least one that serves and no required one has failed in this session, else
 * FILESYSTEM.  After the thaw: what they prove.  *out_reason (static or w's,
 * until the next step) says why not APPLICATION.
 */
enum message_level writers_level(
    const struct writers *w, const char **out_reason);

/* Any process that may hold something still? */
bool writers_hold(const struct writers *w);

/* The processes' inputs, for the dead-man to say "thaw" on (it gets copies
 * by its fork).  Returns how many. */
size_t writers_inputs(const struct writers *w, int *out, size_t max);

/* Adds each writer with its state and meta to m. */
void writers_put(const struct writers *w, struct message *m);

/* Looks which writers there are, without starting any; for status. */
int writers_scan(struct writers *w, struct err *err);

/*
 * Hooks do not see the helper die.  The spawner then runs "thaw" of those
 * that froze; in case it dies, too, their names are kept in RUN_DIR/hooks,
 * and this runs "thaw" of those that a predecessor left.  To be called once,
 * before any session; it does not wait for them, but a hook's next freeze
 * does.  PREPARE does the same for those whose "thaw" went wrong since.
 */
void writers_thaw_leftovers(struct writers *w);

#endif
