/* SPDX-License-Identifier: Apache-2.0 */
/* The settings object of a repository: `config`. */
#ifndef HOLDSTILL_STORE_CONFIG_H
#define HOLDSTILL_STORE_CONFIG_H

#include "common/clock.h"
#include "store/envelope.h"
#include "store/seal/seal.h"
#include "store/store.h"

struct err;

struct config {
	char created[CLOCK_RFC3339_SIZE];
	/* repository is the repository's id; mode none: no cipher, no check. */
	struct seal_settings seal;
	struct store_compression compression; /* Of backups. */
	unsigned int undelete_days;
};

/* Fills the check of a sealed repository's settings. */
int config_sign(
    struct config *c, const uint8_t master[SEAL_KEY_BYTES], struct err *err);
int config_put(struct backend *b, const struct config *c, struct err *err);

/*
 * ERR_NOT_FOUND: no repository here.  ERR_CORRUPT, ERR_UNSUPPORTED.  What it
 * says of encryption is to be believed only once a key's owner has checked
 * it: seal_open_master().
 */
int config_get(struct config *out, struct backend *b, struct err *err);

#endif
