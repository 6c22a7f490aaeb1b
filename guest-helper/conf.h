/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/holdstill/guest.conf: what the guest's owner allows and wishes.
 * See man/holdstill-guest.conf.5.
 */
#ifndef HOLDSTILL_GUEST_CONF_H
#define HOLDSTILL_GUEST_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/message.h"

#define CONF_PATH "/etc/holdstill/guest.conf"
#define CONF_WRITERS_DIR "/etc/holdstill/writers.d"
#define CONF_HOOKS_DIR "/etc/qemu/fsfreeze-hook.d"
#define CONF_LIST_MAX 32

struct err;

struct conf_list {
	char items[CONF_LIST_MAX][MESSAGE_PATH_SIZE];
	size_t count;
};

/* [writer NAME]; NAME is the executable's in its folder. */
struct conf_writer {
	char name[MESSAGE_NAME_SIZE];
	bool disabled;           /* enabled = no */
	bool optional;           /* required = no */
	unsigned int prepare_ms; /* prepare-timeout, in seconds there */
	unsigned int freeze_ms;
	unsigned int thaw_ms;
	unsigned int committed_ms;
	struct conf_list after; /* Frozen after these. */
};

struct conf {
	/* [filesystems] skip = PATH ..., skip-type = TYPE ... */
	struct conf_list skip_mounts;
	struct conf_list skip_types;
	bool ignore_containers; /* containers = no */
	/* [limits] */
	unsigned int lease_max_ms; /* max-lease, seconds; 60 at most */
	/* [writers] enabled, hooks, dir, hook-dir */
	bool no_writers;
	bool no_hooks;
	char writers_dir[MESSAGE_PATH_SIZE];
	char hooks_dir[MESSAGE_PATH_SIZE];
	struct conf_writer defaults; /* [writers] required, ...-timeout */
	struct conf_writer writers[MESSAGE_WRITERS_MAX];
	size_t writer_count;
};

/* The defaults, as if the file were empty. */
void conf_init(struct conf *c);

/*
 * Reads the file over *c.  An absent one is fine unless must_exist.  A
 * misspelt key or a wrong value is ERR_ARG with file and line: a policy that
 * is not understood must not be guessed.
 */
int conf_read(
    struct conf *c, const char *path, bool must_exist, struct err *err);

/* The settings of a writer: its section, else the defaults. */
const struct conf_writer *conf_writer(const struct conf *c, const char *name);

#endif
