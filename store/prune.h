/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of prune share (docs/prune.md); nobody else includes this. */
#ifndef HOLDSTILL_STORE_PRUNE_H
#define HOLDSTILL_STORE_PRUNE_H

#include "store/damage.h"
#include "store/grow.h"
#include "store/ownpacks.h"
#include "store/points.h"
#include "store/sessions.h"
#include "store/view.h"
#include "store/walk.h"

#define PRUNE_DECIDED UINT64_MAX

enum prune_action {
	PRUNE_KEEP,
	PRUNE_CONDEMN, /* No live blob has its place there. */
	PRUNE_REWRITE, /* Too few have: they are copied, then as above. */
};

struct prune_pack { /* One that is there and not doomed. */
	uint64_t size;
	uint64_t used_bytes; /* Of size: what used blobs come to. */
	uint32_t blobs, used_blobs;
	enum prune_action action;
	bool listed;  /* Condemned by an epoch. */
	bool indexed; /* Some index that can be read names it. */
	bool spared;  /* Put by a session that is still at work. */
	bool marked;  /* By a repair: the last to be asked for a blob. */
	bool unread;  /* Marked, and a disk cannot read what is used. */
	bool trusted; /* Wary: an earlier prune has put it from here. */
	bool judged;
};

/* A disk of a point that is there. */
struct prune_disk {
	uint8_t point[OBJECT_ID_BYTES];
	struct manifest_disk disk;    /* root and size_bytes only. */
	const struct hurt_disk *hurt; /* What a mark says, or NULL. */
};

struct prune_late { /* A marked pack, as its table or an index has it. */
	struct index_pack pack;
	uint8_t *wrong; /* Wary: a bit for each blob that is; or NULL. */
};

struct prune_session { /* One that is not decided. */
	struct session_name name;
	struct idset open; /* Its points without a word. */
	uint8_t tag[SESSION_TAG_BYTES];
	uint64_t beats;
	bool alive;
	bool unknown; /* It cannot be read: `open` says nothing. */
};

struct prune {
	struct store *store;
	const struct store_prune_options *options;
	struct store_prune_result *result;
	bool looked;         /* For dead sessions: once in a prune. */
	bool counted;        /* What was there before. */
	bool rewritten;      /* Once in a prune. */
	struct idset gone;   /* Dry run: what the window's end would remove. */
	struct idset buried; /* Tombstones that no session names. */
	uint64_t unknown_epoch; /* Of the first of those that is alive. */

	/* A store of our own index, so that backups keep theirs. */
	struct view view;

	/* ---- of one round ---- */
	struct epoch epoch;
	struct damage damage;
	struct idset roll;  /* What the walk found. */
	struct idset named; /* Points that sessions name. */
	struct prune_disk *disks;
	size_t disk_count, disk_capacity;
	struct prune_session *sessions;
	size_t session_count, session_capacity;
	uint64_t first_open; /* Epoch of the first session not decided. */

	struct idset indexes;
	struct idset packs;
	struct prune_pack *pack; /* One for each of packs. */
	struct ownpacks own;     /* Wary: put by earlier prunes from here. */
	struct marks marks;
	bool missing; /* The walk met a blob that is in no pack, unmarked. */
	struct prune_late *late; /* The marked ones, with their tables. */
	size_t late_count, late_capacity;
	struct index_set *set; /* A new index being gathered. */
	struct epoch next;
	uint64_t new_bytes; /* Of packs that were put. */
};

void prune_tell(
    struct prune *p, const char *what, uint64_t done, uint64_t total);

/* ---- prune_look.c: points and sessions ---- */
/* The window of forgotten points; puts `gone` and removes. */
int prune_window(struct prune *p, struct err *err);
/* Which points there are, who is at work; gives up the dead. */
int prune_look(struct prune *p, struct err *err);
void prune_look_fini(struct prune *p);
/* One point: what it needs is live if it is there. */
int prune_look_at(struct prune *p, enum point_state *state, const uint8_t *id,
    struct err *err);
