/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of --check. */
#include "guest-helper/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "guest-helper/conf.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writers.h"

/* ---- file systems ---- */

static const char *
state_name(const struct mounts_filesystem *fs)
{
	return fs->state == MESSAGE_FS_PLANNED
		   ? "freeze"
		   : message_fs_state_name(fs->state);
}

static int
print_filesystems(const struct guest_options *options, struct err *err)
{
	const struct mounts_filesystem *fs;
	struct mounts mounts;
	int failures = 0;
	size_t i;

	if (mounts_scan(
		&mounts, &options->paths, options->conf, NULL, 0, err) == -1)
		return -1;
	mounts_open(&mounts, &options->paths);
	printf("%-10s %-8s %-10s %s\n", "disk", "type", "state", "mount point");
	for (i = 0; i < mounts.count; i++) {
		fs = &mounts.items[i];
		failures += fs->state == MESSAGE_FS_FAILED;
		printf("%-10s %-8s %-10s %s%s%s%s\n", fs->disk, fs->type,
		    state_name(fs), fs->mount_point,
		    fs->reason[0] != '\0' ? " (" : "", fs->reason,
		    fs->reason[0] != '\0' ? ")" : "");
	}
	if (mounts.note[0] != '\0')
		printf("note: %s\n", mounts.note);
	mounts_fini(&mounts);
	return failures;
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

static void
print_writer(const struct message_writer *w, const struct conf_writer *conf)
{
	bool bad = w->state == MESSAGE_WRITER_FAILED;

	printf("%-20s %-8s %6us %6us %6us %8us  %s%s\n", w->name,
	    w->required ? "required" : "optional", conf->prepare_ms / 1000,
	    conf->freeze_ms / 1000, conf->thaw_ms / 1000,
	    conf->committed_ms / 1000, bad ? "wrong: " : "ready",
	    bad ? w->reason : "");
}

/* Returns how many are wrong. */
static int
print_table(const struct message *m, const struct conf *conf)
{
	int failures = 0;
	size_t i;

	printf("\n%-20s %-8s %7s %7s %7s %9s  %s\n", "writer", "policy",
	    "prepare", "freeze", "thaw", "committed", "state");
	for (i = 0; i < m->writer_count; i++) {
		print_writer(
		    &m->writers[i], conf_writer(conf, m->writers[i].name));
		failures += m->writers[i].state == MESSAGE_WRITER_FAILED;
	}
	for (i = 0; i < conf->writer_count; i++)
		if (conf->writers[i].disabled)
			printf("%-20s turned off\n", conf->writers[i].name);
	return failures;
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
