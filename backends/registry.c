/* SPDX-License-Identifier: Apache-2.0 */
/* From a repository's URL to the backend that serves it. */
#include "backends/registry.h"

#include <string.h>

#include "common/err.h"

static const struct {
	const char *scheme;
	const struct backend_ops *ops; /* NULL: known, not in this build. */
} backends[] = {
	{ "file", &dir_backend_ops },
	{ "dir", &dir_backend_ops },
	{ "mem", &mem_backend_ops },
	{ "sftp", NULL },
	{ "s3", NULL },
	{ "rados", NULL },
	{ "rbd", NULL },
};

/* Length of "scheme" before its colon; 0 for a plain path. */
static size_t
scheme_length(const char *url)
{
	size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789+-");

	return n > 0 && url[n] == ':' ? n : 0;
}

static int
find_ops(const struct backend_ops **out, const char *url, struct err *err)
{
	size_t n = scheme_length(url), i;

	if (url[0] == '\0')
		return err_set(err, ERR_ARG, "the repository's URL is empty");
	*out = &dir_backend_ops;
	if (n == 0)
		return 0;
	for (i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		if (strlen(backends[i].scheme) != n ||
		    memcmp(backends[i].scheme, url, n) != 0)
			continue;
		*out = backends[i].ops;
		if (*out != NULL)
			return 0;
		err_set(err, ERR_UNSUPPORTED,
		    "'%s:' repositories are not in "
		    "this build",
		    backends[i].scheme);
		return err_hint(err, "use a folder, for example "
				     "--repo /var/lib/holdstill/repo");
	}
	err_set(
	    err, ERR_ARG, "'%.*s' is no known kind of repository", (int)n, url);
	return err_hint(
	    err, "for a path that holds a colon write './%.100s'", url);
}

int
backend_check_url(const char *url, struct err *err)
{
	const struct backend_ops *ops;

	return find_ops(&ops, url, err);
}

int
backend_open(struct backend **out, const char *url, enum backend_open_mode mode,
    struct err *err)
{
	const struct backend_ops *ops;

	if (find_ops(&ops, url, err) == -1)
		return -1;
	return ops->open(out, url, mode, err);
}
