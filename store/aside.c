/* SPDX-License-Identifier: Apache-2.0 */
/* Small objects set aside without being moved. */
#include "store/aside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/unread.h"

/* Instead of what a disk cannot read. */
static const char unread[] = "not readable\n";

char *
aside_key(char out[ASIDE_KEY_SIZE], const char *key)
{
	snprintf(out, ASIDE_KEY_SIZE, "aside/%s", key);
	return out;
}

int
aside_passes(struct backend *b, const char *key, struct err *err)
{
	char aside[ASIDE_KEY_SIZE];
	struct err own = ERR_INIT;
	int rc;

	if (!unread_is_damaged(err))
		return -1;
	rc = backend_has(b, aside_key(aside, key), NULL, &own);
	if (rc == 1) {
		err_clear(err);
		return 1;
	}
	if (rc == -1) {
		*err = own;
		return -1;
	}
	if (err->hint[0] == '\0')
		err_hint(err,
		    "run 'holdstill repair', which sets aside what is "
		    "damaged");
	return -1;
}

int
aside_put(struct backend *b, const char *key, struct err *err)
{
	char aside[ASIDE_KEY_SIZE];
	void *bytes = NULL;
	size_t size;
	int rc;

	aside_key(aside, key);
	if (backend_get_all(b, key, BACKEND_OBJECT_MAX, &bytes, &size, err) ==
	    0) {
		rc = backend_put(b, aside, bytes, size, err);
	} else {
		if (!unread_is_damaged(err))
			return -1;
		err_clear(err);
		rc = backend_put(b, aside, unread, strlen(unread), err);
	}
	free(bytes);
	if (rc == 0 || err->class != ERR_EXISTS)
		return rc;
	err_clear(err); /* That it is there is what counts. */
	return backend_settle(b, aside, err);
}
