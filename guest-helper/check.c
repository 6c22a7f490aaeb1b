/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of --check. */
#include "guest-helper/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "guest-helper/conf.h"
#include "guest-helper/mountinfo.h"
#include "guest-helper/session.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writer_line.h"
#include "guest-helper/writers/writers.h"

/* ---- file systems ---- */

static const char *
state_name(const struct mounts_filesystem *fs)
{
	return fs->state == MESSAGE_FS_PLANNED
		   ? "freeze"
		   : message_fs_state_name(fs->state);
}

static bool
is_mounted(const struct mountinfo *m, const char *mount_point, const char *type)
{
	const struct mountinfo_entry *e = m->entries;

	for (; e < m->entries + m->count; e++)
		if ((mount_point != NULL &&
			strcmp(e->mount_point, mount_point) == 0) ||
		    (type != NULL && strcmp(e->type, type) == 0))
			return true;
	return false;
}

/* A misspelt one would freeze what its owner wants left alone. */
static int
print_idle_skips(const struct guest_options *options, struct err *err)
{
	const struct conf_list *paths = &options->conf->skip_mounts;
	const struct conf_list *types = &options->conf->skip_types;
	struct mountinfo m;
	size_t i;

	if (mountinfo_read(&m, options->paths.mountinfo, err) == -1)
		return -1;
	for (i = 0; i < paths->count; i++)
		if (!is_mounted(&m, paths->items[i], NULL))
			printf("note: skip = %s: nothing is mounted there\n",
			    paths->items[i]);
	for (i = 0; i < types->count; i++)
		if (!is_mounted(&m, NULL, types->items[i]))
			printf("note: skip-type = %s: nothing of that type is "
			       "mounted\n",
			    types->items[i]);
	mountinfo_fini(&m);
	return 0;
}

static int
print_filesystems(const struct guest_options *options, struct err *err)
{
	const struct mounts_filesystem *fs;
	struct mounts mounts;
	int failures = 0, planned = 0;
	size_t i;

	if (mounts_scan(
		&mounts, &options->paths, options->conf, NULL, 0, err) == -1)
		return -1;
	mounts_open(&mounts, &options->paths);
	printf("%-10s %-8s %-10s %s\n", "disk", "type", "state", "mount point");
	for (i = 0; i < mounts.count; i++) {
		fs = &mounts.items[i];
		failures += fs->state == MESSAGE_FS_FAILED;
		planned += fs->state == MESSAGE_FS_PLANNED;
		printf("%-10s %-8s %-10s %s%s%s%s\n", fs->disk, fs->type,
		    state_name(fs), fs->mount_point,
		    fs->reason[0] != '\0' ? " (" : "", fs->reason,
		    fs->reason[0] != '\0' ? ")" : "");
	}
	if (mounts.note[0] != '\0')
		printf("note: %s\n", mounts.note);
	mounts_fini(&mounts);
	if (planned == 0)
		printf("note: nothing would be frozen\n");
	return print_idle_skips(options, err) == -1 ? -1 : failures;
}

/* ---- writers ---- */

static void
nothing_done(void *arg, enum writers_step step)
{
	(void)arg;
	(void)step;
}

/* As the helper itself sees them; nothing is started. */
static int
scan_writers(struct message *m, const struct conf *conf, struct err *err)
{
	struct spawner none = { .fd = -1, .pid = -1 };
	struct writers *writers = NULL;
	enum log_level level = log_get_level();
	int rc;

	if (writers_new(&writers, conf, &none, -1, nothing_done, NULL, err) ==
	    -1)
		return -1;
	/* What it would log is in the table. */
	log_set_level(LOG_ERROR);
	rc = writers_scan(writers, err);
	log_set_level(level);
	writers_put(writers, m);
	writers_free(writers);
	return rc;
}

/* What it has: "3.3s". */
static void
print_time(int width, unsigned int given_ms, uint32_t most_ms)
{
	unsigned int ms = given_ms < most_ms ? given_ms : most_ms;
	char text[24];

	if (ms % 1000 == 0)
		snprintf(text, sizeof(text), "%us", ms / 1000);
	else
		snprintf(
		    text, sizeof(text), "%u.%us", ms / 1000, ms % 1000 / 100);
	printf(" %*s", width, text);
}

/* That it can be run says nothing of the application behind it. */
static void
print_writer(const struct message_writer *w, const struct conf_writer *conf,
    const struct session_times *most)
{
	bool bad = w->state == MESSAGE_WRITER_FAILED;

	printf("%-20s %-8s", w->name, w->required ? "required" : "optional");
	print_time(7, conf->prepare_ms, most->prepare_ms);
	print_time(7, conf->freeze_ms, most->freeze_ms);
	print_time(7, conf->thaw_ms, most->thaw_ms);
	print_time(9, conf->committed_ms, most->committed_ms);
	printf("  %s%s\n", bad ? "wrong: " : "would be asked",
	    bad ? w->reason : "");
}

