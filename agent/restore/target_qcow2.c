/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A qcow2 file.  QEMU's own tools make and write it: qemu-img an empty image,
 * qemu-nbd an export of it on a socket that only we can reach.
 */
#include "agent/restore/target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/nbd/nbd.h"
#include "agent/restore/nbd_queue.h"
#include "agent/restore/partial.h"
#include "agent/restore/tool.h"
#include "common/err.h"
#include "common/io.h"

#define EXPORT "disk"
#define SOCKET_NAME "nbd"
/* Made by qemu-nbd when it listens. */
#define PID_NAME "pid"
/* The address of a socket takes 107 characters. */
#define PARENT_LENGTH_MAX 70
#define START_MS 30000
/* Closing writes what is left of the tables. */
#define END_MS 300000

struct target_qcow2 {
	struct target base;
	const atomic_bool *stop;
	struct partial *partial;
	char *dir; /* Private, for the socket. */
	char *socket_path;
	struct tool *server;
	struct nbd_queue *queue;
};

static int
qcow2_write(struct target *t, uint64_t offset, const void *buf, size_t size,
    struct err *err)
{
	struct target_qcow2 *c = (struct target_qcow2 *)t;

	return nbd_queue_write(c->queue, offset, buf, size, err);
}

/* The server ends by itself once its only connection does. */
static int
qcow2_finish(struct target *t, struct err *err)
{
	struct target_qcow2 *c = (struct target_qcow2 *)t;

	if (nbd_queue_finish(c->queue, err) == -1)
		return -1;
	nbd_queue_close(c->queue);
	c->queue = NULL;
	if (tool_wait(c->server, END_MS, c->stop, err) == -1)
		return -1;
	return partial_commit(c->partial, err);
}

static void
remove_dir(struct target_qcow2 *c)
{
	struct err ignored = ERR_INIT;

	if (c->dir != NULL)
		io_remove_tree(c->dir, &ignored);
	free(c->dir);
	c->dir = NULL;
}

static void
qcow2_close(struct target *t)
{
	struct target_qcow2 *c = (struct target_qcow2 *)t;

	nbd_queue_close(c->queue);
	tool_close(c->server);
	partial_close(c->partial);
	remove_dir(c);
	free(c->socket_path);
	free(c);
}

static const struct target_ops qcow2_ops = {
	.write = qcow2_write,
	.finish = qcow2_finish,
	.close = qcow2_close,
};

static int
start_tool(struct tool **out, const char *const argv[], struct err *err)
{
	if (tool_start(out, argv, err) == 0)
		return 0;
	if (err->class != ERR_NOT_FOUND)
		return -1;
	err_set(err, ERR_UNSUPPORTED,
	    "'%s' is not installed; a qcow2 file cannot be made", argv[0]);
	return err_hint(
	    err, "install qemu-utils, or restore with --format raw");
}

static int
make_image(struct target_qcow2 *c, uint64_t size_bytes, struct err *err)
{
	char size[32];
	const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2",
		partial_path(c->partial), size, NULL };
	struct tool *tool;
	int rc;

	snprintf(size, sizeof(size), "%" PRIu64, size_bytes);
	if (start_tool(&tool, argv, err) == -1)
		return -1;
	rc = tool_wait(tool, START_MS, c->stop, err);
	tool_close(tool);
	return rc;
}

static int
make_dir(struct target_qcow2 *c, struct err *err)
{
	const char *parent = getenv("TMPDIR");

	if (parent == NULL || *parent != '/' ||
	    strlen(parent) > PARENT_LENGTH_MAX)
		parent = "/tmp";
	if ((c->dir = io_path(parent, "holdstill-restore-XXXXXX")) == NULL)
		return err_no_memory(err);
	if (mkdtemp(c->dir) == NULL) {
		err_errno(err, errno, "cannot make a folder in '%s'", parent);
		free(c->dir);
		c->dir = NULL;
		return -1;
	}
	if ((c->socket_path = io_path(c->dir, SOCKET_NAME)) == NULL)
		return err_no_memory(err);
	return 0;
}

/*
 * Past the page cache, where the file system can: a copy less, nothing left to
 * write at the end, and what the host's guests have in the cache stays there.
 * Else cache=unsafe, which spares the syncs in between: a .partial file of a
 * dead run is thrown away anyhow, and the whole one is synced before its
 * rename.
 */
static const char *
cache_mode(const struct partial *partial)
{
	int fd = open(partial_path(partial), O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd == -1)
		return "--cache=unsafe";
	close(fd);
	return "--cache=none";
}

static int
start_server(struct target_qcow2 *c, struct err *err)
{
	char *pid_path = io_path(c->dir, PID_NAME);
	int rc = -1;

	if (pid_path == NULL)
		return err_no_memory(err);

	const char *const argv[] = { "qemu-nbd", "--format=qcow2",
		cache_mode(c->partial), "--detect-zeroes=off",
		"--export-name=" EXPORT, "--shared=1", "--socket",
		c->socket_path, "--pid-file", pid_path,
		partial_path(c->partial), NULL };

	if (start_tool(&c->server, argv, err) == 0)
		rc = tool_wait_file(
		    c->server, c->dir, PID_NAME, START_MS, c->stop, err);
	free(pid_path);
	return rc;
}

static int
connect_queue(struct target_qcow2 *c, struct err *err)
{
	struct nbd_link_options options = {
		.socket_path = c->socket_path,
		.export_name = EXPORT,
		.writable = true,
	};
	struct nbd_link *link;

	if (nbd_link_open(&link, &options, err) == -1)
		return -1;
	if (nbd_queue_start(&c->queue, link, c->stop, err) == 0)
		return 0;
	nbd_link_close(link);
	return -1;
}

int
target_qcow2_open(
    struct target **out, const struct target_request *request, struct err *err)
{
	struct target_qcow2 *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_no_memory(err);
	c->base.ops = &qcow2_ops;
	c->stop = request->stop;
	if (partial_open(&c->partial, request, err) == -1 ||
	    make_image(c, request->size_bytes, err) == -1 ||
	    make_dir(c, err) == -1 || start_server(c, err) == -1 ||
	    connect_queue(c, err) == -1) {
		qcow2_close(&c->base);
		return -1;
	}
	/* The connection stands; now a dead run leaves no folder behind. */
	remove_dir(c);
	*out = &c->base;
	return 0;
}
