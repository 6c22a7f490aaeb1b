/* SPDX-License-Identifier: Apache-2.0 */
/* Restores from a real repository, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/restore/restore.h"
#include "common/err.h"
#include "common/io.h"
#include "tests/unit/store_rig.h"

#define DISK_BYTES ((UINT64_C(24) << 20) + 4608)

struct place {
	struct rig rig;
	struct image image;
	struct manifest *full;
	struct manifest *incremental; /* The image as it is now. */
	char out[256];
};

static const char *
path_of(const struct place *p, const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", p->out, name);
	return path;
}

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct image before;
	struct err err = ERR_INIT;

	rig_init(&p->rig, "dir");
	snprintf(p->out, sizeof(p->out), "%.200s/out", p->rig.root);
	assert_int_equal(io_make_dirs(p->out, 0700, &err), 0);
	image_init(&p->image, DISK_BYTES);
	image_fill(&p->image, 0, 3 << 20, 1, true);
	image_fill(&p->image, 8 << 20, 5 << 20, 2, false);
	image_fill(&p->image, DISK_BYTES - 5000, 5000, 3, false);
	assert_int_equal(rig_backup(&p->rig, p->rig.store, &p->full, &p->image,
			     NULL, NULL, &err),
	    0);
	image_copy(&before, &p->image);
	/* New data in a hole, and zeros where data was. */
	image_fill(&p->image, 20 << 20, 1 << 20, 4, false);
	memset(p->image.bytes + (9 << 20), 0, 1 << 20);
	assert_int_equal(rig_backup(&p->rig, p->rig.store, &p->incremental,
			     &p->image, p->full, &before, &err),
	    0);
	image_fini(&before);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	manifest_free(p->full);
	manifest_free(p->incremental);
	image_fini(&p->image);
	rig_fini(&p->rig);
	free(p);
	return 0;
}

static int
restore_to(struct place *p, const struct manifest *m, const char *name,
    enum restore_format format, struct err *err)
{
	struct restore_options options = {
		.target = path_of(p, name),
		.format = format,
		.overwrite = true,
	};

	return restore_disk(p->rig.store, &m->disks[0], &options, err);
}

static void
assert_image(const char *path, const struct image *image)
{
	struct err err = ERR_INIT;
	size_t size;
	char *got;

	if (io_read_file(&got, &size, path, DISK_BYTES, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(size, image->size);
	assert_memory_equal(got, image->bytes, size);
	free(got);
}

static void
test_restore_store_point_is_the_disk(void **state)
{
	struct place *p = *state;
	char command[1024];
	struct err err = ERR_INIT;

	if (restore_to(p, p->incremental, "a", RESTORE_RAW, &err) == -1 ||
	    restore_to(p, p->incremental, "b", RESTORE_QCOW2, &err) == -1)
		fail_msg("%s", err.text);
	assert_image(path_of(p, "a"), &p->image);
	snprintf(command, sizeof(command),
	    "qemu-img compare -q -f raw -F qcow2 %s/a %s/b", p->out, p->out);
	assert_int_equal(system(command), 0);
	/* And over what another point left there. */
	if (restore_to(p, p->full, "a", RESTORE_RAW, &err) == -1 ||
	    restore_to(p, p->incremental, "a", RESTORE_RAW, &err) == -1)
		fail_msg("%s", err.text);
	assert_image(path_of(p, "a"), &p->image);
}

static unsigned int
count_files(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	unsigned int n = 0;

	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* Flips a byte in the middle of each pack. */
static void
damage(struct place *p)
{
	static struct keys keys;
	char path[600];
	uint8_t byte;
	struct stat st;
	size_t i;
	int fd;

	rig_keys(&p->rig, &keys, "packs/");
	assert_true(keys.count > 0);
	for (i = 0; i < keys.count; i++) {
		snprintf(path, sizeof(path), "%s/%s", p->rig.url, keys.key[i]);
		chmod(path, 0600);
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_int_not_equal(fd, -1);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(
		    io_pread_full(fd, &byte, 1, (uint64_t)st.st_size / 2), 1);
		byte ^= 1;
		assert_int_equal(
		    io_pwrite_full(fd, &byte, 1, (uint64_t)st.st_size / 2), 0);
		close(fd);
	}
}

static void
test_restore_store_damage_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct err err = ERR_INIT;

	damage(p);
	assert_int_equal(restore_to(p, p->full, "a", RESTORE_RAW, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.text, "packs/"));
	assert_int_equal(restore_to(p, p->full, "a", RESTORE_QCOW2, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_int_equal(count_files(p->out), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_restore_store_point_is_the_disk),
		CASE(test_restore_store_damage_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
