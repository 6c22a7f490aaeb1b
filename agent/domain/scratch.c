/* SPDX-License-Identifier: Apache-2.0 */
/* Files and folders that QEMU, which runs as another user, has to reach. */
#include "agent/domain/domain_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"

extern char **environ;

static int
reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* All of what the program prints, standard output and error together. */
static int
collect(char **out, int fd, struct err *err)
{
	char *text = malloc(DOMAIN_XML_MAX_BYTES + 1);
	int64_t n;

	if (text == NULL)
		return err_no_memory(err);
	n = io_read_full(fd, text, DOMAIN_XML_MAX_BYTES);
	text[n < 0 ? 0 : n] = '\0';
	*out = text;
	return 0;
}

static int
spawn(pid_t *out, const char *const argv[], int output)
{
	posix_spawn_file_actions_t actions;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return rc;
	posix_spawn_file_actions_addopen(
	    &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	rc = posix_spawnp(
	    out, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

int
domain_run(char **out_text, const char *const argv[], struct err *err)
{
	char *text = NULL;
	int pipes[2], rc, status;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) == -1)
		return err_errno(err, errno, "cannot make a pipe");
	rc = spawn(&pid, argv, pipes[1]);
	close(pipes[1]);
	if (rc != 0) {
		close(pipes[0]);
		return err_errno(err, rc, "cannot run '%s'", argv[0]);
	}
	rc = collect(&text, pipes[0], err);
	close(pipes[0]);
	status = reap(pid);
	if (rc == 0 && status != 0) {
		text[strcspn(text, "\n")] = '\0';
		rc = err_set(err, ERR_IO, "%s failed: %.300s", argv[0], text);
	}
	if (rc == 0 && out_text != NULL) {
		*out_text = text;
		text = NULL;
	}
	free(text);
	return rc;
}

/* "+64055" is a number, anything else a name. */
static int
parse_owner(const char *label, uid_t *out_uid, gid_t *out_gid)
{
	const char *colon = strchr(label, ':');
	struct passwd *user;
	struct group *group;
	char name[64];
	size_t length;

	if (colon == NULL || (length = (size_t)(colon - label)) == 0 ||
	    length >= sizeof(name) || colon[1] == '\0')
		return -1;
	memcpy(name, label, length);
	name[length] = '\0';
	if (name[0] == '+')
		*out_uid = (uid_t)strtoul(name + 1, NULL, 10);
	else if ((user = getpwnam(name)) != NULL)
		*out_uid = user->pw_uid;
	else
		return -1;
	if (colon[1] == '+')
		*out_gid = (gid_t)strtoul(colon + 2, NULL, 10);
	else if ((group = getgrnam(colon + 1)) != NULL)
		*out_gid = group->gr_gid;
	else
		return -1;
	return 0;
}

int
domain_owner(struct domain *d, uid_t *out_uid, gid_t *out_gid, struct err *err)
{
	const xmlNode *label;
	xmlDoc *doc = NULL;
	char *text = NULL;

	*out_uid = (uid_t)-1;
	*out_gid = (gid_t)-1;
	if (domain_xml_read(&doc, d, 0, err) == -1)
		return -1;
	label = domain_xml_child(xmlDocGetRootElement(doc), "seclabel");
	while (label != NULL && !domain_xml_attr_is(label, "model", "dac"))
		label = domain_xml_next(label, "seclabel");
	if (label != NULL)
		text = domain_xml_text(domain_xml_child(label, "label"));
	if (text != NULL && parse_owner(text, out_uid, out_gid) == -1) {
		*out_uid = (uid_t)-1;
		*out_gid = (gid_t)-1;
	}
	free(text);
	xmlFreeDoc(doc);
	return 0;
}

/* A user without the right to give files away keeps them. */
static int
give(struct domain *d, const char *path, unsigned int mode, struct err *err)
{
	uid_t uid;
	gid_t gid;

	if (domain_owner(d, &uid, &gid, err) == -1)
		return -1;
	if (uid != (uid_t)-1 && uid != geteuid() &&
	    lchown(path, uid, gid) == -1)
		return err_errno(err, errno, "cannot give '%s' to QEMU", path);
	if (chmod(path, mode) == -1)
		return err_errno(
		    err, errno, "cannot set the mode of '%s'", path);
	return 0;
}

int
domain_scratch_create(
    struct domain *d, const char *path, uint64_t size_bytes, struct err *err)
{
	char size[24];
	const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2",
		"--", path, size, NULL };

	snprintf(size, sizeof(size), "%" PRIu64, size_bytes);
	if (domain_run(NULL, argv, err) == -1 ||
	    give(d, path, 0600, err) == -1) {
		unlink(path);
		return err_prefix(err, "scratch file '%s'", path);
	}
	return 0;
}

int
domain_make_shared_dir(struct domain *d, const char *path, struct err *err)
{
	if (io_make_dirs(path, 0711, err) == -1)
		return -1;
	return give(d, path, 0700, err);
}
