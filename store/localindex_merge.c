/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging runs.  Each is at least MERGE_RATIO times as large as the next newer
 * one, so there are few to look into, and an entry is written anew only as
 * often as the index grows by that factor.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/localindex_internal.h"

#define MERGE_RATIO 4u
/* Numbers are counted from 1 each time an index is made anew. */
#define NUMBERS_MAX (UINT32_C(1) << 30)

struct source {
	const uint8_t *entry; /* The next; NULL: the end. */
	struct run_cursor *run;
	MDB_cursor *newest;
	const struct localindex_gathered *gathered;
	size_t at;
	uint8_t bytes[RUN_ENTRY_BYTES];
};

struct merging {
	struct localindex *li;
	MDB_txn *txn;
	struct source source[LOCALINDEX_RUNS_MAX + 2];
	unsigned int count;
	uint8_t *live; /* Bit n: pack number n is in here. */
	uint64_t live_end;
	struct run_writer *writer;
	uint64_t entries;
	uint8_t last[RUN_KEY_BYTES];
};

/* ---- sources ---- */

static int
next_newest(struct source *s)
{
	MDB_val key, value;
	int code = mdb_cursor_get(s->newest, &key, &value, MDB_NEXT);

	s->entry = NULL;
	if (code != 0)
		return code == MDB_NOTFOUND ? 0 : code;
	if (!localindex_row_get(s->bytes, &key, &value))
		return MDB_CORRUPTED;
	s->entry = s->bytes;
	return 0;
}

static void
next_gathered(struct source *s)
{
	const struct localindex_gathered *g = s->gathered;
	uint32_t number;

	s->entry = NULL;
	while (s->entry == NULL && s->at < g->count) {
		memcpy(s->bytes, g->entry[s->at++], RUN_ENTRY_BYTES);
		number = g->number[be32_get(s->bytes + RUN_NAME_BYTES)];
		be32_put(s->bytes + RUN_NAME_BYTES, number);
		if (number != 0)
			s->entry = s->bytes;
	}
}

static int
next_of(struct source *s)
{
	if (s->run != NULL)
		return localindex_run_cursor_next(&s->entry, s->run);
	if (s->newest != NULL)
		return next_newest(s);
	next_gathered(s);
	return 0;
}

static int
add_sources(struct merging *g, const struct localindex_gathered *gathered,
    const struct run_set *set, unsigned int first)
{
	struct source *s;
	int code;

	for (; first < set->count; first++) {
		if (set->run[first] == NULL)
			return MDB_CORRUPTED;
		s = &g->source[g->count];
		code = localindex_run_cursor_new(&s->run, set->run[first]);
		if (code != 0)
			return code;
		g->count++;
	}
	if (gathered != NULL)
		g->source[g->count++].gathered = gathered;
	s = &g->source[g->count];
	if ((code = mdb_cursor_open(g->txn, g->li->blobs, &s->newest)) != 0)
		return code;
	g->count++;
	return 0;
}

/* ---- which packs are in here still ---- */

