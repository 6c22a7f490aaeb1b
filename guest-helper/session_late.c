/* SPDX-License-Identifier: Apache-2.0 */
/* What was mounted too late to be held with the others. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "guest-helper/session_internal.h"

/* Ours only: of another mount namespace's the kernel tells nobody outside. */
#define TABLE "/proc/self/mounts"

/* ---- against the plan ---- */

/* Also with another state than at the plan: one that was read-only then. */
static bool
was_planned(const struct mounts *had, const struct mounts_filesystem *fs)
{
	const struct mounts_filesystem *item = had->items;

	for (; item < had->items + had->count; item++)
		if (item->major == fs->major && item->minor == fs->minor)
			return item->state != MESSAGE_FS_SKIPPED;
	return false;
}

const struct mounts_filesystem *
session_late_find(const struct mounts *had, const struct mounts *seen)
{
	const struct mounts_filesystem *item = seen->items;

	for (; item < seen->items + seen->count; item++)
		if (item->state != MESSAGE_FS_SKIPPED &&
		    !was_planned(had, item))
			return item;
	return NULL;
}

void
session_late_look(struct session *s)
{
	const struct mounts_filesystem *late;
	struct err err = ERR_INIT;
	struct mounts seen;

	if (mounts_scan(&seen, s->o.paths, s->o.conf, s->disks, s->disk_count,
		&err) == -1) {
		s->mounted_late = true;
		session_fail(s, "what is mounted cannot be read again");
		return;
	}
	late = session_late_find(&s->mounts, &seen);
	s->mounted_late = late != NULL;
	if (late != NULL && late->state == MESSAGE_FS_FAILED)
		snprintf(s->failure, sizeof(s->failure),
		    "new since the plan: '%.60s': %.70s", late->mount_point,
		    late->reason);
	else if (late != NULL)
		snprintf(s->failure, sizeof(s->failure),
		    "mounted since the plan: '%.100s'", late->mount_point);
	mounts_fini(&seen);
}

/* ---- while it is held ---- */

void
session_late_init(struct session *s)
{
	s->table = open(TABLE, O_RDONLY | O_CLOEXEC);
}

/* Since the last time that this was asked. */
static bool
has_changed(const struct session *s)
{
	struct pollfd p = { .fd = s->table, .events = POLLPRI };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLPRI) != 0;
}

void
session_late_begin(struct session *s)
{
	has_changed(s);
	s->table_changed = false;
}

void
session_late_end(struct session *s)
{
	if (s->held && has_changed(s))
		s->table_changed = true;
}
