/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chains of hosts that may only add (docs/seal.md): two points with one
 * number, and numbers of no point.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "store/forgotten.h"
#include "store/host.h"
#include "store/seal/chain.h"
#include "store/verify_internal.h"

static int
compare_links(const void *a, const void *b)
{
	const struct host_link *x = a, *y = b;
	int rc = memcmp(x->host, y->host, SEAL_ID_BYTES);

	if (rc != 0)
		return rc;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->point, y->point, OBJECT_ID_BYTES);
}

static void
tell_double(
    struct verify *v, const struct host_link *a, const struct host_link *b)
{
	char key[OBJECT_KEY_SIZE], other[HEXID_SIZE], what[256];

	hex_encode(other, a->point, OBJECT_ID_BYTES);
	snprintf(what, sizeof(what),
	    "it and point %s have the same number, %" PRIu64
	    ", in their host's chain: the host was set back to an earlier "
	    "state, or somebody else has its key",
	    other, b->n);
	verify_tell_object(v, object_key(key, OBJECT_MANIFEST, b->point), what);
}

/* Numbers below each host's highest that lead to no point. */
static uint64_t
look_at_links(struct verify *v, const struct host_link *links, size_t count)
{
	const struct host_link *l, *last = NULL;
	uint64_t gaps = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		l = &links[i];
		if (chain_is_owner(l->host))
			continue;
		if (last == NULL ||
		    memcmp(last->host, l->host, SEAL_ID_BYTES) != 0)
			gaps += l->n;
		else if (l->n > last->n)
			gaps += l->n - last->n - 1;
		else if (memcmp(l->point, last->point, OBJECT_ID_BYTES) != 0)
			tell_double(v, last, l);
		last = l;
	}
	return gaps;
}

/* Points that a prune has removed; some leave a tombstone as well. */
static int
count_gone(uint64_t *out, struct verify *v, struct err *err)
{
	struct idset said;
	struct forgotten f;
	size_t i;
	int rc = 0;

	*out = 0;
	if (forgotten_list(&said, v->store, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < said.count; i++) {
		rc = forgotten_get(&f, v->store, said.ids[i], err);
		if (rc == 0)
			*out += f.word == FORGOTTEN_GONE &&
				!idset_has(&v->given_up, said.ids[i]);
		else if (verify_is_damage(v, err))
			rc = 0; /* It was told of. */
	}
	idset_fini(&said);
	return rc;
}

int
verify_chains(struct verify *v, struct host_links *links, struct err *err)
{
	uint64_t gaps, gone;

	if (links->count > 1)
		qsort(links->link, links->count, sizeof(*links->link),
		    compare_links);
	gaps = look_at_links(v, links->link, links->count);
	if (gaps == 0 || v->options->points != NULL)
		return 0;
	idset_sort(&v->given_up);
	if (count_gone(&gone, v, err) == -1)
		return -1;
	gone += v->given_up.count;
	/* A host uses up a number also for a point that it could not put. */
	if (gaps > gone)
		log_line(LOG_WARNING,
		    "%" PRIu64 " points that hosts have begun to put are not "
		    "there, and no word says that they were forgotten: they "
		    "failed half way, or somebody has removed them",
		    gaps - gone);
	return 0;
}
