/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of repair share; nobody else includes this. */
#ifndef HOLDSTILL_STORE_REPAIR_INTERNAL_H
#define HOLDSTILL_STORE_REPAIR_INTERNAL_H

#include "store/session_internal.h"
#include "store/verify_internal.h"

struct repair {
	struct verify verify; /* After its run: what is damaged. */
	const struct store_repair_options *options;
	struct store_repair_result *result;
	struct idset present; /* All packs that are there, marked or not. */
	bool any_hurt;        /* Points that lack something when all is done. */
	store_damage_fn *fn;  /* The caller's, with arg. */
	void *arg;
	/* Registered, so that no prune takes what is put (docs/prune.md); NULL
	 * in a dry run. */
	struct store_session *session;
};

/* ---- repair_salvage.c ---- */
/*
 * Packs marked earlier that are whole after all lose their mark.  Of all
 * other bad ones the good blobs that are nowhere else are copied to new
 * packs, with an index.
 */
int repair_salvage(struct repair *r, struct err *err);

/* ---- repair_points.c ---- */
/* Marks each point for what it lacks now, and takes untrue marks away. */
int repair_mark_points(struct repair *r, struct err *err);

/* ---- repair_ledger.c ---- */
/* Epochs, sessions and words that cannot be read, before the repair registers:
 * a copy is put where it says so, and the chain of epochs gets a new end. */
int repair_ledger(struct repair *r, struct err *err);
/* Registers points that no session and no epoch names, last of all. */
int repair_enter_strays(struct repair *r, struct err *err);

/* ---- repair_aside.c ---- */
/* Puts unreadable objects under another name, byte for byte. */
int repair_aside_indexes(struct repair *r, struct err *err);
int repair_aside_points(struct repair *r, struct err *err);
int repair_aside_marks(struct repair *r, struct err *err);

#endif
