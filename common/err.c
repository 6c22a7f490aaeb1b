/* SPDX-License-Identifier: Apache-2.0 */
/* Errors without allocation. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum err_class
class_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EBUSY:
	case EAGAIN:
		return ERR_BUSY;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_AUTH;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NO_SPACE;
	case ENOMEM:
		return ERR_NO_MEMORY;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECANCELED:
		return ERR_CANCELLED;
	case EOPNOTSUPP:
	case ENOSYS:
		return ERR_UNSUPPORTED;
	case EINVAL:
	case ENAMETOOLONG:
	case ENOTDIR:
	case EISDIR:
		return ERR_ARG;
	default:
		return ERR_IO;
	}
}

int
err_set(struct err *err, enum err_class class, const char *fmt, ...)
{
	va_list ap;

	err_clear(err);
	err->class = class;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_errno(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	char reason[128];
	size_t used;

	err_clear(err);
	err->class = class_of_errno(errnum);
	err->sys_errno = errnum;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
	    strerror_r(errnum, reason, sizeof(reason)));
	return -1;
}

int
err_no_memory(struct err *err)
{
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

int
err_library(struct err *err, enum err_class class, const char *fmt, ...)
{
	va_list ap;

	if (errno == ENOMEM)
		return err_no_memory(err);
	err_clear(err);
	err->class = class;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	va_list ap;
	size_t used;

	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	return -1;
}

int
err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -1;
}

void
err_clear(struct err *err)
{
	err->class = ERR_NONE;
	err->sys_errno = 0;
	err->text[0] = '\0';
	err->hint[0] = '\0';
}

const char *err_class_name(enum err_class class)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",
		[ERR_ARG] = "argument",
		[ERR_NOT_FOUND] = "not-found",
		[ERR_EXISTS] = "exists",
		[ERR_BUSY] = "busy",
		[ERR_IO] = "io",
		[ERR_AUTH] = "auth",
		[ERR_NO_SPACE] = "no-space",
		[ERR_CORRUPT] = "corrupt",
		[ERR_UNSUPPORTED] = "unsupported",
		[ERR_TIMEOUT] = "timeout",
		[ERR_CANCELLED] = "cancelled",
		[ERR_NO_MEMORY] = "no-memory",
		[ERR_BUG] = "bug",
	};

	if ((unsigned int)class >= sizeof(names) / sizeof(names[0]))
		return "unknown";
	return names[class];
}
