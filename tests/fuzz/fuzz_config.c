/* SPDX-License-Identifier: Apache-2.0 */
/* A repository's settings: the body of `config`.  No local index is opened. */
#include "common/err.h"
#include "store/host_sweep.h"
#include "store/copies.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

int
localindex_open(struct localindex **out, const char *dir, const char *marker,
    struct err *err)
{
	(void)dir;
	(void)marker;
	(void)err;
	*out = NULL;
	return 0;
}

int
copies_new(struct copies **out, struct err *err)
{
	(void)err;
	*out = NULL;
	return 0;
}

void
copies_free(struct copies *c)
{
	(void)c;
}

void
localindex_close(struct localindex *li)
{
	(void)li;
}

/* The same of what a host has in it. */
int
host_sweep(struct store *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct backend *b =
	    one_object_around(OBJECT_CONFIG, 0, size, data, size);
	struct err err = ERR_INIT;
	struct store *s;

	if (store_open(&s, b, "/nowhere", NULL, &err) == 0) {
		require(hexid_valid(store_id(s)));
		store_close(s);
	} else {
		require(err.class == ERR_CORRUPT ||
			err.class == ERR_UNSUPPORTED || err.class == ERR_AUTH);
	}
	return 0;
}
