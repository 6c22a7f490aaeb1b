/* SPDX-License-Identifier: Apache-2.0 */
/* The sections and keys of guest.conf, and how values are read. */
#include "guest-helper/conf_internal.h"

#include <string.h>

#include "common/err.h"
#include "common/ini/ini_keys.h"
#include "common/ini/ini_value.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STEP_MAX_S 3600
#define LEASE_MAX_S (MESSAGE_LEASE_MAX_MS / 1000)

static const struct conf_key filesystems_keys[] = {
	{ "skip", CONF_PATHS, offsetof(struct conf, skip_mounts), 0 },
	{ "skip-type", CONF_WORDS, offsetof(struct conf, skip_types), 0 },
	{ "containers", CONF_NEGATED, offsetof(struct conf, ignore_containers),
	    0 },
};

static const struct conf_key limits_keys[] = {
	{ "max-lease", CONF_SECONDS, offsetof(struct conf, lease_max_ms),
	    LEASE_MAX_S },
};

/* What [writers] says of all and [writer NAME] of one. */
#define EACH(field) offsetof(struct conf_writer, field)
#define ALL(field) offsetof(struct conf, defaults.field)
#define COMMON_KEYS(at) \
	[CONF_REQUIRED] = { "required", CONF_NEGATED, at(optional), 0 }, \
	[CONF_PREPARE] = { "prepare-timeout", CONF_SECONDS, at(prepare_ms), \
		STEP_MAX_S }, \
	[CONF_FREEZE] = { "freeze-timeout", CONF_SECONDS, at(freeze_ms), \
		LEASE_MAX_S }, \
	[CONF_THAW] = { "thaw-timeout", CONF_SECONDS, at(thaw_ms), \
		STEP_MAX_S }, \
	[CONF_COMMITTED] = { "committed-timeout", CONF_SECONDS, \
		at(committed_ms), STEP_MAX_S }

static const struct conf_key writers_keys[] = {
	COMMON_KEYS(ALL),
	{ "enabled", CONF_NEGATED, offsetof(struct conf, no_writers), 0 },
	{ "hooks", CONF_NEGATED, offsetof(struct conf, no_hooks), 0 },
	{ "dir", CONF_PATH_NAME, offsetof(struct conf, writers_dir), 0 },
	{ "hook-dir", CONF_PATH_NAME, offsetof(struct conf, hooks_dir), 0 },
};

static const struct conf_key writer_keys[] = {
	COMMON_KEYS(EACH),
	[CONF_ENABLED] = { "enabled", CONF_NEGATED, EACH(disabled), 0 },
	[CONF_AFTER] = { "after", CONF_WORDS, EACH(after), 0 },
};

const struct conf_kind conf_kinds[CONF_KIND_COUNT] = {
	[CONF_FILESYSTEMS] = { "filesystems", filesystems_keys,
	    COUNT(filesystems_keys) },
	[CONF_LIMITS] = { "limits", limits_keys, COUNT(limits_keys) },
	[CONF_WRITERS] = { "writers", writers_keys, COUNT(writers_keys) },
	[CONF_WRITER] = { "writer", writer_keys, COUNT(writer_keys) },
};

_Static_assert(
    COUNT(writers_keys) <= INI_KEYS_MAX && COUNT(writer_keys) <= INI_KEYS_MAX,
    "a line for each");

/* ---- values ---- */

static int
set_negated(bool *out, const char *value, struct err *err)
{
	bool yes;

	if (ini_value_yes_no(&yes, value, err) == -1)
		return -1;
	*out = !yes;
	return 0;
}

static int
set_seconds(
    unsigned int *out_ms, const char *value, unsigned int max, struct err *err)
{
	unsigned int seconds;

	if (ini_value_number(&seconds, value, 1, max, err) == -1)
		return err_hint(err, "write whole seconds from 1 to %u", max);
	*out_ms = seconds * 1000;
	return 0;
}

/* \040 and the like, as in fstab(5): a blank or comma in a path. */
static bool
is_escape(const char *word, size_t size)
{
	size_t i;

	if (size < 4 || word[0] != '\\' || word[1] > '3')
		return false;
	for (i = 1; i < 4; i++)
		if (word[i] < '0' || word[i] > '7')
			return false;
	return true;
}

/* -1: it does not fit. */
static int
decode(char *out, size_t out_size, const char *word, size_t size)
{
	size_t i = 0, used = 0;

	while (i < size) {
		if (used + 1 == out_size)
			return -1;
		if (is_escape(word + i, size - i)) {
			out[used++] =
			    (char)((word[i + 1] - '0') * 64 +
				   (word[i + 2] - '0') * 8 + word[i + 3] - '0');
			i += 4;
		} else {
			out[used++] = word[i++];
		}
	}
	out[used] = '\0';
	return 0;
}

static int
set_path(
    char out[MESSAGE_PATH_SIZE], const char *word, size_t size, struct err *err)
{
	size_t end;

	if (decode(out, MESSAGE_PATH_SIZE, word, size) == -1)
		return err_set(err, ERR_ARG, "'%.100s...' is too long", word);
	if (out[0] != '/')
		return err_set(
		    err, ERR_ARG, "'%.100s' is no absolute path", out);
	/* "/srv/" is "/srv". */
	for (end = strlen(out); end > 1 && out[end - 1] == '/'; end--)
		out[end - 1] = '\0';
	return 0;
}

static int
set_word(
    char out[MESSAGE_PATH_SIZE], const char *word, size_t size, struct err *err)
{
	if (size >= MESSAGE_NAME_SIZE)
		return err_set(err, ERR_ARG, "'%.100s...' is too long", word);
	memcpy(out, word, size);
	out[size] = '\0';
	return 0;
}

/* Adds to the list, so that it may go on in a next line. */
/* Adds to the list, so that it may go on in a next line. */
static int
set_list(struct conf_list *list, const char *value, bool paths, struct err *err)
{
	const char *word;
	char *item;
	size_t size;

	while ((word = ini_value_next(&value, &size)) != NULL) {
		if (list->count == CONF_LIST_MAX)
			return err_set(err, ERR_ARG,
			    "the list has more than %d entries", CONF_LIST_MAX);
		item = list->items[list->count];
		if ((paths ? set_path(item, word, size, err)
			   : set_word(item, word, size, err)) == -1)
			return -1;
		list->count++;
	}
	if (list->count == 0)
		return err_set(err, ERR_ARG, "the list is empty");
	return 0;
}

bool
conf_keys_is_list(const struct conf_key *key)
{
	return key->type == CONF_PATHS || key->type == CONF_WORDS;
}

int
conf_keys_set(
    void *base, const struct conf_key *key, const char *value, struct err *err)
{
	void *field = (char *)base + key->offset;

	switch (key->type) {
	case CONF_NEGATED:
		return set_negated(field, value, err);
	case CONF_SECONDS:
		return set_seconds(field, value, key->max_s, err);
	case CONF_PATH_NAME:
		return set_path(field, value, strlen(value), err);
	case CONF_PATHS:
		return set_list(field, value, true, err);
	case CONF_WORDS:
		return set_list(field, value, false, err);
	}
	return err_set(err, ERR_BUG, "a key of no type");
}
