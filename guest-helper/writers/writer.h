/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer: its state as told, and its process with the lines to and from
 * it (docs/writers.md).  A hook is a writer that hears nothing and answers by
 * its exit status.  Whatever the process does that it should not makes the
 * writer fail and asks the set to end the process (condemned).
 *
 * For the set only (writers.h).  One thread; nothing blocks.
 */
#ifndef HOLDSTILL_GUEST_WRITER_H
#define HOLDSTILL_GUEST_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/proto/message.h"
#include "guest-helper/writers/writer_line.h"
#include "guest-helper/writers/writers.h"

#define WRITER_OUTPUT_MAX ((size_t)64 * 1024) /* Of both, in a session. */
#define WRITER_LOGGED_MAX ((size_t)8 * 1024)  /* Of its errors. */
#define WRITER_ASKED_MAX 4
#define WRITER_DATA_MAX 16
#define WRITER_SEND_MAX 8192
#define WRITER_HOOK_PREFIX MESSAGE_HOOK_PREFIX

struct conf_writer;
struct spawner_child;
struct writer;

enum writer_stream { WRITER_INPUT, WRITER_OUTPUT, WRITER_ERRORS };

struct writer_source { /* What epoll gives back. */
	struct writer *writer;
	enum writer_stream stream;
};

enum writer_fate {
	WRITER_KEPT,
	WRITER_LEAVES,  /* Its input ends; it has some time. */
	WRITER_TO_TERM, /* SIGTERM at once. */
};

struct writer_question {
	enum writers_step step;
	int64_t ms; /* When it was asked. */
};

struct writer {
	char name[MESSAGE_NAME_SIZE];
	bool hook;
	const struct conf_writer *conf;
	bool seen;                       /* By the scan. */
	char unfit[MESSAGE_REASON_SIZE]; /* Why it cannot be run; "": it can. */

	/* As told. */
	enum message_writer_state state;
	int64_t state_ms;
	char reason[MESSAGE_REASON_SIZE];
	int64_t failure_ms;
	unsigned int prepare_ms, freeze_ms, thaw_ms;
	struct message_meta metas[MESSAGE_META_MAX];
	size_t meta_count;
	/* Where its data lies, as it said when it prepared. */
	char data[WRITER_DATA_MAX][MESSAGE_VALUE_SIZE];
	size_t data_count;

	/* Its part in the step. */
	bool due;      /* To be asked. */
	bool touched;  /* Asked to freeze, and not known to have thawed. */
	bool cut;      /* The freeze was over before it answered. */
	bool shared;   /* The dead-man can write to its input. */
	bool recorded; /* A hook's name is in RUN_DIR/hooks. */
	struct writer_question asked[WRITER_ASKED_MAX]; /* Not answered yet. */
	size_t asked_count;
	int64_t deadline_ms;
	/* An answer to the dead-man's "thaw" that came before its report. */
	bool early, early_ok;
	char early_text[MESSAGE_REASON_SIZE];

	/* The process; pid 0: none. */
	pid_t pid;
	int epoll;
	struct writer_source sources[3];
	int fds[3];     /* By enum writer_stream; -1: none, or closed. */
	bool finishing; /* Its input ends when all is sent. */
	enum writer_fate fate;
	int64_t ended_output_ms; /* 0: it has not. */
	size_t read_bytes;
	size_t logged_bytes;
	char line[WRITER_LINE_MAX + 1];
	size_t line_used;
	char error_line[256];
	size_t error_used;
	char last_error[128];
	char send[WRITER_SEND_MAX];
	size_t send_used;
};

void writer_init(struct writer *w, const char *name, bool hook, int epoll);

/* Forgets the last session but for the last failure. */
void writer_reset(struct writer *w);

void writer_set_state(struct writer *w, enum message_writer_state state);

/* It has failed; its process is to leave. */
void writer_fail(struct writer *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the process over; child's descriptors are w's from here. */
int writer_adopt(
    struct writer *w, const struct spawner_child *child, struct err *err);

/* Sends a line (the line feed is added), now or as soon as it can. */
void writer_say(struct writer *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends what it can, then ends its input. */
void writer_finish(struct writer *w);

/* An answer to the step is awaited from now on. */
void writer_expect(
    struct writer *w, enum writers_step step, int64_t deadline_ms);

/* The answer to the step that it was asked first. */
void writer_answer(struct writer *w, bool ok, const char *text);

/* Its descriptor has something. */
void writer_event(struct writer *w, enum writer_stream stream);

/* The process has ended: reads what it left, then draws the conclusion. */
void writer_ended(struct writer *w, int status);

/* The time is over for what it was asked. */
void writer_timed_out(struct writer *w);

/* Its output ended long ago, and the process did not. */
void writer_closed_output(struct writer *w);

/* Closes all descriptors and forgets the process, which is returned. */
pid_t writer_let_go(struct writer *w);

#endif
