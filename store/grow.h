/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow one by one. */
#ifndef HOLDSTILL_STORE_GROW_H
#define HOLDSTILL_STORE_GROW_H

#include <stddef.h>

/*
 * Room for one more behind count: the array, moved perhaps, with *capacity as
 * it is now.  NULL without memory: all is as it was.
 */
void *grow_array(void *array, size_t count, size_t *capacity, size_t each);

#endif
