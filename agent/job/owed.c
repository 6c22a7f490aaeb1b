/* SPDX-License-Identifier: Apache-2.0 */
/* Commits that a guest was not told of. */
#include "agent/job/owed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/quiesce.h"
#include "catalog/journal.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "store/store.h"

/* A writer that fails after this would take as long the next time. */
#define SLOW_MS 5000

void
owed_format_subject(
    char out[OWED_SUBJECT_SIZE], const char *repository_id, const char *session)
{
	snprintf(out, OWED_SUBJECT_SIZE, "%.8s-%s", repository_id, session);
}

static int
parse_subject(char repository[9], char session[HEXID_SIZE], const char *subject)
{
	if (strlen(subject) != OWED_SUBJECT_SIZE - 1 || subject[8] != '-' ||
	    !hexid_valid(subject + 9))
		return -1;
	snprintf(repository, 9, "%.8s", subject);
	snprintf(session, HEXID_SIZE, "%s", subject + 9);
	return 0;
}

/* The manifest of the point that the guest is to hear of; 0 and NULL: there
 * is no such point, and nothing to tell.  Nor is there of one that is forgotten:
 * logs that only lead to it may still be needed from an older one. */
static int
read_point(struct manifest **out, char session[HEXID_SIZE],
    const struct owed *owed, const struct journal_effect *effect,
    struct err *err)
{
	char repository[9];
	int forgotten;

	*out = NULL;
	if (parse_subject(repository, session, effect->subject) == -1)
		return err_set(err, ERR_CORRUPT,
		    "the journal names no session in '%s'", effect->subject);
	if (owed->store == NULL ||
	    strncmp(repository, store_id(owed->store), 8) != 0)
		return err_set(
		    err, ERR_NOT_FOUND, "the point is in another repository");
	forgotten =
	    store_point_was_forgotten(owed->store, effect->point_id, err);
	if (forgotten != 0)
		return forgotten == 1 ? 0 : -1;
	if (store_manifest_read(out, owed->store, effect->point_id, err) ==
		-1 &&
	    err->class != ERR_NOT_FOUND)
		return -1;
	return 0;
}

/* ---- who is told ---- */

static const struct owed_writer *
find(const struct owed *owed, const char *name)
{
	size_t i;

	for (i = 0; i < owed->writer_count; i++)
		if (strcmp(owed->writers[i].name, name) == 0)
			return &owed->writers[i];
	return NULL;
}

/* Those of the point that no newer one has spoken for.  *out borrows from
 * freeze but for its list, which the caller frees. */
static int
choose(struct manifest_freeze *out, const struct owed *owed,
    const struct manifest_freeze *freeze, struct err *err)
{
	const struct manifest_writer *w;
	const struct owed_writer *asked;
	size_t i;

	*out = *freeze;
	out->writer_count = 0;
	out->writers = calloc(freeze->writer_count + 1, sizeof(*out->writers));
	if (out->writers == NULL)
		return err_no_memory(err);
	for (i = 0; i < freeze->writer_count; i++) {
		w = &freeze->writers[i];
		/* One that did not hold has nothing to settle by this point,
		 * and an older one may still be its due. */
		if (!quiesce_writer_held(freeze, w))
			continue;
		asked = find(owed, w->name);
		if (asked != NULL && !asked->heard)
			return err_set(err, ERR_BUSY,
			    "writer '%s' has to settle a newer point first",
			    w->name);
		if (asked == NULL)
			out->writers[out->writer_count++] = *w;
	}
	return 0;
}

static void
remember(struct owed *owed, const struct manifest_freeze *told, bool heard)
{
	struct owed_writer *w;
	size_t i;

	for (i = 0; i < told->writer_count; i++) {
		if (owed->writer_count == MANIFEST_WRITERS_MAX) {
			owed->deaf = true;
			return;
		}
		w = &owed->writers[owed->writer_count++];
		snprintf(w->name, sizeof(w->name), "%s", told->writers[i].name);
		w->heard = heard;
	}
}

/* ---- telling ---- */

static int
check_hears(struct owed *owed, struct err *err)
{
	enum domain_state state;

	if (owed->deaf)
		return err_set(err, ERR_IO, "as before");
	if (cancel_check(err) == -1)
		return -1;
	if (owed->began_ms == 0)
		owed->began_ms = clock_monotonic_ms();
	if (clock_monotonic_ms() - owed->began_ms >= OWED_BUDGET_MS)
		return err_set(err, ERR_TIMEOUT,
		    "the guest has had its time for older points");
	if (domain_state(owed->domain, &state, err) == -1)
		return -1;
	if (state != DOMAIN_RUNNING)
		return err_set(err, ERR_NOT_FOUND, "the guest does not run");
	return 0;
}

/* A guest that has not heard one needs not be asked to hear the next. */
static int
tell(struct owed *owed, const char *session, const char *point_id,
    const struct manifest_freeze *told, struct err *err)
{
	int64_t started_ms = clock_monotonic_ms();
	int rc = -1;

	if (check_hears(owed, err) == 0)
		rc =
		    quiesce_deliver(owed->domain, session, point_id, told, err);
	if (rc == -1 ||
	    (rc == 1 && clock_monotonic_ms() - started_ms >= SLOW_MS))
		owed->deaf = true;
	else
		remember(owed, told, rc == 0);
	return rc == 0 ? 0 : -1;
}

/* Told only when the point is there, and told until the guest has heard it
 * or a newer one: its logs grow else. */
static int
deliver(struct owed *owed, const struct journal_effect *effect, struct err *err)
{
	char session[HEXID_SIZE];
	struct manifest_freeze told = { 0 };
	struct manifest *m = NULL;
	int rc = -1;

	if (owed->domain == NULL)
		return 0;
	if (read_point(&m, session, owed, effect, err) == -1)
		return -1;
	if (m == NULL)
		return 0;
	if (choose(&told, owed, &m->freeze, err) == 0)
		rc = told.writer_count == 0
			 ? 0
			 : tell(owed, session, effect->point_id, &told, err);
	free(told.writers);
	manifest_free(m);
	return rc;
}

int
owed_settle(
    struct owed *owed, const struct journal_effect *effect, struct err *err)
{
	bool too_many = owed->seen++ >= OWED_MAX;

	if (deliver(owed, effect, err) == 0)
		return 0;
	log_line(LOG_INFO, "point %.8s: the guest was not told yet: %s",
	    effect->point_id, err->text);
	if (!too_many)
		return -1;
	log_line(LOG_NOTICE,
	    "point %.8s: the guest will not be told any more: it is owed more "
	    "than %d newer ones",
	    effect->point_id, OWED_MAX);
	return 0;
}
