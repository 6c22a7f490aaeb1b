/* SPDX-License-Identifier: Apache-2.0 */
/* Reading guest.conf, strictly. */
#include "guest-helper/conf_internal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/ini/ini_file.h"
#include "common/ini/ini_keys.h"
#include "common/words.h"
#include "guest-helper/writers/spawner.h"

#define HOOK_PREFIX "hook:"

struct parser {
	struct conf *conf;
	const struct conf_kind *kind; /* NULL: before the first section. */
	size_t writer;                /* Of [writer NAME]: its place in conf. */
	struct ini_keys *keys;        /* The section's. */
	unsigned int section_line[CONF_KIND_COUNT];
	struct ini_keys section_keys[CONF_KIND_COUNT];
	unsigned int writer_line[MESSAGE_WRITERS_MAX];
	struct ini_keys writer_keys[MESSAGE_WRITERS_MAX];
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

/* ---- sections ---- */

static int
unknown_section(const char *text, struct err *err)
{
	const char *near = words_nearest(text, ini_keys_near(text), conf_kinds,
	    CONF_KIND_COUNT, sizeof(conf_kinds[0]));

	err_set(err, ERR_ARG, "unknown section [%.100s]", text);
	if (near != NULL && strcmp(near, conf_kinds[CONF_WRITER].name) != 0)
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
	p->keys = &p->writer_keys[c->writer_count];
	p->writer = c->writer_count++;
	return 0;
}

static int
begin_section(
    void *arg, const char *text, struct ini_file_place *place, struct err *err)
{
	struct parser *p = arg;
	size_t size = strcspn(text, " \t"), number;
	const char *name = text + size + strspn(text + size, " \t");

	if (!words_find(&number, text, size, conf_kinds, CONF_KIND_COUNT,
		sizeof(conf_kinds[0])) ||
	    (number != CONF_WRITER && *name != '\0'))
		return unknown_section(text, err);
	p->kind = &conf_kinds[number];
	if (number == CONF_WRITER)
		return add_writer(p, name, place->line, err);
	if (p->section_line[number] != 0)
		return err_set(err, ERR_ARG,
		    "a second section [%s], the first is in line %u",
		    p->kind->name, p->section_line[number]);
	p->section_line[number] = place->line;
	p->keys = &p->section_keys[number];
	return 0;
}

/* ---- keys ---- */

static int
set_key(struct parser *p, const struct conf_key *key, const char *value,
    struct err *err)
{
	void *base = p->conf;

	if (p->kind == &conf_kinds[CONF_WRITER])
		base = &p->conf->writers[p->writer];
	if (conf_keys_set(base, key, value, err) == -1)
		return err_prefix(err, "%s", key->name);
	return 0;
}

static int
handle_key(void *arg, const char *name, const char *value,
    struct ini_file_place *place, struct err *err)
{
	struct parser *p = arg;
	const struct conf_kind *kind = p->kind;
	size_t i;

	if (kind == NULL) {
		err_set(err, ERR_ARG,
		    "'%.100s' stands before the first section", name);
		return err_hint(err,
		    "begin with [filesystems], [limits], [writers] or "
		    "[writer NAME]");
	}
	if (ini_keys_find(&i, name, kind->name, kind->keys, kind->key_count,
		sizeof(*kind->keys), err) == -1 ||
	    ini_keys_give(p->keys, i, name, conf_keys_is_list(&kind->keys[i]),
		value, place, err) == -1)
		return -1;
	return set_key(p, &kind->keys[i], value, err);
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
		seen = p->writer_keys[i].lines;
		if (seen[CONF_REQUIRED] == 0)
			w->optional = c->defaults.optional;
		if (seen[CONF_PREPARE] == 0)
			w->prepare_ms = c->defaults.prepare_ms;
		if (seen[CONF_FREEZE] == 0)
			w->freeze_ms = c->defaults.freeze_ms;
		if (seen[CONF_THAW] == 0)
			w->thaw_ms = c->defaults.thaw_ms;
		if (seen[CONF_COMMITTED] == 0)
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
		return ini_file_fail_at(
		    err, path, p->writer_keys[i].lines[CONF_AFTER]);
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
		return ini_file_fail_at(
		    err, path, p->writer_keys[i].lines[CONF_AFTER]);
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
