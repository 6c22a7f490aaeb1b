/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a class that callers act on, a text for people, a hint that says
 * what to do.  No allocation, so an error can always be reported.
 *
 * Every fallible function takes a `struct err *err` as its last argument,
 * never NULL, returns 0 or -1, and fills *err exactly when it returns -1.
 * The layer that fails sets class and text; upper layers only add a prefix.
 * Only a command or the job record prints.  Secrets never go into a text.
 */
#ifndef HOLDSTILL_COMMON_ERR_H
#define HOLDSTILL_COMMON_ERR_H

enum err_class {
	ERR_NONE = 0,
	ERR_ARG,         /* The caller's or the user's input is wrong. */
	ERR_NOT_FOUND,   /* The named thing does not exist. */
	ERR_EXISTS,      /* The named thing exists already. */
	ERR_BUSY,        /* Somebody else holds it; may pass. */
	ERR_IO,          /* A device, file or connection failed. */
	ERR_AUTH,        /* Permission, key or password. */
	ERR_NO_SPACE,    /* A disk or quota is full. */
	ERR_CORRUPT,     /* Stored or received bytes are wrong. */
	ERR_UNSUPPORTED, /* This build, version or backend cannot do it. */
	ERR_TIMEOUT,     /* A deadline passed. */
	ERR_CANCELLED,   /* A person or signal asked us to stop. */
	ERR_NO_MEMORY,
	ERR_BUG, /* Our own mistake. */
};

struct err {
	enum err_class class;
	int sys_errno; /* errno where there was one, else 0. */
	char text[640];
	char hint[320]; /* "" where there is none. */
};

#define ERR_INIT \
	{ \
		.class = ERR_NONE \
	}

/* Sets class and text; returns -1 always, for `return err_set(...)`. */
int err_set(struct err *err, enum err_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set; the class follows from errnum and its text is appended. */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ERR_NO_MEMORY with a text; returns -1. */
int err_no_memory(struct err *err);

/* As err_set, but ERR_NO_MEMORY if errno says so: for calls of libraries that
 * fail without a reason.  The caller has set errno to 0 before the call. */
int err_library(struct err *err, enum err_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " before the text.  The class stays.  Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Sets the hint: an action, lower case, no full stop.  Returns -1. */
int err_hint(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Forgets everything, so that err can be used again. */
void err_clear(struct err *err);

/* A word for the class: "not-found", "corrupt", ... */
const char *err_class_name(enum err_class class);

#endif
