/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's chain: each manifest that it adds bears a MAC under a key that is
 * gone once it is used, so that whoever takes the host makes no earlier
 * points of it (docs/seal.md).
 */
#ifndef HOLDSTILL_STORE_SEAL_CHAIN_H
#define HOLDSTILL_STORE_SEAL_CHAIN_H

#include "store/seal/hostkey.h"

/* The host's id, n, the MAC. */
#define CHAIN_MARK_BYTES 56
/* A host adds no more points; a larger n is refused without counting. */
#define CHAIN_LINKS_MAX (UINT64_C(1) << 20)

struct err;
struct chain;

/*
 * The chain of a host.  state_path is the file of its state; key is as read
 * from key_path.  Where there is a state, a first chain key is struck out of
 * the file and of *key.  Where there is none, the chain is not begun, and
 * nothing is written.  Several processes may have the chain open.
 * ERR_NOT_FOUND: it has begun, and its state is not there.  ERR_AUTH: the state
 * is of another host.
 */
int chain_open(struct chain **out, const char *state_path, const char *key_path,
    struct hostkey *key, struct err *err);
void chain_close(struct chain *c); /* NULL is allowed. */

/*
 * Before the first mark: makes the state, durably, from the first chain key,
 * and then strikes that out of the file.  0 if it has begun.
 */
int chain_begin(struct chain *c, struct err *err);

/*
 * Moves the chain on, durably, then writes the mark of an object whose bytes
 * so far are given.  Every call costs a link, whatever comes of the object.
 * Thread-safe, and safe against other processes: they wait in turn.
 * ERR_NO_SPACE and others: no link was used that a mark was made with.
 */
int chain_mark(struct chain *c, uint8_t out[CHAIN_MARK_BYTES],
    const void *object, size_t size, struct err *err);

/*
 * The newest epoch that the host has seen; 0: none.  It lies beside the chain,
 * for what else the host remembers is a cache, and may be thrown away.
 */
int chain_epoch(uint64_t *out, struct chain *c, struct err *err);
/* Durable when it returns; an earlier one changes nothing. */
int chain_saw_epoch(struct chain *c, uint64_t epoch, struct err *err);

/* ---- by whoever has the master key ---- */

/* Belongs to one thread at a time; a check costs at most some hundred steps
 * once the host's chain was gone along. */
struct chain_checker;
int chain_checker_new(
    struct chain_checker **out, const struct seal *s, struct err *err);
void chain_checker_free(struct chain_checker *k); /* NULL is allowed. */

/* The mark of a point that the master key's owner adds: its host is zeros,
 * its n 0, and only M makes it. */
int chain_mark_owner(struct chain_checker *k, uint8_t out[CHAIN_MARK_BYTES],
    const void *object, size_t size, struct err *err);
/* Is it such a mark? */
bool chain_is_owner(const uint8_t host[SEAL_ID_BYTES]);

/*
 * object, of size bytes, ends with its mark (its hash cut off).  Fills host
 * and n if the mark is genuine.  ERR_CORRUPT: it is not.
 */
int chain_check(struct chain_checker *k, uint8_t host[SEAL_ID_BYTES],
    uint64_t *n, const void *object, size_t size, struct err *err);

#endif
