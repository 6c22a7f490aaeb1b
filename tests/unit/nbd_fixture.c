/* SPDX-License-Identifier: Apache-2.0 */
/* A real qemu-nbd over a small image in a folder of its own. */
#include "nbd_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/io.h"

extern char **environ;

static pid_t
start(const char *const argv[])
{
	pid_t pid;

	if (posix_spawnp(
		&pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0)
		return -1;
	return pid;
}

static bool
run(const char *const argv[])
{
	pid_t pid = start(argv);
	int status;

	return pid != -1 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void
nbd_fixture_init(struct nbd_fixture *f, uint64_t size_bytes)
{
	char size[24];
	const char *const probe[] = { "sh", "-c",
		"command -v qemu-nbd qemu-io qemu-img >/dev/null", NULL };
	const char *const create[] = { "qemu-img", "create", "-q", "-f",
		"qcow2", f->image, size, NULL };

	if (!run(probe)) {
		print_message("no qemu-nbd on this machine\n");
		skip();
	}
	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/hs-nbd.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->image, sizeof(f->image), "%s/image", f->dir);
	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->dir);
	snprintf(size, sizeof(size), "%" PRIu64, size_bytes);
	assert_true(run(create));
}

void
nbd_fixture_io(struct nbd_fixture *f, const char *command)
{
	char line[256];
	const char *const argv[] = { "sh", "-c", line, NULL };

	snprintf(line, sizeof(line), "qemu-io -f qcow2 -c '%s' %s >/dev/null",
	    command, f->image);
	assert_true(run(argv));
}

void
nbd_fixture_bitmap(struct nbd_fixture *f, const char *name)
{
	const char *const argv[] = { "qemu-img", "bitmap", "--add", f->image,
		name, NULL };

	assert_true(run(argv));
}

void
nbd_fixture_serve(struct nbd_fixture *f, const char *bitmap, bool writable)
{
	const char *argv[16] = { "qemu-nbd", "-f", "qcow2", "-t", "-e", "4",
		"-x", "vda", "-k", f->socket };
	size_t n = 10;

	if (bitmap != NULL) {
		argv[n++] = "-B";
		argv[n++] = bitmap;
	}
	if (!writable)
		argv[n++] = "-r";
	argv[n++] = f->image;
	argv[n] = NULL;
	f->server = start(argv);
	assert_int_not_equal(f->server, -1);
}

void
nbd_fixture_kill(struct nbd_fixture *f)
{
	if (f->server <= 0)
		return;
	kill(f->server, SIGKILL);
	waitpid(f->server, NULL, 0);
	f->server = 0;
}

void
nbd_fixture_fini(struct nbd_fixture *f)
{
	struct err err = ERR_INIT;

	nbd_fixture_kill(f);
	assert_int_equal(io_remove_tree(f->dir, &err), 0);
}
