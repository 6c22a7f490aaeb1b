/* SPDX-License-Identifier: Apache-2.0 */
/* The body of another's lock, met by who takes one. */
#include "common/err.h"
#include "store/store_internal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store s = { .backend = one_object_around(
			       OBJECT_LOCK, 0, size, data, size) };
	struct err err = ERR_INIT;
	struct store_lock *lock;

	/* Exclusive: only a dead process's lock is no hindrance. */
	if (store_lock_take(&lock, &s, STORE_LOCK_EXCLUSIVE, &err) == 0)
		store_lock_release(lock);
	else
		require(err.class == ERR_BUSY);
	return 0;
}
