/* SPDX-License-Identifier: Apache-2.0 */
/* A line that renews itself on a terminal, plain lines elsewhere. */
#include "agent/cli/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/format.h"
#include "agent/job/context.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#define BAR_INTERVAL_MS 200
#define LOG_INTERVAL_MS 30000

struct progress {
	bool silent, no_bar, terminal;
	pthread_mutex_t lock; /* Log lines come from any thread. */
	char bar[192];
	int64_t started_ms; /* Of the bytes; 0: none have flowed. */
	int64_t shown_ms;
};

static void
erase_bar(struct progress *p)
{
	if (p->bar[0] != '\0')
		fputs("\r\033[K", stderr);
}

/* A message moves the bar out of its way. */
static void
show_log_line(void *arg, enum log_level level, const char *line)
{
	struct progress *p = arg;

	(void)level;
	pthread_mutex_lock(&p->lock);
	erase_bar(p);
	fprintf(stderr, "holdstill: %s\n", line);
	fputs(p->bar, stderr);
	fflush(stderr);
	pthread_mutex_unlock(&p->lock);
}

static void
show_step(void *arg, const char *domain, const char *what)
{
	struct progress *p = arg;

	if (!p->silent)
		log_line(LOG_NOTICE, "%s: %s", domain, what);
}

static void
write_counts(char *out, size_t size, int64_t elapsed_ms, const char *disk,
    uint64_t disk_done, uint64_t disk_total, uint64_t done, uint64_t total)
{
	char a[FORMAT_SIZE], b[FORMAT_SIZE], rate[FORMAT_SIZE];
	char left[FORMAT_SIZE] = "?";
	uint64_t per_second = 0;

	if (elapsed_ms > 0)
		per_second = done * 1000 / (uint64_t)elapsed_ms;
	if (per_second > 0 && total >= done)
		format_duration(
		    left, (int64_t)((total - done) / per_second) * 1000);
	snprintf(out, size, "%s %3.0f%%  all %3.0f%%  %s of %s  %s/s  %s left",
	    disk,
	    disk_total == 0 ? 0.0
			    : 100.0 * (double)disk_done / (double)disk_total,
	    total == 0 ? 0.0 : 100.0 * (double)done / (double)total,
	    format_bytes(a, done), format_bytes(b, total),
	    format_bytes(rate, per_second), left);
}

static void
show_bytes(void *arg, const char *disk, uint64_t disk_done, uint64_t disk_total,
    uint64_t all_done, uint64_t all_total)
{
	struct progress *p = arg;
	int64_t now_ms = clock_monotonic_ms();
	char text[160];

	if (p->silent || p->no_bar)
		return;
	if (p->started_ms == 0)
		p->started_ms = p->shown_ms = now_ms;
	if (now_ms - p->shown_ms <
	    (p->terminal ? BAR_INTERVAL_MS : LOG_INTERVAL_MS))
		return;
	p->shown_ms = now_ms;
	write_counts(text, sizeof(text), now_ms - p->started_ms, disk,
	    disk_done, disk_total, all_done, all_total);
	if (!p->terminal) {
		log_line(LOG_NOTICE, "%s", text);
		return;
	}
	pthread_mutex_lock(&p->lock);
	erase_bar(p);
	snprintf(p->bar, sizeof(p->bar), "%s", text);
	fputs(p->bar, stderr);
	fflush(stderr);
	pthread_mutex_unlock(&p->lock);
}

/* For who looks on: in a log it would say nothing. */
static void
show_count(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct progress *p = arg;
	int64_t now_ms = clock_monotonic_ms();

	if (p->silent || p->no_bar || !p->terminal ||
	    now_ms - p->shown_ms < BAR_INTERVAL_MS)
		return;
	p->shown_ms = now_ms;
	pthread_mutex_lock(&p->lock);
	erase_bar(p);
	snprintf(p->bar, sizeof(p->bar), "%s: %llu of %llu", what,
	    (unsigned long long)done, (unsigned long long)total);
	fputs(p->bar, stderr);
	fflush(stderr);
	pthread_mutex_unlock(&p->lock);
}

static void
end_bytes(void *arg)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	erase_bar(p);
	p->bar[0] = '\0';
	p->started_ms = 0;
	pthread_mutex_unlock(&p->lock);
}

int
progress_new(struct progress **out, struct job_events *events, bool silent,
    bool no_bar, struct err *err)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_no_memory(err);
	p->silent = silent;
	p->no_bar = no_bar;
	p->terminal = isatty(STDERR_FILENO) != 0;
	pthread_mutex_init(&p->lock, NULL);
	events->arg = p;
	events->step = show_step;
	events->progress = show_bytes;
	events->count = show_count;
	events->progress_end = end_bytes;
	log_set_sink(show_log_line, p);
	*out = p;
	return 0;
}

void
progress_free(struct progress *p)
{
	if (p == NULL)
		return;
	end_bytes(p);
	log_set_sink(NULL, NULL);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
