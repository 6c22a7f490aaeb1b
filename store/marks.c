/* SPDX-License-Identifier: Apache-2.0 */
/* Bits for blobs. */
#include "store/marks.h"

#include <stdlib.h>

#include "common/err.h"

int
marks_init(struct marks *m, const struct idset *packs, struct err *err)
{
	m->packs = packs;
	m->bits = calloc(packs->count + 1, sizeof(*m->bits));
	return m->bits == NULL ? err_no_memory(err) : 0;
}

void
marks_fini(struct marks *m)
{
	size_t i;

	for (i = 0; m->bits != NULL && i < m->packs->count; i++)
		free(m->bits[i]);
	free(m->bits);
	m->bits = NULL;
}

int
marks_set(struct marks *m, const struct blob_place *place, struct err *err)
{
	int64_t pack = idset_find(m->packs, place->pack);
	uint8_t *row, bit = (uint8_t)(1u << place->ordinal % 8);

	if (pack < 0 || place->ordinal >= PACK_BLOBS_MAX)
		return 2;
	if (m->bits[pack] == NULL &&
	    (m->bits[pack] = calloc(1, PACK_BLOBS_MAX / 8)) == NULL)
		return err_no_memory(err);
	row = m->bits[pack];
	if ((row[place->ordinal / 8] & bit) != 0)
		return 1;
	row[place->ordinal / 8] |= bit;
	return 0;
}

bool
marks_has(const struct marks *m, size_t pack, uint32_t ordinal)
{
	return m->bits[pack] != NULL && ordinal < PACK_BLOBS_MAX &&
	       (m->bits[pack][ordinal / 8] >> ordinal % 8 & 1) != 0;
}

void
marks_clear(struct marks *m, size_t pack, uint32_t ordinal)
{
	if (marks_has(m, pack, ordinal))
		m->bits[pack][ordinal / 8] &= (uint8_t) ~(1u << ordinal % 8);
}

bool
marks_any(const struct marks *m, size_t pack)
{
	size_t i;

	for (i = 0; m->bits[pack] != NULL && i < PACK_BLOBS_MAX / 8; i++)
		if (m->bits[pack][i] != 0)
			return true;
	return false;
}