/* Returns how many are wrong. */
static int
print_table(const struct message *m, const struct conf *conf)
{
	struct session_times most;
	int failures = 0;
	size_t i;

	session_usual_times(&most, conf);
	printf("\n%-20s %-8s %7s %7s %7s %9s  %s\n", "writer", "policy",
	    "prepare", "freeze", "thaw", "committed", "state");
	for (i = 0; i < m->writer_count; i++) {
		print_writer(&m->writers[i],
		    conf_writer(conf, m->writers[i].name), &most);
		failures += m->writers[i].state == MESSAGE_WRITER_FAILED;
	}
	for (i = 0; i < conf->writer_count; i++)
		if (conf->writers[i].disabled)
			printf("%-20s turned off\n", conf->writers[i].name);
	printf("a host cuts: prepare at");
	print_time(0, most.prepare_ms, UINT32_MAX);
	printf(", freeze at");
	print_time(0, most.freeze_ms, UINT32_MAX);
	printf(" with its usual lease, which is");
	print_time(0, most.lease_ms, UINT32_MAX);
	printf(" here\nthe helper cuts: thaw at");
	print_time(0, most.thaw_ms, UINT32_MAX);
	printf(", committed at");
	print_time(0, most.committed_ms, UINT32_MAX);
	printf("\n");
	return failures;
}

/* ---- files that are no writers ---- */

/* Why a file is passed over; NULL: it is not, or is meant to be. */
static const char *
passed_over(const struct conf *conf, const char *dir, const char *file,
    const char *prefix)
{
	const char *fault = spawner_name_fault(file);
	char name[MESSAGE_NAME_SIZE], *path;
	struct err err = ERR_INIT;
	struct stat st;
	bool folder;

	if ((path = io_path(dir, file)) == NULL)
		return NULL;
	folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	free(path);
	if (folder || fault != NULL)
		return folder ? NULL : fault;
	/* A valid name leaves room for that. */
	snprintf(name, sizeof(name), "%s%.*s", prefix,
	    (int)(sizeof(name) - sizeof(MESSAGE_HOOK_PREFIX)), file);
	if (conf_writer(conf, name)->disabled ||
	    spawner_check(dir, file, &err) == 0 || err.class != ERR_NOT_FOUND)
		return NULL;
	return "it is not an executable file";
}

static void
print_passed_over(const struct conf *conf, const char *dir, const char *prefix)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, NULL, alphasort), i;
	const char *why;

	for (i = 0; i < n; i++) {
		why = passed_over(conf, dir, entries[i]->d_name, prefix);
		writer_line_clean(entries[i]->d_name);
		if (why != NULL)
			printf("passed over: %s/%s (%s)\n", dir,
			    entries[i]->d_name, why);
		free(entries[i]);
	}
	free(entries);
}

static int
print_writers(const struct conf *conf, struct err *err)
{
	struct message *m;
	int failures = 0;

	if (conf->no_writers) {
		printf("\nwriters and hooks are turned off\n");
		return 0;
	}
	if ((m = calloc(1, sizeof(*m))) == NULL)
		return err_no_memory(err);
	if (scan_writers(m, conf, err) == -1) {
		printf("\nwrong: %s\n", err->text);
		err_clear(err);
		failures++;
	}
	if (m->writer_count == 0 && conf->writer_count == 0)
		printf("\nno writers in %s%s%s\n", conf->writers_dir,
		    conf->no_hooks ? "" : ", no hooks in ",
		    conf->no_hooks ? "" : conf->hooks_dir);
	else
		failures += print_table(m, conf);
	free(m);
	/* A folder that cannot be read was counted above. */
	print_passed_over(conf, conf->writers_dir, "");
	if (!conf->no_hooks)
		print_passed_over(conf, conf->hooks_dir, MESSAGE_HOOK_PREFIX);
	return failures;
}

int
check_run(const struct guest_options *options, struct err *err)
{
	int failures = print_filesystems(options, err), writers;

	if (failures == -1)
		return -1;
	writers = print_writers(options->conf, err);
	if (writers == -1)
		return -1;
	printf("\nno freeze is longer than %u s\n",
	    options->conf->lease_max_ms / 1000);
	if (failures + writers > 0)
		printf("%d of these would fail\n", failures + writers);
	return failures + writers;
}
