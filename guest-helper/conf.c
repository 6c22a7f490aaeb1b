/* SPDX-License-Identifier: Apache-2.0 */
/* Reading guest.conf, strictly. */
#include "guest-helper/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/ini/ini_file.h"
#include "common/ini/ini_words.h"
#include "guest-helper/writers/spawner.h"

#define KEYS_MAX 12
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIST_SEPARATORS ", \t"
#define HOOK_PREFIX "hook:"
#define STEP_MAX_S 3600
#define LEASE_MAX_S (MESSAGE_LEASE_MAX_MS / 1000)

enum type {
	NEGATED, /* yes or no, in a bool that says the contrary. */
	SECONDS, /* In a number of ms. */
	PATH,
	PATHS,
	WORDS, /* Types of file systems, names of writers. */
};

struct key {
	const char *name;
	enum type type;
	size_t offset;      /* Of its field in what the section fills. */
	unsigned int max_s; /* SECONDS */
};

struct kind {
	const char *name;
	const struct key *keys;
	size_t key_count;
};

enum { FILESYSTEMS, LIMITS, WRITERS, WRITER };
/* The keys of a writer, in their table. */
enum { REQUIRED, PREPARE, FREEZE, THAW, COMMITTED, ENABLED, AFTER };

static const struct key filesystems_keys[] = {
	{ "skip", PATHS, offsetof(struct conf, skip_mounts), 0 },
	{ "skip-type", WORDS, offsetof(struct conf, skip_types), 0 },
	{ "containers", NEGATED, offsetof(struct conf, ignore_containers), 0 },
};

static const struct key limits_keys[] = {
	{ "max-lease", SECONDS, offsetof(struct conf, lease_max_ms),
	    LEASE_MAX_S },
};

/* What [writers] says of all and [writer NAME] of one. */
#define EACH(field) offsetof(struct conf_writer, field)
#define ALL(field) offsetof(struct conf, defaults.field)
#define COMMON_KEYS(at) \
	[REQUIRED] = { "required", NEGATED, at(optional), 0 }, \
	[PREPARE] = { "prepare-timeout", SECONDS, at(prepare_ms), \
		STEP_MAX_S }, \
	[FREEZE] = { "freeze-timeout", SECONDS, at(freeze_ms), LEASE_MAX_S }, \
	[THAW] = { "thaw-timeout", SECONDS, at(thaw_ms), STEP_MAX_S }, \
	[COMMITTED] = { "committed-timeout", SECONDS, at(committed_ms), \
		STEP_MAX_S }

static const struct key writers_keys[] = {
	COMMON_KEYS(ALL),
	{ "enabled", NEGATED, offsetof(struct conf, no_writers), 0 },
	{ "hooks", NEGATED, offsetof(struct conf, no_hooks), 0 },
	{ "dir", PATH, offsetof(struct conf, writers_dir), 0 },
	{ "hook-dir", PATH, offsetof(struct conf, hooks_dir), 0 },
};

static const struct key writer_keys[] = {
	COMMON_KEYS(EACH),
	[ENABLED] = { "enabled", NEGATED, EACH(disabled), 0 },
	[AFTER] = { "after", WORDS, EACH(after), 0 },
};

static const struct kind kinds[] = {
	[FILESYSTEMS] = { "filesystems", filesystems_keys,
	    COUNT(filesystems_keys) },
	[LIMITS] = { "limits", limits_keys, COUNT(limits_keys) },
	[WRITERS] = { "writers", writers_keys, COUNT(writers_keys) },
	[WRITER] = { "writer", writer_keys, COUNT(writer_keys) },
};

struct parser {
	struct conf *conf;
	const struct kind *kind; /* NULL: before the first section. */
	size_t writer;           /* Of [writer NAME]: its place in conf. */
	unsigned int *seen;      /* The section's; 0: not given. */
	size_t last_key;
	unsigned int section_line[COUNT(kinds)];
	unsigned int seen_once[COUNT(kinds)][KEYS_MAX];
	unsigned int writer_line[MESSAGE_WRITERS_MAX];
	unsigned int seen_writer[MESSAGE_WRITERS_MAX][KEYS_MAX];
};

