/* SPDX-License-Identifier: Apache-2.0 */
/* When packs were checked, between the store and the catalog. */
#include "agent/job/verify_memory.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

/* What a verify that is killed forgets at most. */
#define SAVE_EACH_PACKS 256u
#define SAVE_EACH_MS 10000

struct verify_memory {
	struct store_verify_memory store;
	struct catalog *catalog;
	const char *repository_id;

	/* Those that are there, in the order of their ids. */
	struct catalog_pack *packs;
	size_t count;
	size_t merged; /* While rows are read: those before are done. */
	/* Rows of packs that are gone. */
	struct catalog_pack *gone;
	size_t gone_count, gone_capacity;

	/* Not yet written. */
	struct catalog_pack changed[SAVE_EACH_PACKS];
	size_t changed_count;
	int64_t saved_ms; /* Monotonic. */
	bool warned;
};

static void
save(struct verify_memory *m, const struct catalog_pack *packs, size_t count)
{
	struct err err = ERR_INIT;

	if (catalog_packs_save(
		m->catalog, m->repository_id, packs, count, &err) == 0 ||
	    m->warned)
		return;
	m->warned = true;
	log_line(
	    LOG_WARNING, "what was checked is not remembered: %s", err.text);
}

static void
save_changed(struct verify_memory *m)
{
	save(m, m->changed, m->changed_count);
	m->changed_count = 0;
	m->saved_ms = clock_monotonic_ms();
}

static int
note_gone(
    struct verify_memory *m, const struct catalog_pack *pack, struct err *err)
{
	size_t wanted = m->gone_capacity > 0 ? m->gone_capacity * 2 : 64;
	struct catalog_pack *grown = m->gone;

	if (m->gone_count == m->gone_capacity) {
		grown = reallocarray(grown, wanted, sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		m->gone = grown;
		m->gone_capacity = wanted;
	}
	m->gone[m->gone_count] = *pack;
	m->gone[m->gone_count++].seen_ms = 0;
	return 0;
}

/* Rows and packs are both in the order of their ids. */
static int
merge_row(void *arg, const struct catalog_pack *row, struct err *err)
{
	struct verify_memory *m = arg;
	int order = 1;

	while (m->merged < m->count &&
	       (order = strcmp(m->packs[m->merged].id, row->id)) < 0)
		m->merged++;
	if (m->merged == m->count || order != 0)
		return note_gone(m, row, err);
	m->packs[m->merged].seen_ms = row->seen_ms;
	m->packs[m->merged++].checked_ms = row->checked_ms;
	return 0;
}

/* Those never met before are met now. */
static void
save_new(struct verify_memory *m)
{
	int64_t now_ms = clock_wall_ms();
	size_t i;

	for (i = 0; i < m->count; i++) {
		if (m->packs[i].seen_ms != 0)
			continue;
		m->packs[i].seen_ms = now_ms;
		m->changed[m->changed_count++] = m->packs[i];
		if (m->changed_count == SAVE_EACH_PACKS)
			save_changed(m);
	}
	save_changed(m);
}

static int
begin(void *arg, const uint8_t (*packs)[STORE_PACK_ID_BYTES], size_t count,
    int64_t *checked_ms, struct err *err)
{
	struct verify_memory *m = arg;
	struct err unread = ERR_INIT;
	size_t i;

	m->packs = calloc(count + 1, sizeof(*m->packs));
	if (m->packs == NULL)
		return err_no_memory(err);
	m->count = count;
	for (i = 0; i < count; i++)
		hex_encode(m->packs[i].id, packs[i], sizeof(packs[i]));
	if (catalog_packs(
		m->catalog, m->repository_id, merge_row, m, &unread) == -1)
		log_line(LOG_WARNING, "what was checked is forgotten: %s",
		    unread.text);
	save_new(m);
	for (i = 0; i < count; i++)
		checked_ms[i] = m->packs[i].checked_ms;
	return 0;
}

static void
checked(void *arg, size_t i, bool whole)
{
	struct verify_memory *m = arg;

	m->packs[i].checked_ms = whole ? clock_wall_ms() : 0;
	m->changed[m->changed_count++] = m->packs[i];
	if (m->changed_count == SAVE_EACH_PACKS ||
	    clock_monotonic_ms() - m->saved_ms >= SAVE_EACH_MS)
		save_changed(m);
}

struct verify_memory *
verify_memory_new(struct catalog *c, const char *repository_id)
{
	struct verify_memory *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->store = (struct store_verify_memory){
		.arg = m, .begin = begin, .checked = checked
	};
	m->catalog = c;
	m->repository_id = repository_id;
	m->saved_ms = clock_monotonic_ms();
	return m;
}

void
verify_memory_free(struct verify_memory *m)
{
	if (m == NULL)
		return;
	free(m->packs);
	free(m->gone);
	free(m);
}

const struct store_verify_memory *
verify_memory_of(struct verify_memory *m)
{
	return &m->store;
}

static int64_t
earlier(int64_t a_ms, int64_t b_ms)
{
	return a_ms == 0 || (b_ms != 0 && b_ms < a_ms) ? b_ms : a_ms;
}

void
verify_memory_finish(struct verify_memory *m, struct verify_coverage *out)
{
	const struct catalog_pack *pack;
	size_t i;

	save_changed(m);
	save(m, m->gone, m->gone_count);
	*out = (struct verify_coverage){ .known = m->packs != NULL,
		.packs = m->count };
	for (i = 0; i < m->count; i++) {
		pack = &m->packs[i];
		out->never_checked += pack->checked_ms == 0;
		out->since_ms = earlier(out->since_ms, pack->checked_ms);
		out->oldest_ms = earlier(out->oldest_ms,
		    pack->checked_ms != 0 ? pack->checked_ms : pack->seen_ms);
	}
}