static int
load_live(struct merging *g)
{
	uint64_t next = localindex_counter(g->li, g->txn, LOCALINDEX_NEXT_PACK);
	MDB_val key, value;
	MDB_cursor *c;
	uint32_t n;
	int code;

	if (next > NUMBERS_MAX)
		return MDB_CORRUPTED;
	g->live_end = next;
	if ((g->live = calloc(1, (size_t)next / 8 + 1)) == NULL)
		return ENOMEM;
	if ((code = mdb_cursor_open(g->txn, g->li->numbers, &c)) != 0)
		return code;
	while ((code = mdb_cursor_get(c, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != 4 || (n = be32_get(key.mv_data)) >= next)
			continue;
		g->live[n / 8] |= (uint8_t)(1u << n % 8);
	}
	mdb_cursor_close(c);
	return code == MDB_NOTFOUND ? 0 : code;
}

static bool
is_live(const struct merging *g, const uint8_t *entry)
{
	uint32_t n = be32_get(entry + RUN_NAME_BYTES);

	return n < g->live_end && (g->live[n / 8] >> n % 8 & 1) != 0;
}

/* ---- the merge ---- */

static struct source *
lowest(struct merging *g)
{
	struct source *low = NULL;
	unsigned int i;

	for (i = 0; i < g->count; i++) {
		if (g->source[i].entry != NULL &&
		    (low == NULL || memcmp(g->source[i].entry, low->entry,
					RUN_KEY_BYTES) < 0))
			low = &g->source[i];
	}
	return low;
}

static int
write_all(struct merging *g)
{
	struct source *s;
	unsigned int i;
	int code = 0;

	for (i = 0; code == 0 && i < g->count; i++)
		code = next_of(&g->source[i]);
	while (code == 0 && (s = lowest(g)) != NULL) {
		/* A pack that has a blob twice is as good as once. */
		if (is_live(g, s->entry) &&
		    (g->entries == 0 ||
			memcmp(s->entry, g->last, RUN_KEY_BYTES) != 0)) {
			memcpy(g->last, s->entry, RUN_KEY_BYTES);
			g->entries++;
			code = localindex_run_writer_add(g->writer, s->entry);
		}
		if (code == 0)
			code = next_of(s);
	}
	return code;
}

static void
merging_fini(struct merging *g)
{
	unsigned int i;

	for (i = 0; i < g->count; i++) {
		localindex_run_cursor_free(g->source[i].run);
		if (g->source[i].newest != NULL)
			mdb_cursor_close(g->source[i].newest);
	}
	localindex_run_writer_free(g->writer);
	free(g->live);
}

/* How many of the oldest runs stay as they are. */
static unsigned int
runs_kept(const struct run_set *set, uint64_t new_entries, bool all)
{
	uint64_t entries = new_entries, own;
	unsigned int kept = set->count;

	for (; kept > 0 && set->run[kept - 1] != NULL; kept--) {
		own = localindex_run_entries(set->run[kept - 1]);
		if (!all && own >= entries * MERGE_RATIO &&
		    kept < LOCALINDEX_RUNS_MAX)
			break;
		entries += own;
	}
	return kept;
}

static int
make_run(struct merging *g, const struct localindex_merge *m,
    const struct run_set *set, unsigned int kept, uint64_t number)
{
	char *path = localindex_run_path(g->li, number);
	int code;

	if (path == NULL)
		return ENOMEM;
	if ((code = localindex_run_writer_new(&g->writer, path)) == 0 &&
	    (code = load_live(g)) == 0 &&
	    (code = add_sources(g, m->gathered, set, kept)) == 0 &&
	    (code = write_all(g)) == 0 && g->entries > 0)
		code = localindex_run_writer_finish(g->writer);
	free(path);
	return code;
}

static int
replace_runs(struct localindex *li, MDB_txn *txn, struct localindex_merge *m,
    const struct run_set *set)
{
	uint64_t number = localindex_counter(li, txn, LOCALINDEX_NEXT_RUN);
	struct merging g = { .li = li, .txn = txn };
	uint64_t fresh = m->gathered == NULL ? 0 : m->gathered->count;
	unsigned int kept;
	MDB_stat newest;
	int code = mdb_stat(txn, li->blobs, &newest);

	if (code != 0)
		return code;
	fresh += newest.ms_entries;
	kept = m->alone ? set->count : runs_kept(set, fresh, m->all);
	if (kept == LOCALINDEX_RUNS_MAX)
		return MDB_CORRUPTED;
	if ((code = make_run(&g, m, set, kept, number)) == 0) {
		memcpy(m->keep, set->number, kept * sizeof(*m->keep));
		if (g.entries > 0)
			m->keep[kept++] = number;
		m->keep_count = kept;
		m->below = number + 1;
	}
	merging_fini(&g);
	if (code == 0)
		code = mdb_drop(txn, li->blobs, 0);
	if (code == 0)
		code = localindex_counter_put(
		    li, txn, LOCALINDEX_NEXT_RUN, number + 1);
	if (code == 0)
		code = localindex_runs_set(li, txn, m->keep, m->keep_count);
	return code;
}

int
localindex_merge(
    struct localindex *li, MDB_txn *txn, struct localindex_merge *m)
{
	struct run_set *set;
	int code = localindex_runs_get(&set, li, txn, true);

	if (code != 0)
		return code;
	code = replace_runs(li, txn, m, set);
	localindex_runs_put(li, set);
	/* What is damaged stays where it is until all is read anew. */
	if (code == MDB_CORRUPTED && !m->alone) {
		localindex_note_damage(li, "a file of it is damaged");
		m->alone = true;
		return localindex_merge(li, txn, m);
	}
	return code;
}

void
localindex_merge_done(struct localindex *li, const struct localindex_merge *m)
{
	localindex_runs_sweep(li, m->below, m->keep, m->keep_count);
}

static int
try_merge_all(struct localindex *li, MDB_txn *txn, void *arg)
{
	uint64_t numbers[LOCALINDEX_RUNS_MAX];
	struct localindex_merge *m = arg;
	unsigned int count;
	int code = localindex_runs_list(numbers, &count, li, txn);

	*m = (struct localindex_merge){ .all = true };
	if (code != 0 || count < 2)
		return code;
	return localindex_merge(li, txn, m);
}

int
localindex_merge_all(struct localindex *li, struct err *err)
{
	struct localindex_merge m;
	int code = localindex_change(li, try_merge_all, &m);

	if (code == ENOSPC)
		return 0;
	if (code != 0)
		return localindex_error(li, code, err);
	if (m.below > 0)
		localindex_merge_done(li, &m);
	return 0;
}