void
conf_init(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	c->lease_max_ms = MESSAGE_LEASE_MAX_MS;
	strcpy(c->writers_dir, CONF_WRITERS_DIR);
	strcpy(c->hooks_dir, CONF_HOOKS_DIR);
	c->defaults.prepare_ms = 60000;
	c->defaults.freeze_ms = 10000;
	c->defaults.thaw_ms = 10000;
	c->defaults.committed_ms = 60000;
}

/* ---- values ---- */

static int
set_negated(bool *out, const char *value, struct err *err)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
		err_set(err, ERR_ARG, "'%.100s' is neither yes nor no", value);
		return err_hint(err, "write yes or no");
	}
	*out = strcmp(value, "no") == 0;
	return 0;
}

static int
set_seconds(
    unsigned int *out_ms, const char *value, unsigned int max, struct err *err)
{
	unsigned long n = 0;
	char *end = NULL;

	if (isdigit((unsigned char)value[0]))
		n = strtoul(value, &end, 10);
	if (end == NULL || *end != '\0' || n < 1 || n > max) {
		err_set(err, ERR_ARG, "'%.100s' is no number from 1 to %u",
		    value, max);
		return err_hint(err, "write whole seconds from 1 to %u", max);
	}
	*out_ms = (unsigned int)n * 1000;
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
static int
set_list(struct conf_list *list, const char *value, bool paths, struct err *err)
{
	const char *p = value + strspn(value, LIST_SEPARATORS);
	char *item;
	size_t size;

	while (*p != '\0') {
		if (list->count == CONF_LIST_MAX)
			return err_set(err, ERR_ARG,
			    "the list has more than %d entries", CONF_LIST_MAX);
		item = list->items[list->count];
		size = strcspn(p, LIST_SEPARATORS);
		if ((paths ? set_path(item, p, size, err)
			   : set_word(item, p, size, err)) == -1)
			return -1;
		list->count++;
		p += size;
		p += strspn(p, LIST_SEPARATORS);
	}
	if (list->count == 0)
		return err_set(err, ERR_ARG, "the list is empty");
	return 0;
}

static int
set_value(void *base, const struct key *key, const char *value, struct err *err)
{
	void *field = (char *)base + key->offset;

	switch (key->type) {
	case NEGATED:
		return set_negated(field, value, err);
	case SECONDS:
		return set_seconds(field, value, key->max_s, err);
	case PATH:
		return set_path(field, value, strlen(value), err);
	case PATHS:
		return set_list(field, value, true, err);
	case WORDS:
		return set_list(field, value, false, err);
	}
	return err_set(err, ERR_BUG, "a key of no type");
}

/* ---- sections ---- */

static const struct kind *
find_kind(const char *name, size_t size)
{
	size_t i;

	for (i = 0; i < COUNT(kinds); i++)
		if (strlen(kinds[i].name) == size &&
		    memcmp(kinds[i].name, name, size) == 0)
			return &kinds[i];
	return NULL;
}

static int
unknown_section(const char *text, struct err *err)
{
	const char *near =
	    ini_words_nearest(text, kinds, COUNT(kinds), sizeof(kinds[0]));

	err_set(err, ERR_ARG, "unknown section [%.100s]", text);
	if (near != NULL && strcmp(near, kinds[WRITER].name) != 0)
		return err_hint(err, "did you mean [%s]?", near);
	return err_hint(err,
	    "there are [filesystems], [limits], [writers] and [writer NAME]");
}

static bool
is_hook(const char *name)
{
	return strncmp(name, HOOK_PREFIX, strlen(HOOK_PREFIX)) == 0;
}

static bool
name_valid(const char *name)
{
	return spawner_name_valid(
	    is_hook(name) ? name + strlen(HOOK_PREFIX) : name);
}

static int
add_writer(
    struct parser *p, const char *name, unsigned int line, struct err *err)
{
	struct conf *c = p->conf;
	struct conf_writer *w;
	size_t i;

	if (!name_valid(name)) {
		err_set(err, ERR_ARG, "'%.100s' is no writer's name", name);
		return err_hint(err,
		    "write [writer NAME], the name of a file in 'dir'; or "
		    "[writer hook:NAME]");
	}
	for (i = 0; i < c->writer_count; i++)
		if (strcmp(c->writers[i].name, name) == 0)
			return err_set(err, ERR_ARG,
			    "a second section [writer %s], the first is in "
			    "line %u",
			    name, p->writer_line[i]);
	if (c->writer_count == MESSAGE_WRITERS_MAX)
		return err_set(
		    err, ERR_ARG, "more than %d writers", MESSAGE_WRITERS_MAX);
	w = &c->writers[c->writer_count];
	memset(w, 0, sizeof(*w));
	strcpy(w->name, name);
	p->writer_line[c->writer_count] = line;
	p->seen = p->seen_writer[c->writer_count];
	p->writer = c->writer_count++;
	return 0;
}

static int
begin_section(
    void *arg, const char *text, struct ini_file_place *place, struct err *err)
{
	struct parser *p = arg;
	size_t size = strcspn(text, " \t"), number;
	const struct kind *kind = find_kind(text, size);
	const char *name = text + size + strspn(text + size, " \t");

	if (kind == NULL || (kind != &kinds[WRITER] && *name != '\0'))
		return unknown_section(text, err);
	p->kind = kind;
	p->last_key = KEYS_MAX;
	if (kind == &kinds[WRITER])
		return add_writer(p, name, place->line, err);
	number = (size_t)(kind - kinds);
	if (p->section_line[number] != 0)
		return err_set(err, ERR_ARG,
		    "a second section [%s], the first is in line %u",
		    kind->name, p->section_line[number]);
	p->section_line[number] = place->line;
	p->seen = p->seen_once[number];
	return 0;
}

/* ---- keys ---- */

static int
unknown_key(const struct parser *p, const char *name, struct err *err)
{
	const struct kind *kind = p->kind;
	const char *near = ini_words_nearest(
	    name, kind->keys, kind->key_count, sizeof(*kind->keys));
	char all[256];

	err_set(err, ERR_ARG, "unknown key '%.100s' in [%s]", name, kind->name);
	if (near != NULL)
		return err_hint(err, "did you mean '%s'?", near);
	ini_words_join(
	    all, sizeof(all), kind->keys, kind->key_count, sizeof(*kind->keys));
	return err_hint(err, "allowed: %s", all);
}

static int
set_key(struct parser *p, size_t number, const char *value,
    const struct ini_file_place *place, struct err *err)
{
	const struct key *key = &p->kind->keys[number];
	bool more = place->indented && number == p->last_key;
	void *base = p->conf;

	if (more && key->type != PATHS && key->type != WORDS)
		return err_set(err, ERR_ARG,
		    "'%s' is no list and cannot go on in an indented line",
		    key->name);
	if (!more && p->seen[number] != 0)
		return err_set(err, ERR_ARG,
		    "'%s' is given twice, first in line %u", key->name,
		    p->seen[number]);
	if (value[0] == '\0')
		return err_set(err, ERR_ARG, "'%s' has no value", key->name);
	p->seen[number] = place->line;
	p->last_key = number;
	if (p->kind == &kinds[WRITER])
		base = &p->conf->writers[p->writer];
	if (set_value(base, key, value, err) == -1)
		return err_prefix(err, "%s", key->name);
	return 0;
}

static int
handle_key(void *arg, const char *name, const char *value,
    struct ini_file_place *place, struct err *err)
{
	struct parser *p = arg;
	size_t i;

	if (p->kind == NULL) {
		err_set(err, ERR_ARG,
		    "'%.100s' stands before the first section", name);
		return err_hint(err,
		    "begin with [filesystems], [limits], [writers] or "
		    "[writer NAME]");
	}
	for (i = 0; i < p->kind->key_count; i++)
		if (strcmp(p->kind->keys[i].name, name) == 0)
			return set_key(p, i, value, place, err);
	return unknown_key(p, name, err);
}

/* ---- the whole ---- */

/* [writers] may stand below a [writer NAME], so this waits for the end. */
static void
inherit(struct parser *p)
{
	struct conf *c = p->conf;
	struct conf_writer *w;
	const unsigned int *seen;
	size_t i;

	for (i = 0; i < c->writer_count; i++) {
		w = &c->writers[i];
		seen = p->seen_writer[i];
		if (seen[REQUIRED] == 0)
			w->optional = c->defaults.optional;
		if (seen[PREPARE] == 0)
			w->prepare_ms = c->defaults.prepare_ms;
		if (seen[FREEZE] == 0)
			w->freeze_ms = c->defaults.freeze_ms;
		if (seen[THAW] == 0)
			w->thaw_ms = c->defaults.thaw_ms;
		if (seen[COMMITTED] == 0)
			w->committed_ms = c->defaults.committed_ms;
	}
}

/* A hook neither comes after something nor before. */
static int
check_hooks(const struct parser *p, const char *path, struct err *err)
{
	const struct conf_writer *w = p->conf->writers;
	size_t i, j;
	bool wrong;

	for (i = 0; i < p->conf->writer_count; i++) {
		wrong = w[i].after.count > 0 && is_hook(w[i].name);
		for (j = 0; j < w[i].after.count; j++)
			wrong |= is_hook(w[i].after.items[j]);
		if (!wrong)
			continue;
		err_set(err, ERR_ARG, "'after' is for writers, not for hooks");
		err_hint(err, "hooks are run when all writers are frozen");
		return ini_file_fail_at(err, path, p->seen_writer[i][AFTER]);
	}
	return 0;
}

/* A bit for each writer with a section that w's `after` names. */
static uint32_t
predecessors(const struct conf *c, const struct conf_writer *w)
{
	uint32_t found = 0;
	size_t i, j;

	for (i = 0; i < w->after.count; i++)
		for (j = 0; j < c->writer_count; j++)
			if (strcmp(w->after.items[i], c->writers[j].name) == 0)
				found |= UINT32_C(1) << j;
	return found;
}

/* Takes away those that wait for nobody left; what remains goes in rings. */
static int
check_order(const struct parser *p, const char *path, struct err *err)
{
	const struct conf *c = p->conf;
	uint32_t left = 0, before;
	size_t i;

	_Static_assert(MESSAGE_WRITERS_MAX <= 32, "a bit for each");
	for (i = 0; i < c->writer_count; i++)
		left |= UINT32_C(1) << i;
	do {
		before = left;
		for (i = 0; i < c->writer_count; i++)
			if ((predecessors(c, &c->writers[i]) & left) == 0)
				left &= ~(UINT32_C(1) << i);
	} while (left != before);
	for (i = 0; i < c->writer_count; i++) {
		if ((left & UINT32_C(1) << i) == 0)
			continue;
		err_set(err, ERR_ARG, "'%s' comes after itself",
		    c->writers[i].name);
		err_hint(err, "break the ring of 'after'");
		return ini_file_fail_at(err, path, p->seen_writer[i][AFTER]);
	}
	return 0;
}

static int
parse(struct conf *c, const char *text, const char *path, struct err *err)
{
	static const struct ini_file_events events = {
		begin_section,
		handle_key,
	};
	struct parser p = { .conf = c };

	if (ini_file_parse(text, path, &events, &p, err) == -1)
		return -1;
	inherit(&p);
	return check_hooks(&p, path, err) == -1 ||
		       check_order(&p, path, err) == -1
		   ? -1
		   : 0;
}

int
conf_read(struct conf *c, const char *path, bool must_exist, struct err *err)
{
	char *text = NULL;
	int rc;

	if (ini_file_load(&text, path, err) == -1) {
		if (must_exist || err->sys_errno != ENOENT)
			return -1;
		err_clear(err);
		return 0;
	}
	rc = parse(c, text, path, err);
	free(text);
	return rc;
}

const struct conf_writer *
conf_writer(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->writer_count; i++)
		if (strcmp(c->writers[i].name, name) == 0)
			return &c->writers[i];
	return &c->defaults;
}
