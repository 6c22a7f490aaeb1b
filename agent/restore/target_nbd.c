/* SPDX-License-Identifier: Apache-2.0 */
/* An NBD export: nbd+unix:///NAME?socket=PATH. */
#include "agent/restore/target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nbd/nbd.h"
#include "agent/restore/nbd_queue.h"
#include "common/err.h"
#include "common/hexid.h"

#define PREFIX "nbd+unix:///" /* And no host. */
#define QUERY "?socket="

struct target_nbd {
	struct target base;
	struct nbd_queue *queue;
	char *export_name;
	char *socket_path;
};

static int
nbd_write(struct target *t, uint64_t offset, const void *buf, size_t size,
    struct err *err)
{
	struct target_nbd *n = (struct target_nbd *)t;

	return nbd_queue_write(n->queue, offset, buf, size, err);
}

static int
nbd_zero(struct target *t, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct target_nbd *n = (struct target_nbd *)t;

	return nbd_queue_zero(n->queue, offset, (uint32_t)bytes, err);
}

static int
nbd_finish(struct target *t, struct err *err)
{
	struct target_nbd *n = (struct target_nbd *)t;

	return nbd_queue_finish(n->queue, err);
}

static void
nbd_close(struct target *t)
{
	struct target_nbd *n = (struct target_nbd *)t;

	nbd_queue_close(n->queue);
	free(n->export_name);
	free(n->socket_path);
	free(n);
}

static const struct target_ops nbd_ops = {
	.write = nbd_write,
	.zero = nbd_zero,
	.finish = nbd_finish,
	.close = nbd_close,
};

/* Undoes %XX; NULL if that is malformed, hides a NUL, or without memory. */
static char *
decode(const char *text, size_t length)
{
	char *copy = malloc(length + 1), digits[3] = "";
	size_t from, to = 0;

	if (copy == NULL)
		return NULL;
	for (from = 0; from < length; from++, to++) {
		copy[to] = text[from];
		if (text[from] != '%')
			continue;
		if (length - from < 3)
			goto bad;
		memcpy(digits, text + from + 1, 2);
		if (hex_decode(copy + to, 1, digits) == -1 || copy[to] == '\0')
			goto bad;
		from += 2;
	}
	copy[to] = '\0';
	return copy;
bad:
	free(copy);
	return NULL;
}

static int
parse_url(struct target_nbd *n, const char *url, struct err *err)
{
	const char *name, *query, *socket;

	if (strncmp(url, PREFIX, strlen(PREFIX)) != 0)
		goto bad;
	name = url + strlen(PREFIX);
	query = strchr(name, '?');
	if (query == NULL || strncmp(query, QUERY, strlen(QUERY)) != 0)
		goto bad;
	socket = query + strlen(QUERY);
	if (*socket == '\0' || strchr(socket, '&') != NULL)
		goto bad;
	n->export_name = decode(name, (size_t)(query - name));
	n->socket_path = decode(socket, strlen(socket));
	if (n->export_name != NULL && n->socket_path != NULL)
		return 0;
bad:
	err_set(err, ERR_ARG, "'%s' is no URL of an NBD export", url);
	return err_hint(err, "write nbd+unix:///NAME?socket=PATH");
}

static int
connect_queue(
    struct target_nbd *n, const struct target_request *request, struct err *err)
{
	struct nbd_link_options options = {
		.socket_path = n->socket_path,
		.export_name = n->export_name,
		.writable = true,
	};
	struct nbd_link *link;

	if (nbd_link_open(&link, &options, err) == -1)
		return -1;
	if (nbd_link_size(link) < request->size_bytes) {
		err_set(err, ERR_NO_SPACE,
		    "'%s' is too small: it has %" PRIu64
		    " bytes, the disk %" PRIu64,
		    request->path, nbd_link_size(link), request->size_bytes);
		goto out;
	}
	if (nbd_queue_start(&n->queue, link, request->stop, err) == 0)
		return 0;
out:
	nbd_link_close(link);
	return -1;
}

static int
new_target(struct target_nbd **out, const struct target_request *request,
    struct err *err)
{
	struct target_nbd *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return err_no_memory(err);
	n->base.ops = &nbd_ops;
	if (parse_url(n, request->path, err) == -1)
		goto out;
	if (!request->overwrite) {
		err_set(err, ERR_EXISTS, "'%s' is an export that exists",
		    request->path);
		err_hint(err, "use --overwrite to write over it");
		goto out;
	}
	*out = n;
	return 0;
out:
	nbd_close(&n->base);
	return -1;
}

int
target_nbd_check(const struct target_request *request, struct err *err)
{
	struct target_nbd *n;

	if (new_target(&n, request, err) == -1)
		return -1;
	nbd_close(&n->base);
	return 0;
}

int
target_nbd_open(
    struct target **out, const struct target_request *request, struct err *err)
{
	struct target_nbd *n;

	if (new_target(&n, request, err) == -1)
		return -1;
	if (connect_queue(n, request, err) == -1) {
		nbd_close(&n->base);
		return -1;
	}
	*out = &n->base;
	return 0;
}
