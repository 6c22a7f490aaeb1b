/* SPDX-License-Identifier: Apache-2.0 */
/* Bits for blobs. */
#include "store/marks.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* Of 512 blobs: packs have some hundreds, seldom PACK_BLOBS_MAX. */
#define ROW_STEP_BYTES 64u

int
marks_init(struct marks *m, const struct idset *packs, struct err *err)
{
	m->packs = packs;
	m->rows = calloc(packs->count + 1, sizeof(*m->rows));
	return m->rows == NULL ? err_no_memory(err) : 0;
}

void
marks_fini(struct marks *m)
{
	size_t i;

	for (i = 0; m->rows != NULL && i < m->packs->count; i++)
		free(m->rows[i].bits);
	free(m->rows);
	m->rows = NULL;
}

static int
make_room(struct marks_row *row, uint32_t ordinal, struct err *err)
{
	unsigned int bytes =
	    (ordinal / 8 / ROW_STEP_BYTES + 1) * ROW_STEP_BYTES;
	uint8_t *grown;

	if (ordinal / 8 < row->bytes)
		return 0;
	if ((grown = realloc(row->bits, bytes)) == NULL)
		return err_no_memory(err);
	memset(grown + row->bytes, 0, bytes - row->bytes);
	row->bits = grown;
	row->bytes = bytes;
	return 0;
}

int
marks_set(struct marks *m, const struct blob_place *place, struct err *err)
{
	int64_t pack = idset_find(m->packs, place->pack);
	uint8_t *byte, bit = (uint8_t)(1u << place->ordinal % 8);

	if (pack < 0 || place->ordinal >= PACK_BLOBS_MAX)
		return 2;
	if (make_room(&m->rows[pack], place->ordinal, err) == -1)
		return -1;
	byte = &m->rows[pack].bits[place->ordinal / 8];
	if ((*byte & bit) != 0)
		return 1;
	*byte |= bit;
	return 0;
}

bool
marks_has(const struct marks *m, size_t pack, uint32_t ordinal)
{
	const struct marks_row *row = &m->rows[pack];

	return ordinal / 8 < row->bytes &&
	       (row->bits[ordinal / 8] >> ordinal % 8 & 1) != 0;
}

void
marks_clear(struct marks *m, size_t pack, uint32_t ordinal)
{
	if (marks_has(m, pack, ordinal))
		m->rows[pack].bits[ordinal / 8] &=
		    (uint8_t) ~(1u << ordinal % 8);
}

bool
marks_any(const struct marks *m, size_t pack)
{
	unsigned int i;

	for (i = 0; i < m->rows[pack].bytes; i++)
		if (m->rows[pack].bits[i] != 0)
			return true;
	return false;
}
