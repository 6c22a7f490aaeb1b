/* SPDX-License-Identifier: Apache-2.0 */
/* What the set tells: level, holds, inputs, states. */
#include "guest-helper/writers/writers_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "guest-helper/conf.h"

static bool
was_held(const struct writer *w)
{
	return w->state == MESSAGE_WRITER_THAWED ||
	       w->state == MESSAGE_WRITER_COMMITTED;
}

static bool
serves(const struct writers *s, const struct writer *w)
{
	if (s->thawing)
		return was_held(w);
	return w->state >= MESSAGE_WRITER_PREPARING &&
	       w->state <= MESSAGE_WRITER_FROZEN;
}

/* The first that spoils the level; any: also optional ones. */
static const struct writer *
find_spoiler(const struct writers *s, bool any)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (!serves(s, s->items[i]) &&
		    (any || !s->items[i]->conf->optional))
			return s->items[i];
	return NULL;
}

static bool
any_serves(const struct writers *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (serves(s, s->items[i]))
			return true;
	return false;
}

static const char *
describe(const struct writers *s, const struct writer *w)
{
	const char *why = w->reason;

	if (w->state != MESSAGE_WRITER_FAILED)
		why = s->thawing ? "was not held" : "is not prepared";
	/* The text is the set's own scratch, not a part of its state. */
	snprintf(s->text, WRITERS_TEXT_SIZE, "writer '%s': %s", w->name, why);
	return s->text;
}

enum message_level
writers_level(const struct writers *s, const char **out_reason)
{
	const struct writer *spoiler;

	*out_reason = "";
	if (s->conf->no_writers)
		*out_reason = "writers are turned off in the guest";
	else if (s->trouble[0] != '\0')
		*out_reason = s->trouble;
	else if (s->count == 0)
		*out_reason = "the guest has no writers";
	else if ((spoiler = find_spoiler(s, !any_serves(s))) != NULL)
		*out_reason = describe(s, spoiler);
	else
		return MESSAGE_APPLICATION;
	return MESSAGE_FILESYSTEM;
}

bool
writers_hold(const struct writers *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->items[i]->touched)
			return true;
	for (i = 0; i < WRITERS_LEAVING_MAX; i++)
		if (s->leaving[i].pid != 0 && s->leaving[i].touched)
			return true;
	return false;
}

size_t
writers_inputs(const struct writers *s, int *out, size_t max)
{
	size_t i, count = 0;
	struct writer *w;

	for (i = 0; i < s->count && count < max; i++) {
		w = s->items[i];
		if (w->fds[WRITER_INPUT] == -1 || w->finishing)
			continue;
		out[count++] = w->fds[WRITER_INPUT];
		w->shared = true;
	}
	return count;
}

static void
put(const struct writer *w, struct message_writer *m, int64_t now)
{
	size_t i;

	snprintf(m->name, sizeof(m->name), "%s", w->name);
	m->state = (uint64_t)w->state;
	m->required = !w->conf->optional;
	snprintf(m->reason, sizeof(m->reason), "%s", w->reason);
	m->age_ms = (uint64_t)(now - w->state_ms);
	/* 0 would be none. */
	if (w->reason[0] != '\0')
		m->failure_age_ms = (uint64_t)(now - w->failure_ms) + 1;
	m->prepare_ms = w->prepare_ms;
	m->freeze_ms = w->freeze_ms;
	m->thaw_ms = w->thaw_ms;
	for (i = 0; i < w->meta_count; i++)
		*message_add_meta(m) = w->metas[i];
}

void
writers_put(const struct writers *s, struct message *m)
{
	int64_t now = clock_monotonic_ms();
	struct message_writer *entry;
	size_t i;

	for (i = 0; i < s->count; i++) {
		entry = message_add_writer(m);
		if (entry == NULL)
			return;
		put(s->items[i], entry, now);
	}
}
