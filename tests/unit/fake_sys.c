/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, links and small files, as the kernel would show them. */
#include "fake_sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"

struct fake_sys fake_sys;

void
fake_sys_dir(const char *path)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", fake_sys.sysfs, path);
	assert_int_equal(io_make_dirs(whole, 0755, &fake_sys.err), 0);
}

void
fake_sys_file(const char *path, const char *text)
{
	char whole[256];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s/%s", fake_sys.sysfs, path);
	file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

void
fake_sys_link(const char *path, const char *to)
{
	char whole[256], target[256];

	snprintf(whole, sizeof(whole), "%s/%s", fake_sys.sysfs, path);
	snprintf(target, sizeof(target), "%s/%s", fake_sys.sysfs, to);
	assert_int_equal(symlink(target, whole), 0);
}

/* A device at devices/PATH, with its links as the kernel makes them. */
void
fake_sys_device_at(const char *path, const char *number, bool is_partition)
{
	const char *name = strrchr(path, '/');
	char at[160], link[192];

	name = name == NULL ? path : name + 1;
	snprintf(at, sizeof(at), "devices/%s", path);
	fake_sys_dir(at);
	snprintf(link, sizeof(link), "dev/block/%s", number);
	fake_sys_link(link, at);
	snprintf(link, sizeof(link), "class/block/%s", name);
	fake_sys_link(link, at);
	snprintf(link, sizeof(link), "%s/dev", at);
	fake_sys_file(link, number);
	if (is_partition) {
		snprintf(link, sizeof(link), "%s/partition", at);
		fake_sys_file(link, "1\n");
	} else {
		snprintf(link, sizeof(link), "block/%s", name);
		fake_sys_link(link, at);
	}
}

void
fake_sys_device(const char *path, const char *number)
{
	fake_sys_device_at(path, number, strchr(path, '/') != NULL);
}

/* A loop device on a file. */
void
fake_sys_loop(const char *name, const char *number, const char *file)
{
	char path[160];

	fake_sys_device(name, number);
	snprintf(path, sizeof(path), "devices/%s/loop", name);
	fake_sys_dir(path);
	snprintf(path, sizeof(path), "devices/%s/loop/backing_file", name);
	fake_sys_file(path, file);
}

void
fake_sys_slave(const char *of, const char *name)
{
	char path[128], to[128];

	snprintf(path, sizeof(path), "devices/%s/slaves", of);
	fake_sys_dir(path);
	snprintf(path, sizeof(path), "devices/%s/slaves/%s", of, name);
	snprintf(to, sizeof(to), "class/block/%s", name);
	fake_sys_link(path, to);
}

int
fake_sys_set_up(void **state)
{
	(void)state;
	strcpy(fake_sys.top, "/tmp/holdstill-fake_sys.mounts.XXXXXX");
	assert_non_null(mkdtemp(fake_sys.top));
	snprintf(
	    fake_sys.sysfs, sizeof(fake_sys.sysfs), "%s/sys", fake_sys.top);
	snprintf(
	    fake_sys.table, sizeof(fake_sys.table), "%s/table", fake_sys.top);
	snprintf(fake_sys.proc, sizeof(fake_sys.proc), "%s/proc", fake_sys.top);
	fake_sys.paths =
	    (struct mounts_paths){ fake_sys.table, fake_sys.sysfs, NULL, NULL };
	memset(&fake_sys.conf, 0, sizeof(fake_sys.conf));
	fake_sys_dir("dev/block");
	fake_sys_dir("class/block");
	fake_sys_dir("block");
	fake_sys_device("vda", "254:0");
	fake_sys_device("vda/vda1", "254:1");
	fake_sys_device("vdb", "254:16");
	fake_sys_file("devices/vda/serial", "SERIAL-A");
	return 0;
}

int
fake_sys_tear_down(void **state)
{
	(void)state;
	mounts_fini(&fake_sys.mounts);
	return io_remove_tree(fake_sys.top, &fake_sys.err);
}

void
fake_sys_scan(const char *text, const struct message_disk *disks, size_t count)
{
	FILE *file = fopen(fake_sys.table, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	mounts_fini(&fake_sys.mounts);
	assert_int_equal(mounts_scan(&fake_sys.mounts, &fake_sys.paths,
			     &fake_sys.conf, disks, count, &fake_sys.err),
	    0);
}

void
fake_sys_expect(size_t i, const char *mount_point, const char *disk,
    enum message_fs_state state)
{
	assert_true(i < fake_sys.mounts.count);
	assert_string_equal(fake_sys.mounts.items[i].mount_point, mount_point);
	assert_string_equal(fake_sys.mounts.items[i].disk, disk);
	assert_int_equal(fake_sys.mounts.items[i].state, state);
}

/* A process in the fixture's fake_sys.proc. */
void
fake_sys_process(
    const char *pid, const char *space, const char *name, const char *text)
{
	const struct {
		const char *file, *text;
	} files[] = { { "comm", name }, { "mountinfo", text } };
	char path[256];
	FILE *file;
	size_t i;

	snprintf(path, sizeof(path), "%s/%s/ns", fake_sys.proc, pid);
	assert_int_equal(io_make_dirs(path, 0755, &fake_sys.err), 0);
	snprintf(path, sizeof(path), "%s/%s/root", fake_sys.proc, pid);
	assert_int_equal(io_make_dirs(path, 0755, &fake_sys.err), 0);
	snprintf(path, sizeof(path), "%s/%s/ns/mnt", fake_sys.proc, pid);
	assert_int_equal(symlink(space, path), 0);
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", fake_sys.proc, pid,
		    files[i].file);
		assert_non_null(file = fopen(path, "w"));
		fputs(files[i].text, file);
		fclose(file);
	}
	fake_sys.paths.proc = fake_sys.proc;
}
