/* SPDX-License-Identifier: Apache-2.0 */
/* An object that cannot be read, told from a repository that cannot be. */
#include "store/unread.h"

#include <errno.h>
#include <stdlib.h>

#include "backends/backend.h"
#include "common/err.h"

#define SETTINGS "config"

bool
unread_is_wrong(const struct err *err)
{
	return err->class == ERR_NOT_FOUND || err->class == ERR_CORRUPT;
}

bool
unread_is_damaged(const struct err *err)
{
	return err->class == ERR_CORRUPT || err->sys_errno == EIO;
}

bool
unread_is_useless(const struct err *err)
{
	return unread_is_wrong(err) || unread_is_damaged(err);
}

static bool
is_own(struct backend *b, const struct err *err, bool salvage)
{
	struct err why = ERR_INIT;
	void *bytes;
	size_t size;

	if (unread_is_wrong(err))
		return true;
	if (err->sys_errno != EIO)
		return false;
	/*
	 * The kernel may have the settings in memory still: what a folder is
	 * asked to settle has to reach the disk.  On a file system that has
	 * gone read-only nothing does, and yet the rest of it can be read.
	 */
	if (backend_settle(b, SETTINGS, &why) == -1) {
		if (why.sys_errno != EROFS && !salvage)
			return false;
		err_clear(&why);
	}
	if (backend_get_all(
		b, SETTINGS, BACKEND_OBJECT_MAX, &bytes, &size, &why) == -1)
		return false;
	free(bytes);
	return true;
}

bool
unread_is_own(struct backend *b, const struct err *err)
{
	return is_own(b, err, false);
}

bool
unread_is_loss(struct backend *b, const struct err *err)
{
	return is_own(b, err, true);
}
