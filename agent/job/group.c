/* SPDX-License-Identifier: Apache-2.0 */
/* Several domains held still as one. */
#include "agent/job/group.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

struct task {
	struct backup *member;
	backup_phase *phase;
	pthread_t thread;
	bool has_thread;
	int rc;
	struct err err;
};

static void *
run_task(void *arg)
{
	struct task *task = arg;

	task->rc = task->phase(task->member, &task->err);
	return NULL;
}

/* The last member's on the calling thread: a set of one needs no other.
 * Without a thread a member takes its turn, for a thaw must not be left out. */
static void
run_tasks(struct task *tasks, size_t count)
{
	size_t i;

	for (i = 0; i + 1 < count; i++)
		tasks[i].has_thread = pthread_create(&tasks[i].thread, NULL,
					  run_task, &tasks[i]) == 0;
	for (i = 0; i < count; i++)
		if (!tasks[i].has_thread)
			run_task(&tasks[i]);
	for (i = 0; i < count; i++)
		if (tasks[i].has_thread)
			pthread_join(tasks[i].thread, NULL);
}

int
group_parallel(struct backup_set *set, backup_phase *phase, struct err *err)
{
	struct task tasks[MANIFEST_GROUP_MAX];
	size_t i;

	memset(tasks, 0, set->count * sizeof(tasks[0]));
	for (i = 0; i < set->count; i++) {
		tasks[i].member = &set->members[i];
		tasks[i].phase = phase;
	}
	run_tasks(tasks, set->count);
	for (i = 0; i < set->count && tasks[i].rc == 0; i++)
		;
	if (i == set->count)
		return 0;
	*err = tasks[i].err;
	return backup_blame(set, &set->members[i], err);
}

/* ---- the verdict ---- */

static int64_t
spread_ms(const struct backup_set *set)
{
	int64_t begin = set->members[0].picture_begin_ms;
	int64_t end = set->members[0].picture_end_ms;
	size_t i;

	for (i = 1; i < set->count; i++) {
		if (set->members[i].picture_begin_ms < begin)
			begin = set->members[i].picture_begin_ms;
		if (set->members[i].picture_end_ms > end)
			end = set->members[i].picture_end_ms;
	}
	return end - begin;
}

/*
 * Every freeze was whole before the first picture and unbroken until after
 * the last, or the guest was paused for as long: only then no member shows an
 * effect of what another does not have.  Returns why not, or "".
 */
static void
find_fault(char *out, size_t size, const struct backup_set *set, int64_t spread)
{
	const struct backup *b;
	const struct manifest *m;
	size_t i;

	out[0] = '\0';
	for (i = 0; i < set->count; i++) {
		b = &set->members[i];
		m = b->manifest;
		if (m->consistency >= MANIFEST_FILESYSTEM ||
		    backup_was_paused(b))
			continue;
		snprintf(out, size, "'%s' did not hold still: %s", m->domain,
		    m->consistency_reason);
		return;
	}
	if (spread > (int64_t)set->options->spread_ms)
		snprintf(out, size,
		    "the pictures were taken within %" PRId64
		    " ms, and %u ms are allowed",
		    spread, set->options->spread_ms);
}

static int
list_members(struct manifest_group *g, const struct backup_set *set)
{
	const struct manifest *m;
	size_t i;

	g->members = calloc(set->count, sizeof(*g->members));
	if (g->members == NULL)
		return -1;
	g->member_count = set->count;
	for (i = 0; i < set->count; i++) {
		m = set->members[i].manifest;
		memcpy(g->members[i].id, m->id, HEXID_SIZE);
		if ((g->members[i].domain = strdup(m->domain)) == NULL)
			return -1;
	}
	return 0;
}

int
group_judge(struct backup_set *set, struct err *err)
{
	struct manifest_group *g;
	int64_t spread = spread_ms(set);
	char fault[768];
	size_t i;

	if (set->group[0] == '\0')
		return 0;
	find_fault(fault, sizeof(fault), set, spread);
	for (i = 0; i < set->count; i++) {
		g = &set->members[i].manifest->group;
		memcpy(g->id, set->group, HEXID_SIZE);
		g->consistent = fault[0] == '\0';
		g->spread_ms = spread;
		if ((g->reason = strdup(fault)) == NULL ||
		    list_members(g, set) == -1)
			return err_no_memory(err);
	}
	log_line(
	    LOG_INFO, "%zu pictures within %" PRId64 " ms", set->count, spread);
	return 0;
}
