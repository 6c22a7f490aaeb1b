/* SPDX-License-Identifier: Apache-2.0 */
/* Writers in memory: all of them as one. */
#include <string.h>

#include "common/err.h"
#include "guest-helper/writers/writers.h"
#include "tests/fuzz/fakes_internal.h"

/* Its address is the opaque one. */
struct writers {
	writers_done_fn *done;
	void *arg;
};

static struct writers the_writers;

int
writers_new(struct writers **out, const struct conf *conf,
    struct spawner *spawner, int run_dir, writers_done_fn *done, void *arg,
    struct err *err)
{
	(void)conf;
	(void)spawner;
	(void)run_dir;
	(void)err;
	the_writers.done = done;
	the_writers.arg = arg;
	*out = &the_writers;
	return 0;
}

void
writers_free(struct writers *w)
{
	(void)w;
}

void
writers_thaw_leftovers(struct writers *w)
{
	(void)w;
}

/* Once the plan is made, and before anything holds. */
void
writers_check_data(struct writers *w, writers_covers_fn *covers, void *arg)
{
	char reason[MESSAGE_REASON_SIZE];

	(void)w;
	must(fakes.step == WRITERS_NONE && fakes.phase == NONE);
	must(!fakes.touched);
	if (!covers(arg, NULL, reason))
		fakes.well = false;
}

void
writers_begin(struct writers *w, const struct writers_request *request)
{
	(void)w;
	/* Only these may cut a step short. */
	must(fakes.step == WRITERS_NONE || request->step == WRITERS_THAW ||
	     request->step == WRITERS_ABORT);
	must(request->limit_ms > 0);
	if (request->step == WRITERS_PREPARE) {
		must(!fakes.touched);
		fakes.well = true;
	} else if (request->step == WRITERS_FREEZE) {
		must(fakes.phase >= ARMED);
		fakes.touched = true;
	} else if (request->step == WRITERS_THAW) {
		must(!request->told || request->again || !fakes.touched);
	} else {
		must(!fakes.touched);
	}
	fakes.step = request->step;
}

bool
fakes_writers_step(uint8_t outcome)
{
	enum writers_step step = fakes.step;

	if (step == WRITERS_NONE) {
		fakes.leaving = false;
		return false;
	}
	if ((outcome & 1) == 0)
		fakes.well = false;
	if (step == WRITERS_THAW) {
		fakes.touched = false;
		fakes.leaving = outcome & 2;
	}
	fakes.step = WRITERS_NONE;
	the_writers.done(the_writers.arg, step);
	return true;
}

enum writers_step
writers_step(const struct writers *w)
{
	(void)w;
	return fakes.step;
}

enum message_level
writers_level(const struct writers *w, const char **out_reason)
{
	(void)w;
	*out_reason = fakes.well ? "" : "a writer failed";
	return fakes.well ? MESSAGE_APPLICATION : MESSAGE_FILESYSTEM;
}

bool
writers_hold(const struct writers *w)
{
	(void)w;
	return fakes.touched || fakes.leaving;
}

size_t
writers_inputs(const struct writers *w, int *out, size_t max)
{
	(void)w;
	must(max > 0);
	out[0] = 3000;
	return 1;
}

void
writers_put(const struct writers *w, struct message *m)
{
	struct message_writer *to = message_add_writer(m);

	(void)w;
	if (to == NULL)
		return;
	strcpy(to->name, "w");
	to->state =
	    fakes.well ? MESSAGE_WRITER_COMMITTED : MESSAGE_WRITER_FAILED;
}

int
writers_scan(struct writers *w, struct err *err)
{
	(void)w;
	(void)err;
	return 0;
}
