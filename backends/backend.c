/* SPDX-License-Identifier: Apache-2.0 */
/* The gate before every backend: checks keys, sizes and ranges once. */
#include "backends/backend.h"

#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "common/err.h"

static bool
key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '_' || c == '-';
}

/* One part between slashes. */
static bool
part_valid(const char *part, size_t length)
{
	size_t i;

	if (length == 0 || (length == 1 && part[0] == '.') ||
	    (length == 2 && part[0] == '.' && part[1] == '.'))
		return false;
	for (i = 0; i < length; i++) {
		if (!key_char(part[i]))
			return false;
	}
	return true;
}

bool
backend_key_valid(const char *key)
{
	size_t length;

	if (strlen(key) > BACKEND_KEY_MAX || strncmp(key, "tmp/", 4) == 0 ||
	    strcmp(key, "tmp") == 0)
		return false;
	for (;;) {
		length = strcspn(key, "/");
		if (!part_valid(key, length))
			return false;
		if (key[length] == '\0')
			return true;
		key += length + 1;
	}
}

static int
check_key(const char *key, struct err *err)
{
	if (backend_key_valid(key))
		return 0;
	return err_set(err, ERR_ARG, "'%.200s' is no valid object key", key);
}

static bool
prefix_valid(const char *prefix)
{
	const char *p;

	if (strlen(prefix) > BACKEND_KEY_MAX || prefix[0] == '/' ||
	    strstr(prefix, "//") != NULL || strstr(prefix, "./") != NULL)
		return false;
	for (p = prefix; *p != '\0'; p++) {
		if (!key_char(*p) && *p != '/')
			return false;
	}
	return true;
}

void
backend_close(struct backend *b)
{
	if (b != NULL)
		b->ops->close(b);
}

static int
check_object(const char *key, size_t size, struct err *err)
{
	if (check_key(key, err) == -1)
		return -1;
	if (size > BACKEND_OBJECT_MAX)
		return err_set(err, ERR_ARG,
		    "object '%s' is too large: %zu "
		    "bytes",
		    key, size);
	return 0;
}

int
backend_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	if (check_object(key, size, err) == -1)
		return -1;
	return b->ops->put(b, key, buf, size, err);
}

int
backend_put_paced(struct backend *b, const char *key, const void *buf,
    size_t size, const struct backend_pace *pace, struct err *err)
{
	size_t done, n;

	if (check_object(key, size, err) == -1)
		return -1;
	if (b->ops->put_paced != NULL)
		return b->ops->put_paced(b, key, buf, size, pace, err);
	for (done = 0; done < size; done += n) {
		n = size - done < pace->piece_bytes ? size - done
						    : pace->piece_bytes;
		if (pace->fn(pace->arg, n, err) == -1)
			return -1;
	}
	return b->ops->put(b, key, buf, size, err);
}

int
backend_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	uint64_t end;

	if (check_key(key, err) == -1)
		return -1;
	if (size > BACKEND_OBJECT_MAX || ckd_add(&end, offset, size) ||
	    end > INT64_MAX)
		return err_set(err, ERR_ARG,
		    "range of object '%s' is too "
		    "large",
		    key);
	return b->ops->get(b, key, offset, buf, size, err);
}

int
backend_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	if (check_key(key, err) == -1)
		return -1;
	return b->ops->stat(b, key, out_size, err);
}

int
backend_has(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	uint64_t size;

	if (backend_stat(b, key, out_size != NULL ? out_size : &size, err) == 0)
		return 1;
	if (err->class != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	return 0;
}

int
backend_settle(struct backend *b, const char *key, struct err *err)
{
	uint64_t size;

	if (check_key(key, err) == -1)
		return -1;
	if (b->ops->settle != NULL)
		return b->ops->settle(b, key, err);
	return b->ops->stat(b, key, &size, err);
}

int
backend_remove(struct backend *b, const char *key, struct err *err)
{
	if (check_key(key, err) == -1)
		return -1;
	return b->ops->remove(b, key, err);
}

int
backend_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	if (!prefix_valid(prefix))
		return err_set(err, ERR_ARG,
		    "'%.200s' is no valid prefix of "
		    "a key",
		    prefix);
	return b->ops->list(b, prefix, fn, arg, err);
}

static int
note_any(void *arg, const char *key, uint64_t size_bytes)
{
	(void)key;
	(void)size_bytes;
	*(bool *)arg = true;
	return 1;
}

int
backend_has_any(struct backend *b, const char *prefix, struct err *err)
{
	bool any = false;

	if (backend_list(b, prefix, note_any, &any, err) == -1)
		return -1;
	return any;
}

int
backend_get_all(struct backend *b, const char *key, size_t max, void **out,
    size_t *out_size, struct err *err)
{
	uint64_t size;
	void *buf;

	if (backend_stat(b, key, &size, err) == -1)
		return -1;
	if (size > max || size > BACKEND_OBJECT_MAX)
		return err_set(err, ERR_CORRUPT,
		    "object '%s' has %llu bytes, "
		    "more than it may have",
		    key, (unsigned long long)size);
	if ((buf = malloc(size > 0 ? (size_t)size : 1)) == NULL)
		return err_no_memory(err);
	if (backend_get(b, key, 0, buf, (size_t)size, err) == -1) {
		free(buf);
		return -1;
	}
	*out = buf;
	*out_size = (size_t)size;
	return 0;
}
