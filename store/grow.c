/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow one by one. */
#include "store/grow.h"

#include <stdlib.h>

#include "common/ckd.h"

#define FIRST_CAPACITY 64u

void *
grow_array(void *array, size_t count, size_t *capacity, size_t each)
{
	size_t wanted = *capacity > 0 ? *capacity * 2 : FIRST_CAPACITY, bytes;
	void *grown;

	if (count < *capacity)
		return array;
	if (ckd_mul(&bytes, wanted, each) ||
	    (grown = realloc(array, bytes)) == NULL)
		return NULL;
	*capacity = wanted;
	return grown;
}
