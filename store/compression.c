/* SPDX-License-Identifier: Apache-2.0 */
/* Words for compression, and the ladder of "auto". */
#include "store/compression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/frame.h"

#define DEFAULT_LEVEL 1

/*
 * Each step costs some processor time and gives some ratio; from -3 down a
 * disk of a system grows faster than the time shrinks, from 9 up it hardly
 * shrinks at all (figures: docs/compression.md).
 */
static const int ladder[] = { -3, -1, 1, 2, 3, 4, 5, 6, 7, 9 };
#define LADDER_STEPS (sizeof(ladder) / sizeof(ladder[0]))
#define LADDER_START 2

/* In percent of the time from pack to pack.  Where neither is so, nor the
 * backend without work, the level stays. */
#define BLOCKED_MUCH 25
#define IDLE_LITTLE 10

const struct store_compression store_compression_default = {
	.mode = STORE_COMPRESSION_ZSTD,
	.level = DEFAULT_LEVEL,
};

static int
parse_level(int *out, const char *text)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	long level;

	if (digits[0] == '\0' || strlen(digits) > 2 ||
	    strspn(digits, "0123456789") != strlen(digits))
		return -1;
	level = strtol(text, NULL, 10);
	if (level < STORE_LEVEL_MIN || level > STORE_LEVEL_MAX || level == 0)
		return -1;
	*out = (int)level;
	return 0;
}

int
store_compression_parse(
    struct store_compression *out, const char *text, struct err *err)
{
	struct store_compression c = store_compression_default;

	if (strcmp(text, "none") == 0) {
		c.mode = STORE_COMPRESSION_NONE;
	} else if (strcmp(text, "auto") == 0) {
		c.mode = STORE_COMPRESSION_AUTO;
	} else if (strncmp(text, "zstd:", 5) != 0 ||
		   parse_level(&c.level, text + 5) == -1) {
		err_set(err, ERR_ARG, "'%.64s' is no compression", text);
		return err_hint(err,
		    "write none, auto, or zstd:LEVEL with a level from %d to "
		    "%d, as in zstd:%d",
		    STORE_LEVEL_MIN, STORE_LEVEL_MAX, DEFAULT_LEVEL);
	}
	*out = c;
	return 0;
}

char *
store_compression_text(
    char out[STORE_COMPRESSION_SIZE], const struct store_compression *c)
{
	switch (c->mode) {
	case STORE_COMPRESSION_NONE:
		return strcpy(out, "none");
	case STORE_COMPRESSION_AUTO:
		return strcpy(out, "auto");
	case STORE_COMPRESSION_ZSTD:
		break;
	}
	snprintf(out, STORE_COMPRESSION_SIZE, "zstd:%d", c->level);
	return out;
}

void
level_init(struct level *l, const struct store_compression *c)
{
	int now = c->level;

	l->adaptive = c->mode == STORE_COMPRESSION_AUTO;
	l->step = LADDER_START;
	if (c->mode == STORE_COMPRESSION_NONE)
		now = FRAME_LEVEL_STORE;
	else if (l->adaptive)
		now = ladder[l->step];
	atomic_init(&l->now, now);
}

int
level_now(const struct level *l)
{
	return atomic_load_explicit(&l->now, memory_order_relaxed);
}

static unsigned int
percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0
			  : (unsigned int)((double)part * 100 / (double)whole);
}

void
level_learn(struct level *l, const struct level_times *t)
{
	unsigned int blocked = percent(t->blocked_ns, t->passed_ns);
	unsigned int idle = percent(t->idle_ns, t->passed_ns);

	if (!l->adaptive)
		return;
	if (blocked >= BLOCKED_MUCH && l->step + 1 < LADDER_STEPS)
		l->step++;
	else if (t->queued == 0 && idle < IDLE_LITTLE && l->step > 0)
		l->step--;
	atomic_store_explicit(&l->now, ladder[l->step], memory_order_relaxed);
}
