/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a section: those it may have, in a table of which each entry
 * begins with the name (see common/words.h), and those it was given.
 */
#ifndef HOLDSTILL_COMMON_INI_INI_KEYS_H
#define HOLDSTILL_COMMON_INI_INI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define INI_KEYS_MAX 24

struct err;
struct ini_file_place;

/* All zero at the section's begin. */
struct ini_keys {
	unsigned int lines[INI_KEYS_MAX]; /* Where each begins; 0: nowhere. */
	size_t last; /* The number of the last one, plus 1; 0: none. */
};

/* The key's number in the table.  One that is not there is ERR_ARG, with
 * what it may have been; section is for that text: "job nightly". */
int ini_keys_find(size_t *out, const char *name, const char *section,
    const void *table, size_t count, size_t stride, struct err *err);

/* How many edits this key or section may be away from what was meant. */
unsigned int ini_keys_near(const char *word);

/*
 * The key is given at that place.  ERR_ARG if it was before, if it has no
 * value, or if it goes on with the line above and is no list.
 */
int ini_keys_give(struct ini_keys *keys, size_t number, const char *name,
    bool is_list, const char *value, const struct ini_file_place *place,
    struct err *err);

#endif
