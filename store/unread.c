/* SPDX-License-Identifier: Apache-2.0 */
/* One object that cannot be read, told from a repository that cannot be. */
#include "store/unread.h"

#include <errno.h>
#include <stdlib.h>

#include "backends/backend.h"
#include "common/err.h"

#define SETTINGS "config"

bool
unread_is_own(struct backend *b, const struct err *err)
{
	struct err why = ERR_INIT;
	void *bytes;
	size_t size;

	if (err->class == ERR_NOT_FOUND || err->class == ERR_CORRUPT)
		return true;
	if (err->sys_errno != EIO)
		return false;
	/* The kernel may have the settings in memory still: what a folder is
	 * asked to settle has to reach the disk. */
	if (backend_settle(b, SETTINGS, &why) == -1 ||
	    backend_get_all(
		b, SETTINGS, BACKEND_OBJECT_MAX, &bytes, &size, &why) == -1)
		return false;
	free(bytes);
	return true;
}
