/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of index objects. */
#include "common/err.h"
#include "store/index.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct backend *b =
	    one_object_around(OBJECT_INDEX, 0, size, data, size);
	struct err err = ERR_INIT;
	struct index_set *set;
	uint32_t blobs = 0;
	unsigned int i;

	if (index_get(&set, b, one_object_id, &err) == -1) {
		require(err.class == ERR_CORRUPT);
		return 0;
	}
	require(set->count <= INDEX_PACKS_MAX);
	for (i = 0; i < set->count; i++)
		blobs += set->packs[i].table.blob_count;
	require(blobs == set->blobs);
	index_set_free(set);
	return 0;
}
