/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read guest.conf share.  Internal to them. */
#ifndef HOLDSTILL_GUEST_CONF_INTERNAL_H
#define HOLDSTILL_GUEST_CONF_INTERNAL_H

#include "guest-helper/conf.h"

enum conf_type {
	CONF_NEGATED, /* yes or no, in a bool that says the contrary. */
	CONF_SECONDS, /* In a number of ms. */
	CONF_PATH_NAME,
	CONF_PATHS,
	CONF_WORDS, /* Types of file systems, names of writers. */
};

struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset;      /* Of its field in what the section fills. */
	unsigned int max_s; /* CONF_SECONDS */
};

/* A kind of section. */
struct conf_kind {
	const char *name;
	const struct conf_key *keys;
	size_t key_count;
};

enum {
	CONF_FILESYSTEMS,
	CONF_LIMITS,
	CONF_WRITERS,
	CONF_WRITER, /* [writer NAME]; the others have no name. */
	CONF_KIND_COUNT,
};
extern const struct conf_kind conf_kinds[CONF_KIND_COUNT];

/* The keys of CONF_WRITER, in their table. */
enum {
	CONF_REQUIRED,
	CONF_PREPARE,
	CONF_FREEZE,
	CONF_THAW,
	CONF_COMMITTED,
	CONF_ENABLED,
	CONF_AFTER,
};

/* May the value go on in a next line? */
bool conf_keys_is_list(const struct conf_key *key);

/* Reads the value into the field in base, a struct conf or (CONF_WRITER) a
 * struct conf_writer; a list's is added to what is there. */
int conf_keys_set(
    void *base, const struct conf_key *key, const char *value, struct err *err);

#endif
