/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epochs (docs/prune.md): the numbered chain of what prunes decided.  An epoch
 * names the points that there are (the roll) and the packs that nobody may
 * begin to use (the list).
 */
#ifndef HOLDSTILL_STORE_EPOCHS_H
#define HOLDSTILL_STORE_EPOCHS_H

#include "store/idset.h"

struct store;

/* The rolls of so many epochs before the newest are kept. */
#define EPOCH_ROLLS_KEPT 32u

struct epoch_entry { /* A pack on the list. */
	uint8_t pack[OBJECT_ID_BYTES];
	uint64_t since; /* The epoch that condemned it. */
	bool doomed;
};

struct epoch { /* Zeroed is epoch 0. */
	uint64_t number;
	uint64_t decided; /* All sessions of epochs below this are. */
	struct idset roll;
	struct epoch_entry *list; /* Sorted by pack. */
	size_t list_count;
};

void epoch_fini(struct epoch *e);

/* The entry of a pack, or NULL: it is off the list. */
const struct epoch_entry *epoch_find(
    const struct epoch *e, const uint8_t pack[OBJECT_ID_BYTES]);

/* Puts epoch 0 of a new repository, if nobody has yet. */
int epochs_init(struct backend *b, const struct seal *seal, struct err *err);

/* ERR_NOT_FOUND: there is none such, or its roll has been removed. */
int epochs_get(
    struct epoch *out, struct store *s, uint64_t number, struct err *err);

/* A roll by its own name: number, roll and list. */
int epochs_get_roll(struct epoch *out, struct store *s, uint64_t number,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err);

/* By get of the next number until there is none; caller finis. */
int epochs_newest(struct epoch *out, struct store *s, struct err *err);

/* The first number without an epoch, behind the newest. */
int epochs_count(uint64_t *out, struct store *s, struct err *err);

/* Makes sure that the epoch stays: what follows from it does.  A host that may
 * only add remembers from then on that it has seen it. */
int epochs_settle(struct store *s, const struct epoch *e, struct err *err);

/* Sorts the list and the roll and puts both.  ERR_EXISTS: another was
 * faster. */
int epochs_put(struct store *s, struct epoch *e, struct err *err);

/* Puts an epoch whose roll is not there, where one was lost; done if there is
 * one. */
int epochs_put_lost(struct store *s, uint64_t number, struct err *err);

/*
 * epochs_mend.c: puts an epoch behind all that there are, which is `least` at
 * least, for a repair.  It goes on from the newest if that can be read.  Else
 * its roll is empty, and it condemns what may have been doomed.
 */
int epochs_mend(
    uint64_t *number, struct store *s, uint64_t least, struct err *err);

/* Removes rolls that are too old to be asked for; best effort. */
void epochs_tidy(struct store *s, uint64_t newest);

#endif
