/* SPDX-License-Identifier: Apache-2.0 */
/* Whole command lines, run in the test's process. */
#include "tests/unit/cli_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "common/err.h"
#include "common/io.h"

char cli_rig_root[64];
char cli_rig_out[16384];

int
cli_rig_setup(void **state)
{
	(void)state;
	strcpy(cli_rig_root, "/tmp/holdstill-test-XXXXXX");
	assert_non_null(mkdtemp(cli_rig_root));
	unsetenv("HOLDSTILL_PASSPHRASE_FILE");
	unsetenv("HOLDSTILL_KEY_FILE");
	return 0;
}

int
cli_rig_teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	io_remove_tree(cli_rig_root, &err);
	return 0;
}

void
cli_rig_file(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", cli_rig_root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
read_out(int fd)
{
	ssize_t n;

	fflush(stdout);
	fflush(stderr);
	n = pread(fd, cli_rig_out, sizeof(cli_rig_out) - 1, 0);
	assert_true(n >= 0);
	cli_rig_out[n] = '\0';
}

int
cli_rig_run(const char *line)
{
	char text[1024], *argv[32], *word, *save = NULL;
	int saved[3], null = open("/dev/null", O_RDONLY | O_CLOEXEC), fd, rc;
	int argc = 0, i;
	size_t n = 0;

	for (; *line != '\0' && n + sizeof(cli_rig_root) < sizeof(text);
	     line++) {
		if (*line == '@' && n > 0 && strchr(" =", text[n - 1]) != NULL)
			n += (size_t)snprintf(
			    text + n, sizeof(cli_rig_root), "%s", cli_rig_root);
		else
			text[n++] = *line;
	}
	text[n] = '\0';
	for (word = strtok_r(text, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	for (i = 0; i < 3; i++) {
		fflush(i == 1 ? stdout : stderr);
		saved[i] = dup(i);
		dup2(i == 0 ? null : fd, i);
	}
	rc = cli_main(argc, argv);
	read_out(fd);
	for (i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	close(fd);
	close(null);
	return rc;
}

void
cli_rig_expect(int code, const char *line, const char *part)
{
	int rc = cli_rig_run(line);

	if (rc != code || strstr(cli_rig_out, part) == NULL)
		fail_msg("%s: exit code %d, said:\n%s", line, rc, cli_rig_out);
}

void
cli_rig_unsaid(const char *part)
{
	if (strstr(cli_rig_out, part) != NULL)
		fail_msg("'%s' was said:\n%s", part, cli_rig_out);
}
