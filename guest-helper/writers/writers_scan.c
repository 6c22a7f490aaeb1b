/* SPDX-License-Identifier: Apache-2.0 */
/* Which writers and hooks there are, and which of them can be run. */
#include "guest-helper/writers/writers_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "guest-helper/conf.h"

static bool
comes_before(const struct writer *a, const char *name, bool hook)
{
	if (a->hook != hook)
		return hook;
	return strcmp(a->name, name) < 0;
}

struct writer *
writers_add(struct writers *s, const char *name, bool hook)
{
	struct writer *w;
	size_t at = 0;

	if (s->count == MESSAGE_WRITERS_MAX)
		return NULL;
	w = malloc(sizeof(*w));
	if (w == NULL)
		return NULL;
	writer_init(w, name, hook, s->epoll);
	w->conf = conf_writer(s->conf, name);
	while (at < s->count && comes_before(s->items[at], name, hook))
		at++;
	memmove(&s->items[at + 1], &s->items[at],
	    (s->count - at) * sizeof(s->items[0]));
	s->items[at] = w;
	s->count++;
	return w;
}

static void
trouble(struct writers *s, const char *text)
{
	writer_line_copy(s->trouble, sizeof(s->trouble), text);
	log_line(LOG_WARNING, "writers: %s", text);
}

/* why: it cannot be run; "": it can. */
static void
see(struct writers *s, const char *name, bool hook, const char *why)
{
	struct writer *w = writers_find(s, name);

	if (w == NULL)
		w = writers_add(s, name, hook);
	if (w == NULL) {
		trouble(s, "there are more than 32 of them");
		return;
	}
	/* A failure in a session stays. */
	if (w->unfit[0] != '\0' && why[0] == '\0' &&
	    w->state == MESSAGE_WRITER_FAILED)
		writer_set_state(w, MESSAGE_WRITER_STABLE);
	w->seen = true;
	writer_line_copy(w->unfit, sizeof(w->unfit), why);
}

static void
see_file(struct writers *s, const char *dir, const char *file, bool hook)
{
	char name[MESSAGE_NAME_SIZE];
	struct err err = ERR_INIT;

	if (!spawner_name_valid(file))
		return;
	/* A valid name leaves room for that. */
	snprintf(name, sizeof(name), "%s%.*s", hook ? WRITER_HOOK_PREFIX : "",
	    (int)(sizeof(name) - sizeof(WRITER_HOOK_PREFIX)), file);
	if (conf_writer(s->conf, name)->disabled)
		return;
	if (spawner_check(dir, file, &err) == 0)
		see(s, name, hook, "");
	else if (err.class != ERR_NOT_FOUND)
		see(s, name, hook, err.text);
}

static void
unreadable(struct writers *s, const char *path)
{
	char text[MESSAGE_REASON_SIZE];

	snprintf(text, sizeof(text), "cannot read '%.80s': %s", path,
	    strerror(errno));
	trouble(s, text);
}

static void
scan_dir(struct writers *s, const char *path, bool hook)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (dir == NULL && errno == ENOENT)
		return;
	if (dir == NULL) {
		unreadable(s, path);
		return;
	}
	while (errno = 0, (entry = readdir(dir)) != NULL)
		see_file(s, path, entry->d_name, hook);
	if (errno != 0)
		unreadable(s, path);
	closedir(dir);
}

/* Whoever has a section of its own is expected. */
static void
see_configured(struct writers *s)
{
	const struct conf_writer *c = s->conf->writers;
	struct writer *w;
	bool hook;

	for (; c < s->conf->writers + s->conf->writer_count; c++) {
		hook = strncmp(c->name, WRITER_HOOK_PREFIX,
			   strlen(WRITER_HOOK_PREFIX)) == 0;
		w = writers_find(s, c->name);
		if (!c->disabled && (w == NULL || !w->seen) &&
		    !(hook && s->conf->no_hooks))
			see(s, c->name, hook,
			    "is configured, but there is no such executable");
	}
}

static void
forget_unseen(struct writers *s)
{
	size_t i, kept = 0;

	for (i = 0; i < s->count; i++) {
		if (s->items[i]->seen)
			s->items[kept++] = s->items[i];
		else
			free(s->items[i]);
	}
	s->count = kept;
}

/* ---- the order ---- */

/* Bits of the writers that items[i] comes after. */
static uint32_t
after_bits(const struct writers *s, const struct writer *w)
{
	const struct conf_list *after = &w->conf->after;
	uint32_t bits = 0;
	size_t i, j;

	for (i = 0; i < after->count; i++)
		for (j = 0; j < s->count; j++)
			if (strcmp(after->items[i], s->items[j]->name) == 0)
				bits |= UINT32_C(1) << j;
	return bits;
}

static void
refuse_order(struct writer *w, const char *why)
{
	if (w->unfit[0] == '\0')
		writer_line_copy(w->unfit, sizeof(w->unfit), why);
}

/* Hooks freeze after all writers; a writer that waits for one, or for itself
 * through others, would wait for ever. */
static void
check_order(struct writers *s)
{
	uint32_t bits[MESSAGE_WRITERS_MAX], hooks = 0;
	size_t i, k;

	_Static_assert(MESSAGE_WRITERS_MAX <= 32, "a bit for each");
	for (i = 0; i < s->count; i++) {
		if (s->items[i]->hook)
			hooks |= UINT32_C(1) << i;
		bits[i] = s->items[i]->hook ? 0 : after_bits(s, s->items[i]);
	}
	for (k = 0; k < s->count; k++)
		for (i = 0; i < s->count; i++)
			if (bits[i] >> k & 1)
				bits[i] |= bits[k];
	for (i = 0; i < s->count; i++) {
		if (bits[i] >> i & 1)
			refuse_order(
			    s->items[i], "its 'after' leads back to itself");
		else if (bits[i] & hooks)
			refuse_order(s->items[i],
			    "its 'after' leads to a hook, and hooks come last");
	}
}

void
writers_scan_now(struct writers *s)
{
	size_t i;

	s->trouble[0] = '\0';
	/* Names that only a host has said. */
	forget_unseen(s);
	for (i = 0; i < s->count; i++)
		s->items[i]->seen = false;
	if (!s->conf->no_writers) {
		scan_dir(s, s->conf->writers_dir, false);
		if (!s->conf->no_hooks)
			scan_dir(s, s->conf->hooks_dir, true);
		see_configured(s);
	}
	forget_unseen(s);
	check_order(s);
}

bool
writers_idle(const struct writers *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->items[i]->pid != 0 || s->items[i]->touched)
			return false;
	return true;
}

int
writers_scan(struct writers *s, struct err *err)
{
	struct writer *w;
	size_t i;

	/* In a session those that are in it are what there is. */
	if (s->step != WRITERS_NONE || !writers_idle(s))
		return 0;
	writers_scan_now(s);
	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		if (w->unfit[0] != '\0' &&
		    (w->state != MESSAGE_WRITER_FAILED ||
			strcmp(w->reason, w->unfit) != 0))
			writer_fail(w, "%s", w->unfit);
	}
	if (s->trouble[0] != '\0')
		return err_set(err, ERR_IO, "writers: %s", s->trouble);
	return 0;
}
