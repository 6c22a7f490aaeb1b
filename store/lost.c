/* SPDX-License-Identifier: Apache-2.0 */
/* What marks say, and what points lack, for who backs up or restores. */
#include <string.h>

#include "common/log.h"
#include "store/host.h"
#include "store/verify_internal.h"

int
store_marks(struct store *s, store_hurt_fn *fn, void *arg, struct err *err)
{
	const struct damage_mark *mark;
	struct store_hurt hurt;
	char id[HEXID_SIZE];
	struct damage d;
	size_t i, k;

	if (damage_load(&d, s->backend, s->seal, err) == -1)
		return -1;
	for (i = 0; i < d.count; i++) {
		mark = &d.marks[i];
		hex_encode(id, mark->subject, OBJECT_ID_BYTES);
		for (k = 0; mark->of_point && k < mark->disk_count; k++) {
			hurt_view(&hurt, id, &mark->disks[k]);
			fn(arg, &hurt);
		}
	}
	if (d.bad.count > 0)
		log_line(LOG_WARNING,
		    "%zu mark%s of damage cannot be read: 'holdstill repair' "
		    "looks again",
		    d.bad.count, d.bad.count == 1 ? "" : "s");
	damage_fini(&d);
	return 0;
}

int
store_point_whole(
    bool *out, struct store *s, const struct manifest *m, struct err *err)
{
	struct hurt_disk *disks;
	int hurt;

	if (host_refuse(s, "no point can be read", err) == -1 ||
	    store_sync(s, SYNC_TABLES, false, err) == -1 ||
	    (hurt = verify_hurt_of(&disks, s, m, err)) == -1)
		return -1;
	hurt_free_all(disks, m->disk_count);
	*out = hurt == 0;
	return 0;
}

int
store_any_damage(bool *out, struct store *s, struct err *err)
{
	int rc = backend_has_any(s->backend, object_prefix(OBJECT_DAMAGE), err);

	*out = rc == 1;
	return rc == -1 ? -1 : 0;
}

struct lost {
	struct walk *walk;
	bool map;
	store_range_fn *fn;
	void *arg;
	uint64_t size_bytes;
	uint64_t offset, bytes; /* The range that grows. */
};

static int
tell_range(struct lost *l, struct err *err)
{
	uint64_t bytes = l->bytes;

	if (bytes == 0 || l->map)
		return 0;
	if (bytes > l->size_bytes - l->offset)
		bytes = l->size_bytes - l->offset;
	l->bytes = 0;
	return l->fn(l->arg, l->offset, bytes, err);
}

static int
note_lost(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	struct lost *l = arg;
	uint64_t offset = l->walk->first_block * STORE_BLOCK_BYTES;

	(void)hash;
	if (place != NULL && why == NULL)
		return 0;
	if (type == BLOB_MAP) {
		l->map = true;
		return 0;
	}
	if (l->bytes > 0 && offset == l->offset + l->bytes) {
		l->bytes += STORE_BLOCK_BYTES;
		return 0;
	}
	if (tell_range(l, err) == -1)
		return -1;
	l->offset = offset;
	l->bytes = STORE_BLOCK_BYTES;
	return 0;
}

int
store_disk_lost(struct store *s, const struct manifest_disk *disk,
    bool *map_lost, store_range_fn *fn, void *arg, struct err *err)
{
	struct walk w = { .store = s, .fn = note_lost };
	struct lost l = {
		.walk = &w, .fn = fn, .arg = arg, .size_bytes = disk->size_bytes
	};
	int rc;

	w.arg = &l;
	rc = walk_disk(&w, disk, err);
	if (rc == 0)
		rc = tell_range(&l, err);
	*map_lost = l.map;
	return rc;
}
