/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of points: what a point lacks now, and marks that are true no more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "store/verify_internal.h"

struct lack {
	struct walk *walk;
	struct hurt_disk *disk;
};

static int
note_lack(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	struct lack *lack = arg;

	(void)type;
	(void)hash;
	if (place != NULL && why == NULL)
		return 0;
	return hurt_add(
	    lack->disk, lack->walk->first_block, lack->walk->block_count, err);
}

int
verify_hurt_of(struct hurt_disk **out, struct store *s,
    const struct manifest *m, struct err *err)
{
	struct hurt_disk *disks = calloc(m->disk_count + 1, sizeof(*disks));
	struct walk w = { .store = s, .fn = note_lack };
	struct lack lack = { .walk = &w };
	bool any = false;
	size_t i;

	if (disks == NULL)
		return err_no_memory(err);
	w.arg = &lack;
	for (i = 0; i < m->disk_count; i++) {
		lack.disk = &disks[i];
		if (hurt_init(&disks[i], &m->disks[i], err) == -1 ||
		    walk_disk(&w, &m->disks[i], err) == -1) {
			hurt_free_all(disks, m->disk_count);
			return -1;
		}
		any = any || disks[i].bytes > 0;
	}
	*out = disks;
	return any;
}

enum mark_state { MARK_TRUE, MARK_OF_WHOLE, MARK_OF_GONE };

/* Does it lack nothing, as far as is known? */
static int
look_at(enum mark_state *out, struct verify *v, const struct damage_mark *mark,
    struct err *err)
{
	struct hurt_disk *disks;
	char id[HEXID_SIZE];
	struct manifest *m;
	int hurt;

	*out = MARK_TRUE;
	hex_encode(id, mark->subject, OBJECT_ID_BYTES);
	if (store_manifest_read(&m, v->store, id, err) == -1) {
		if (!verify_is_damage(v, err))
			return -1;
		if (err->class == ERR_NOT_FOUND)
			*out = MARK_OF_GONE;
		err_clear(err);
		return 0;
	}
	/* What is there may have been found damaged just now. */
	hurt = idset_has(&v->hurt_points, mark->subject);
	if (hurt == 0) {
		hurt = verify_hurt_of(&disks, v->store, m, err);
		if (hurt != -1)
			hurt_free_all(disks, m->disk_count);
	}
	manifest_free(m);
	if (hurt == 0)
		*out = MARK_OF_WHOLE;
	return hurt == -1 ? -1 : 0;
}

static int
take_away(struct verify *v, const struct damage_mark *mark, uint64_t *removed,
    struct err *err)
{
	if (damage_remove(v->store->backend, mark, err) == 0) {
		++*removed;
		return 0;
	}
	if (err->sys_errno != EROFS && err->class != ERR_AUTH)
		return -1;
	err_clear(err); /* Who may write will do it. */
	return 0;
}

int
verify_unmark_points(struct verify *v, struct err *err)
{
	const struct damage_mark *mark;
	enum mark_state state;
	size_t i;

	for (i = 0; i < v->damage.count; i++) {
		mark = &v->damage.marks[i];
		if (!mark->of_point)
			continue;
		if (look_at(&state, v, mark, err) == -1 ||
		    (state != MARK_TRUE &&
			take_away(v, mark,
			    state == MARK_OF_GONE ? &v->result->marks_of_gone
						  : &v->result->marks_removed,
			    err) == -1))
			return -1;
	}
	return 0;
}