/* Takes `open` over. */
int prune_add_session(struct prune *p, const struct session_name *name,
    const struct session_object *o, struct idset *open, struct err *err);

/* ---- prune_strays.c: what no session tells of ---- */
/* Of points listed before sessions were read, those that nobody names. */
int prune_strays(struct prune *p, const struct idset *listed, struct err *err);
/* Sessions of which there is but a sign of life. */
int prune_find_unknown(struct prune *p, struct err *err);

/* ---- prune_load.c: packs and indexes ---- */
int prune_remove_doomed(struct prune *p, struct err *err);
/* Removes indexes all of whose packs are gone; loads the others. */
int prune_load(struct prune *p, struct err *err);
void prune_load_fini(struct prune *p);

/* ---- prune_judge.c: what is live, and what becomes of each pack ---- */
int prune_walk(struct prune *p, struct err *err);
int prune_judge(struct prune *p, struct err *err);
/* Fills p->next; 1: it says something new. */
int prune_decide(struct prune *p, struct err *err);

/* ---- prune_marked.c: what a repair has marked ---- */
/* Takes the table over; one that is noted already goes. */
int prune_marked_add(
    struct prune *p, size_t pack, struct index_pack *late, struct err *err);
/* Is it but a marked pack of which a read failed, and no other? */
bool prune_marked_unread(
    const struct prune *p, size_t pack, const struct err *err);
/* NULL: nothing says what is in it. */
const struct prune_late *prune_marked_find(const struct prune *p, size_t pack);
/* Wary: was this blob read there, and wrong? */
bool prune_marked_wrong(const struct prune *p, size_t pack, uint32_t ordinal);
/* Puts them into the view, behind all others. */
int prune_marked_load(struct prune *p, struct err *err);
/* Reads what only they have, and forgets what is not good. */
int prune_marked_sift(struct prune *p, struct err *err);
void prune_marked_fini(struct prune *p);
/* What marks say of a disk, or NULL. */
const struct hurt_disk *prune_hurt_of(
    const struct prune *p, const uint8_t *point, const char *target);
/* Is all of these blocks told of as lost? */
bool prune_told(
    const struct hurt_disk *hurt, uint64_t first_block, uint64_t block_count);

/* ---- prune_wary.c: mode public ---- */
bool prune_is_wary(const struct prune *p);
/* A finished pack, about to be put, with blobs that were read and found right. */
int prune_trust(struct prune *p, const struct pack *pack, struct err *err);
/* Which packs an earlier prune has put from here, before any of them may be
 * removed; and is the pack one of them that can be built upon? */
int prune_find_own(struct prune *p, struct err *err);
bool prune_is_own(const struct prune *p, size_t pack);
/* The marked packs that indexes name, by their own tables if these can be read. */
int prune_find_marked(struct prune *p, struct err *err);
/* Once all others are loaded: blobs of those have their place there. */
int prune_load_trusted(struct prune *p, struct err *err);
/* Is the pack to keep any of its blobs?  1, 0, -1. */
int prune_uses_any(
    struct prune *p, size_t pack, const struct pack_table *t, struct err *err);
/* Is the pack to keep this blob of its table?  1, 0, -1. */
int prune_uses(const struct prune *p, struct localindex_view *v, size_t pack,
    uint32_t ordinal, const struct pack_blob *b, struct err *err);
/* Which blobs of the frame: used[] has one for each.  How many, or -1. */
int64_t prune_find_used(bool *used, const struct prune *p, size_t pack,
    const struct pack_table *t, const struct pack_frame *f, struct err *err);

/* ---- prune_rewrite.c ---- */
/* Puts an index of packs with live blobs that none names. */
int prune_adopt(struct prune *p, struct err *err);
/* Copies the used blobs of all PRUNE_REWRITE packs into new ones, puts them
 * and their indexes. */
int prune_rewrite(struct prune *p, struct err *err);

#endif
