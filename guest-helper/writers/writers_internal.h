/* SPDX-License-Identifier: Apache-2.0 */
/* The set of writers, for its own files. */
#ifndef HOLDSTILL_GUEST_WRITERS_INTERNAL_H
#define HOLDSTILL_GUEST_WRITERS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/hexid.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writer.h"
#include "guest-helper/writers/writers.h"

/* What a process has that was told to leave, by end of input, until SIGTERM,
 * and from there until SIGKILL. */
#define WRITERS_LEAVE_MS 2000
#define WRITERS_TERM_MS 3000
#define WRITERS_LEAVING_MAX 64
#define WRITERS_TEXT_SIZE 256

struct writers_leaving { /* A process that nothing is expected of. */
	pid_t pid;       /* 0: a free place. */
	char name[MESSAGE_NAME_SIZE]; /* As of its writer. */
	bool touched;                 /* It may hold something still. */
	bool leftover;                /* A "thaw" of a hook left frozen. */
	int64_t term_ms;              /* 0: done. */
	int64_t kill_ms;              /* 0: done. */
};

struct writers {
	const struct conf *conf;
	struct spawner *spawner;
	int run_dir;
	writers_done_fn *done;
	void *arg;
	int epoll;
	int timer;
	bool watching; /* The spawner's descriptor is in the set. */

	/* Writers by name, then hooks by name. */
	struct writer *items[MESSAGE_WRITERS_MAX];
	size_t count;
	char trouble[MESSAGE_REASON_SIZE]; /* Of the scan; "": none. */
	struct writers_leaving leaving[WRITERS_LEAVING_MAX];

	char session[HEXID_SIZE];
	enum writers_step step;
	int64_t begin_ms;
	int64_t limit_ms; /* The step's end; 0: none. */
	bool stuck;       /* The spawner did not answer in this step. */
	bool unsure;      /* The start that failed last may run yet. */
	bool thawing;     /* A thaw was begun in this session. */
	bool told, again; /* As the request has it. */
	char point[HEXID_SIZE];
	char *text; /* Of writers_level(): WRITERS_TEXT_SIZE. */
};

/* The writer of that name, or NULL. */
struct writer *writers_find(const struct writers *s, const char *name);

/* A new one in its place by name; NULL: there are too many. */
struct writer *writers_add(struct writers *s, const char *name, bool hook);

/* No writer has a process, no hook is frozen. */
bool writers_idle(const struct writers *s);

/* Reads the folders.  Only while the set is idle. */
void writers_scan_now(struct writers *s);

/* Asks those that are due and whose turn it is; ends those whose time is
 * over; sees to processes that are to leave. */
void writers_advance(struct writers *s);

/* Nobody is to be asked or to answer any more. */
bool writers_finished(const struct writers *s);

/* The next instant at which writers_advance() has something to do; 0: none. */
int64_t writers_next_ms(const struct writers *s);

/* Runs the writer or hook; a failure is the writer's, with its reason, and
 * sets s->unsure. */
int writers_start(struct writers *s, struct writer *w, const char *argument,
    const char *session);

/* w's answer to the step is awaited, as long as it has for it. */
void writers_expect(const struct writers *s, struct writer *w);

/* Sets the timer to that. */
void writers_arm(struct writers *s);

/* Runs a hook's "thaw" that no step waits for. */
void writers_thaw_loose(struct writers *s, const char *hook);

/* Its process leaves; word: a last line, or NULL. */
void writers_dismiss(struct writers *s, struct writer *w, const char *word);

/* Follows a process that nothing is expected of. */
struct writers_leaving *writers_follow(
    struct writers *s, pid_t pid, const char *name, int64_t leave_ms);

#endif
