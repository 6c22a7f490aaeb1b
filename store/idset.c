/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted sets of object ids. */
#include "store/idset.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

void
idset_fini(struct idset *set)
{
	free(set->ids);
	*set = (struct idset){ .ids = NULL };
}

int
idset_add(struct idset *set, const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	size_t capacity = set->capacity > 0 ? set->capacity * 2 : 64;
	void *grown;

	if (set->count == set->capacity) {
		grown = realloc(set->ids, capacity * sizeof(*set->ids));
		if (grown == NULL)
			return err_no_memory(err);
		set->ids = grown;
		set->capacity = capacity;
	}
	memcpy(set->ids[set->count++], id, OBJECT_ID_BYTES);
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_BYTES);
}

void
idset_sort(struct idset *set)
{
	if (set->count > 1)
		qsort(set->ids, set->count, sizeof(*set->ids), compare);
}

int64_t
idset_find(const struct idset *set, const uint8_t id[OBJECT_ID_BYTES])
{
	const uint8_t(*found)[OBJECT_ID_BYTES];

	if (set->count == 0)
		return -1;
	found = bsearch(id, set->ids, set->count, sizeof(*set->ids), compare);
	return found == NULL
		   ? -1
		   : found - (const uint8_t(*)[OBJECT_ID_BYTES])set->ids;
}

bool
idset_has(const struct idset *set, const uint8_t id[OBJECT_ID_BYTES])
{
	return idset_find(set, id) >= 0;
}

bool
idset_within(const struct idset *a, const struct idset *b)
{
	size_t i;

	for (i = 0; i < a->count; i++) {
		if (!idset_has(b, a->ids[i]))
			return false;
	}
	return true;
}

void
idset_subtract(struct idset *set, const struct idset *other)
{
	size_t i, kept = 0;

	for (i = 0; other->count > 0 && i < set->count; i++) {
		if (!idset_has(other, set->ids[i]))
			memmove(set->ids[kept++], set->ids[i], OBJECT_ID_BYTES);
	}
	if (other->count > 0)
		set->count = kept;
}

struct listing {
	struct idset *set;
	enum object_type type;
	struct err *err;
	int rc;
};

static int
visit(void *arg, const char *key, uint64_t size_bytes)
{
	struct listing *l = arg;
	uint8_t id[OBJECT_ID_BYTES];

	(void)size_bytes;
	/* Names that are not ours are left alone. */
	if (object_key_parse(id, l->type, key) == -1)
		return 0;
	l->rc = idset_add(l->set, id, l->err);
	return l->rc;
}

int
idset_list(struct idset *out, struct backend *b, enum object_type type,
    struct err *err)
{
	struct listing l = { .set = out, .type = type, .err = err };

	*out = (struct idset){ .ids = NULL };
	if (backend_list(b, object_prefix(type), visit, &l, err) == -1 ||
	    l.rc == -1) {
		idset_fini(out);
		return -1;
	}
	idset_sort(out);
	return 0;
}
